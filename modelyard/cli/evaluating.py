"""`evaluate`: models judged by a labelled table and compared; `evaluations`: what such tables showed of one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli import screen
from modelyard.cli.connection import AsJson, Cursor, Storage, Url, open_yard
from modelyard.cli.reading import reads_table

if TYPE_CHECKING:
    from rich.table import Table

    from modelyard.schemas import KeptEvaluation, ModelMetrics, TableEvaluation

_MOST_PAIRS = 3
"""Of more pairs only the metric that tells most is shown."""


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Models")(evaluate)
    app.command(rich_help_panel="Models")(evaluations)


@reads_table
def evaluate(
    refs: Annotated[
        str, typer.Argument(metavar="REF[,REF...]", help="Up to ten models of one task, with commas between.")
    ],
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="The labelled table; - is standard input. Without it: rows held out of all of them.",
            show_default=False,
        ),
    ] = None,
    *,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            "-t",
            metavar="COLUMN",
            help="The column of labels, or numbers; else the one that the first model was trained to predict.",
            show_default=False,
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", metavar="TEXT", help="What the table is, in words.", show_default=False)
    ] = None,
    reading: dict[str, Any],
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Judge models by a labelled table, and compare each pair of them.

    What it shows is kept; `modelyard evaluations REF` lists it. Without a table the models are judged by the rows of
    the table that all were trained on which were held out of all of them; that is not kept.
    """
    from modelyard.cli.files import table_file
    from modelyard.schemas import EvaluateRequest, parse

    with nullcontext() if file is None else table_file(file) as table:
        fields = {"model_ids": refs.split(","), "X": table, "target": target, "label": label}
        request = parse(EvaluateRequest, {**reading, **fields})
        by = "rows held out" if table is None else table.name
        with open_yard(url, storage) as yard, screen.busy(f"Judging {refs} by {by}", as_json=json):
            found = yard.evaluate(request)
    if json:
        screen.show_json(found.model_dump_json().encode())
        return
    screen.show(_heading(found, held_out=file is None), _metrics(found.models))
    if found.pairs:
        screen.show("", _pairs(found))
    for warning in [warning for model in found.models for warning in model.warnings]:
        screen.show_warnings([warning])


def evaluations(
    ref: Annotated[
        str,
        typer.Argument(metavar="REF", help="The model: an id, a name, or name:version; or name@alias."),
    ],
    *,
    limit: Annotated[int, typer.Option("--limit", help="At most so many (1 to 1000).")] = 50,
    cursor: Cursor = None,
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """List what labelled tables showed of a model, newest first.

    Of name@alias: what they showed of the models that were asked by that alias, whichever versions it meant.
    """
    from modelyard.schemas import LATEST, EvaluationQuery, parse

    query = parse(EvaluationQuery, {"limit": limit, "cursor": cursor})
    name, _, alias = ref.partition("@")
    with open_yard(url, storage) as yard:
        model = yard.get_history(ref) if alias in ("", LATEST) else None
        page = yard.list_evaluations(ref if model is None else model.model_id, query)
    if json:
        screen.show_json(page.model_dump_json().encode())
        return
    if not page.evaluations:
        called = ref if model is None else f"{model.name}:{model.version}"
        screen.show(f"{called} has not been judged by a table yet.")
        return
    asked = [
        next(
            one
            for one in found.models
            if (one.name == name and one.alias == alias if model is None else one.model_id == model.model_id)
        )
        for found in page.evaluations
    ]
    screen.show(_series(page.evaluations, asked, by_alias=model is None))
    if page.next_cursor is not None:
        screen.show(f"There are more: --cursor {page.next_cursor}")


def _series(found: Sequence[KeptEvaluation], asked: Sequence[ModelMetrics], *, by_alias: bool) -> Table:
    """Return a line for each evaluation, of one model or of those that an alias meant."""
    from modelyard.cli import sheets

    cost = any("cost" in model.metrics for model in asked)
    titles = ["when", *["model"] * by_alias, "label", "rows", "metric", "value", *["cost"] * cost, "beside"]
    made = screen.table(*titles, right=["rows"])
    for one, model in zip(found, asked, strict=True):
        name = _telling(one.task)
        cells = [f"{one.at:%Y-%m-%d %H:%M:%S} UTC", *[_called(model)] * by_alias, one.label or "", f"{one.n_rows:,}"]
        cells += [sheets.metric_title(name), sheets.with_interval(name, model.metrics)]
        if cost:
            cells.append(sheets.with_interval("cost", model.metrics))
        beside = ", ".join(_called(other) for other in one.models if other.model_id != model.model_id)
        screen.add_row(made, *cells, beside)
    return made


def _heading(found: TableEvaluation, *, held_out: bool) -> str:
    label = "" if found.label is None else f" ({found.label})"
    which = " held out of all" if held_out else ""
    return f"{screen.rows(found.n_rows)}{which}{label}; 90 % intervals in parentheses"


def _metrics(models: Sequence[ModelMetrics]) -> Table:
    from modelyard.cli import sheets
    from modelyard.schemas import meaning

    made = screen.table("metric", *map(_called, models), right=list(map(_called, models)))
    for name in dict.fromkeys(name for model in models for name in model.metrics if meaning(name).is_value):
        screen.add_row(
            made, sheets.metric_title(name), *(sheets.with_interval(name, model.metrics) for model in models)
        )
    return made


def _pairs(found: TableEvaluation) -> Table:
    from modelyard.cli import sheets

    called = {model.model_id: _called(model) for model in found.models}
    pairs = found.pairs
    if len({(pair.a, pair.b) for pair in pairs}) > _MOST_PAIRS:
        pairs = [pair for pair in pairs if pair.metric == _telling(found.task)]
    made = screen.table("pair", "metric", "difference", "", right=["difference"])
    for pair in pairs:
        difference = f"{pair.difference:+.4f} ({pair.low:+.4f} to {pair.high:+.4f})"
        names = f"{called[pair.a]} - {called[pair.b]}"
        screen.add_row(made, names, sheets.metric_title(pair.metric), difference, pair.words)
    return made


def _telling(task: str) -> str:
    return "accuracy" if task == "classification" else "rmse"


def _called(model: ModelMetrics) -> str:
    return f"{model.name}:{model.version}"
