"""`keep-answers`, `outcomes`, `performance`: what really happened, and how good the answers were by that."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli import screen
from modelyard.cli.connection import AsJson, Storage, Url, open_yard
from modelyard.cli.reading import reads_table

if TYPE_CHECKING:
    from modelyard.schemas import WeekPerformance

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of models.")]


class Switch(Enum):
    """On or off."""

    ON = "on"
    OFF = "off"


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Models")(keep_answers)
    app.command(rich_help_panel="Models")(outcomes)
    app.command(rich_help_panel="Models")(performance)


def keep_answers(
    name: Name,
    switch: Annotated[Switch, typer.Argument(help="Whether they are kept.")],
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Keep all predictions by a name from now on, or no longer; never cells of what was asked."""
    from modelyard.schemas import KeepAnswersRequest

    with open_yard(url, storage) as yard:
        found = yard.set_keep_answers(name, KeepAnswersRequest(keep=switch is Switch.ON))
    if json:
        screen.show_json(found.model_dump_json().encode())
    else:
        kept = "are kept" if found.keep_answers else "are kept only if a request asks for it"
        screen.show(screen.text(f"predictions by {name} {kept}", "bold green"))


@reads_table
def outcomes(
    name: Name,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A table of label, and prediction_id and row, or id; - is standard input.",
        ),
    ],
    *,
    reading: dict[str, Any],
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Join what really happened to the answers that were kept.

    Of several outcomes for a row the last one counts.
    """
    from modelyard.cli.files import table_file
    from modelyard.schemas import OutcomesRequest, parse

    with table_file(file) as table:
        request = parse(OutcomesRequest, {**reading, "model_id": name, "X": table})
        with open_yard(url, storage) as yard, screen.busy(f"Joining {table.name} to answers of {name}", as_json=json):
            found = yard.add_outcomes(request)
    if json:
        screen.show_json(found.model_dump_json().encode())
        return
    screen.show(
        screen.text(f"{found.matched:,} of {found.outcomes:,} outcomes belong to kept answers", "bold green"),
        f"{found.replaced:,} of them replaced another one",
    )
    if found.unknown:
        examples = ", ".join(found.unknown_examples)
        screen.show(f"{found.unknown:,} belong to no kept answer, such as {examples}")


def performance(
    name: Name,
    *,
    weeks: Annotated[int, typer.Option("--weeks", help="So many weeks, this one included (1 to 520).")] = 26,
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Show how good the answers by a name were, by the week in which they were asked for."""
    from modelyard.schemas import PerformanceQuery, parse

    query = parse(PerformanceQuery, {"weeks": weeks})
    with open_yard(url, storage) as yard:
        found = yard.get_performance(name, query)
    if json:
        screen.show_json(found.model_dump_json().encode())
        return
    if not found.weeks:
        screen.show(f"No answers by {name} were kept in these weeks; `modelyard keep-answers {name} on` keeps them.")
        return
    metrics = _metrics_of(found.weeks)
    made = screen.table(
        "week", "alias", "version", "rows", "outcomes", *map(_title, metrics), "status", right=["version", "rows"]
    )
    for one in found.weeks:
        screen.add_row(made, *_line(one, metrics))
    screen.show(made)


def _line(one: WeekPerformance, metrics: list[str]) -> tuple[object, ...]:
    from modelyard.cli import sheets

    shown = [sheets.with_interval(name, one.metrics) if name in one.metrics else "" for name in metrics]
    return (one.week, one.alias or "", one.version, f"{one.rows:,}", f"{one.outcomes:,}", *shown, one.status)


def _metrics_of(weeks: list[WeekPerformance]) -> list[str]:
    from modelyard.schemas import meaning

    return list(dict.fromkeys(name for one in weeks for name in one.metrics if meaning(name).is_value))


def _title(metric: str) -> str:
    from modelyard.cli import sheets

    return sheets.metric_title(metric)
