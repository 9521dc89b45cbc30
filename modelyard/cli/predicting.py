"""`predict`: the first rows for a person, all rows for a file or a pipe."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli import screen
from modelyard.cli.connection import AsJson, Output, Storage, Url, open_yard
from modelyard.cli.deciding import DecisionJson, decision_field
from modelyard.cli.reading import reads_table

if TYPE_CHECKING:
    from modelyard.schemas import Predictions

_FIRST = 10


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Models")(predict)


@reads_table
def predict(
    ref: Annotated[str, typer.Argument(metavar="REF", help="The model: an id, a name, or name:version.")],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="The table, - for standard input; columns match by name, others are dropped."
        ),
    ],
    *,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Add the probability of each class, if there are classes.")
    ] = False,
    interval: Annotated[
        float | None,
        typer.Option(
            "--interval",
            metavar="SHARE",
            help="Add low and high around each number, to hold this share of the true ones, such as 0.9.",
            show_default=False,
        ),
    ] = None,
    keep_answers: Annotated[
        bool, typer.Option("--keep-answers", help="Keep the answers, to join what really happens to them later.")
    ] = False,
    output: Output = None,
    decision: DecisionJson = None,
    reading: dict[str, Any],
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Predict the label, or the number, of each row of a table.

    Shows the first rows on a terminal; a pipe gets all of them as CSV.
    """
    from modelyard.cli.files import check_output, table_file
    from modelyard.schemas import PredictRequest, parse

    check_output(output, as_json=json)
    with table_file(file) as table:
        fields = reading | decision_field(decision) | {"model_id": ref, "probabilities": probabilities}
        request = parse(PredictRequest, {**fields, "X": table, "interval": interval, "keep_answers": keep_answers})
        with open_yard(url, storage) as yard, screen.busy(f"Predicting {table.name} by {ref}", as_json=json):
            found = yard.predict(request)
    if output not in (None, "-"):
        _write(found, Path(str(output)))
    if json:
        screen.show_json(_document(found, output))
    elif output == "-" or (output is None and not screen.is_terminal()):
        sys.stdout.write(_encoded(found, ".csv").decode())
        screen.show_warnings(found.warnings, stderr=True)
        if found.prediction_id is not None:
            typer.echo(f"Kept as prediction {found.prediction_id}.", err=True)
    else:
        _show(found, output)


def _write(found: Predictions, path: Path) -> None:
    from modelyard.cli.files import write_whole

    write_whole(path, _encoded(found, path.suffix.lower()))


def _encoded(found: Predictions, suffix: str) -> bytes:
    from modelyard.rest_api import prediction_formats

    if suffix == ".json":
        return _document(found, None)
    return prediction_formats.write(found, prediction_formats.CSV if suffix == ".csv" else prediction_formats.PARQUET)


def _document(found: Predictions, output: str | None) -> bytes:
    """Return the predictions, or where they went, as JSON."""
    import orjson

    warnings = [warning.model_dump(exclude_none=True) for warning in found.warnings]
    decision = None if found.decision is None else found.decision.model_dump()
    fields: dict[str, Any] = {"model_id": found.model_id, "classes": found.classes, "decision": decision}
    fields |= {"warnings": warnings, "prediction_id": found.prediction_id}
    if output is None:
        fields |= {"predictions": found.predictions, "probabilities": found.probabilities}
        fields |= {"intervals": found.intervals, "ids": found.ids, "id_column": found.id_column}
    else:
        fields |= {"output": output, "rows": len(found.predictions)}
    return orjson.dumps(fields)


def _show(found: Predictions, output: str | None) -> None:
    rows = len(found.predictions)
    if output is None:
        screen.show(_first_rows(found))
        if rows > _FIRST:
            screen.show(f"and {rows - _FIRST:,} more rows; --output FILE writes all")
    else:
        screen.show(screen.text(f"Wrote {rows:,} predictions to {output}", "bold green"))
    screen.show(f"{screen.rows(rows)} by model {found.model_id}; {_spread(found)}")
    if found.prediction_id is not None:
        screen.show(f"Kept as prediction {found.prediction_id}.")
    if found.decision is not None and found.decision.rule != "most_probable":
        screen.show(f"The decision answers {found.decision.in_words}.")
    screen.show_warnings(found.warnings)


def _spread(found: Predictions) -> str:
    """Return how often each label was predicted, or the range of the numbers."""
    if found.classes is not None:
        counts = Counter(found.predictions).most_common(10)
        return ", ".join(f"{screen.label(label)}: {count:,}" for label, count in counts)
    numbers = [float(value) for value in found.predictions]
    if not numbers:
        return "no numbers"
    mean = sum(numbers) / len(numbers)
    return f"{screen.number(min(numbers))} to {screen.number(max(numbers))}, mean {screen.number(mean)}"


def _first_rows(found: Predictions) -> Any:
    shares = [f"p({screen.label(label)})" for label in found.classes or ()] if found.probabilities else []
    shares += ["low", "high"] if found.intervals else []
    titles = ["row", "prediction", *(screen.text(share).plain for share in shares)]
    if found.id_column is not None:
        titles.insert(1, screen.text(found.id_column).plain)
    made = screen.table(*titles, right=["row", *shares])
    for row, label in enumerate(found.predictions[:_FIRST]):
        ids = [] if found.ids is None else [screen.label(found.ids[row])]
        cells = [screen.number(share) for share in found.probabilities[row]] if found.probabilities else []
        cells += [screen.number(end) for end in found.intervals[row]] if found.intervals else []
        screen.add_row(made, row, *ids, screen.label(label), *cells)
    return made
