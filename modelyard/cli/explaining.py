"""`explain`: for a person what moved the first rows most, all contributions for a file or a pipe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli import screen
from modelyard.cli.connection import AsJson, Output, Storage, Url, open_yard
from modelyard.cli.reading import given_fields, reads_table

if TYPE_CHECKING:
    from modelyard.schemas import Explanations

_FIRST = 10
_TOLD = 3
"""How many columns a person is told of a row."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Models")(explain)


@reads_table
def explain(
    ref: Annotated[str, typer.Argument(metavar="REF", help="The model: an id, a name, or name:version.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The table, - for standard input.")],
    *,
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="N",
            help="Tell only the N columns that contributed most, and what the others make together.",
            show_default=False,
        ),
    ] = None,
    output: Output = None,
    reading: dict[str, Any],
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Say how far each column moved the score of each row away from the base.

    Shows the first rows on a terminal; a pipe gets all of them as CSV.
    """
    from modelyard.cli.files import check_output, table_file, write_whole
    from modelyard.schemas import ExplainRequest, parse

    check_output(output, as_json=json)
    with table_file(file) as table:
        request = parse(ExplainRequest, {**reading, "model_id": ref, "X": table, **given_fields(top=top)})
        with open_yard(url, storage) as yard, screen.busy(f"Explaining {table.name} by {ref}", as_json=json):
            found = yard.explain(request)
    if output not in (None, "-"):
        write_whole(Path(str(output)), _encoded(found, Path(str(output)).suffix.lower()))
    if json:
        screen.show_json(_encoded(found, ".json") if output is None else _receipt(found, output))
    elif output == "-" or (output is None and not screen.is_terminal()):
        sys.stdout.write(_encoded(found, ".csv").decode())
        screen.show_warnings(found.warnings, stderr=True)
    else:
        _show(found, output)


def _encoded(found: Explanations, suffix: str) -> bytes:
    from modelyard.rest_api import explanation_formats
    from modelyard.rest_api.formats import JSON
    from modelyard.rest_api.prediction_formats import CSV, PARQUET

    return explanation_formats.write(found, {".csv": CSV, ".json": JSON, ".parquet": PARQUET}[suffix])


def _receipt(found: Explanations, output: str) -> bytes:
    """Return where the explanations went, as JSON."""
    import orjson

    warnings = [warning.model_dump(exclude_none=True) for warning in found.warnings]
    fields = {"model_id": found.model_id, "warnings": warnings, "output": output, "rows": len(found.predictions)}
    return orjson.dumps(fields)


def _show(found: Explanations, output: str | None) -> None:
    rows = len(found.predictions)
    if output is None:
        screen.show(_first_rows(found))
        if rows > _FIRST:
            screen.show(f"and {rows - _FIRST:,} more rows; --output FILE writes all")
    else:
        screen.show(screen.text(f"Wrote the contributions to {rows:,} predictions to {output}", "bold green"))
    bases = (
        f"{screen.label(name)} {screen.number(base)}" for name, base in zip(found.outputs, found.base, strict=True)
    )
    screen.show(f"{screen.rows(rows)} by model {found.model_id}; base, {_unit(found)}: {', '.join(bases)}")
    screen.show_warnings(found.warnings)


def _unit(found: Explanations) -> str:
    return "log-odds" if found.unit == "log_odds" else "in the target's unit"


def _first_rows(found: Explanations) -> Any:
    """Return a line a row: its prediction, the score of what was predicted, and what moved that most."""
    ids = [] if found.id_column is None else [screen.text(found.id_column).plain]
    made = screen.table("row", *ids, "prediction", "score", "moved most by", right=["row", "score"])
    for row, label in enumerate(found.predictions[:_FIRST]):
        output = found.output_of(row)
        shares = sorted(
            zip(found.feature_names, found.contributions[row][output], strict=True), key=lambda one: -abs(one[1])
        )
        told = ", ".join(f"{name} {share:+.4f}" for name, share in shares[:_TOLD])
        cells = [] if found.ids is None else [screen.label(found.ids[row])]
        screen.add_row(made, row, *cells, screen.label(label), screen.number(found.score(row, output)), told)
    return made
