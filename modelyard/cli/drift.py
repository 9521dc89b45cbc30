"""`drift`: how far what a model is asked is from its training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.cli import screen
from modelyard.cli.connection import AsJson, Storage, Url, open_yard
from modelyard.cli.models import Ref

if TYPE_CHECKING:
    from rich.table import Table

    from modelyard.schemas import ColumnDrift, Drift


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Models")(drift)


def drift(
    ref: Ref,
    *,
    hours: Annotated[int, typer.Option("--hours", help="How many hours to look back (1 to 2160).")] = 24,
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Tell how far what a model was asked, and answered, is from its training."""
    from modelyard.schemas import DriftQuery, parse

    query = parse(DriftQuery, {"hours": hours})
    with open_yard(url, storage) as yard:
        found = yard.get_drift(ref, query)
    if json:
        screen.show_json(found.model_dump_json().encode())
        return
    screen.show(f"{found.name}:{found.version}: {found.status.replace('_', ' ')}. {found.message}")
    if found.columns:
        screen.show(_columns(found))


def _columns(found: Drift) -> Table:
    numbers = ["psi", "missing", "unknown", "out of range"]
    made = screen.table("column", "status", *numbers, "farthest off", right=numbers)
    for name, column in found.columns.items():
        screen.add_row(made, name, *_cells(column))
    if found.predictions is not None:
        screen.add_row(made, "(predictions)", *_cells(found.predictions))
    return made


def _cells(column: ColumnDrift) -> tuple[str, ...]:
    shares = (f"{share:.1%}" for share in (column.missing, column.unknown, column.out_of_range))
    return column.status.replace("_", " "), f"{column.psi:.3f}", *shares, _farthest(column)


def _farthest(column: ColumnDrift) -> str:
    """Say which bin differs most; nothing if no rows were seen."""
    if not any(column.seen):
        return ""
    bins = zip(column.bins, column.expected, column.seen, strict=True)
    label, expected, seen = max(bins, key=lambda one: abs(one[2] - one[1]))
    return f"{label}: {expected:.1%} expected, {seen:.1%} seen"
