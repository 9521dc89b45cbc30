"""What people read: tables, warnings, ages and numbers, and the one JSON document that programs read.

Colours, lines and spinners are for terminals; in a pipe there are none, and nothing is folded or cut.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from modelyard.schemas import ModelWarning

_UNFOLDED = 100_000
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}
_UNITS = (
    (365 * 86_400, "year"),
    (30 * 86_400, "month"),
    (86_400, "day"),
    (3600, "hour"),
    (60, "minute"),
    (1, "second"),
)


class _Screen(Console):
    """rich's Console would end the process itself if the reader has left; here `app` decides."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """Return standard output (or error) as it is at this moment: a terminal or not."""
    stream = sys.stderr if stderr else sys.stdout
    terminal = stream.isatty()
    return _Screen(
        file=stream,
        force_terminal=terminal,
        width=None if terminal else _UNFOLDED,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=False,
    )


def is_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout.isatty()


def text(value: object, style: str = "") -> Text:
    """Return a value as text that cannot steer the terminal: its control characters are shown, not sent."""
    return Text(str(value).translate(_CONTROLS), style=style)


def table(*columns: str, right: Sequence[str] = (), whole: Sequence[str] = ()) -> Table:
    """Return an empty table; the columns of `right` hold numbers, those of `whole` are never folded or cut."""
    lines = box.SIMPLE_HEAD if is_terminal() else None
    made = Table(box=lines, pad_edge=False, header_style="bold")
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", no_wrap=name in whole, overflow="fold")
    return made


def add_row(to: Table, *cells: object, style: str | None = None) -> None:
    """Add a row of values, each made harmless by `text`."""
    to.add_row(*(cell if isinstance(cell, Text) else text(cell) for cell in cells), style=style)


def show(*things: Any) -> None:
    """Print to standard output."""
    out = console()
    with out.capture() as printed:
        for thing in things:
            out.print(text(thing) if isinstance(thing, str) else thing)
    # rich fills cells up to their column's width: of use on a terminal only, where it may carry a colour.
    lines = printed.get() if is_terminal() else re.sub(r" +$", "", printed.get(), flags=re.MULTILINE)
    sys.stdout.write(lines)


def show_warnings(warnings: Sequence[ModelWarning], *, stderr: bool = False) -> None:
    """Print warnings, in yellow on a terminal."""
    out = console(stderr=stderr)
    for warning in warnings:
        out.print(text(f"Warning: {warning.message}", "yellow"))


def show_json(document: bytes) -> None:
    """Print the one JSON document of a command that was asked for `--json`."""
    sys.stdout.write(document.decode() + "\n")


def show_aside(line: str) -> None:
    """Print a line to standard error."""
    console(stderr=True).print(text(line))


def sheet() -> Table:
    """Return an empty sheet for facts, a line each: what it is, and the value."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    return made


def is_watched(*, as_json: bool) -> bool:
    """Whether a person looks on while a command works."""
    return not as_json and is_terminal() and sys.stderr.isatty()


@contextmanager
def busy(doing: str, *, as_json: bool) -> Iterator[None]:
    """Show that work goes on and for how long, if a person looks on."""
    if not is_watched(as_json=as_json):
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        progress.add_task(text(doing).plain, total=None)
        yield


def rows(n: int) -> str:
    """Write how many rows there are: `1 row`, `3,000 rows`."""
    return f"{n:,} {'row' if n == 1 else 'rows'}"


def number(value: float | None) -> str:
    """Write a score with four decimals; `-` if there is none."""
    return "-" if value is None else f"{value:.4f}"


def label(value: bool | int | float | str | None) -> str:
    """Write a label, a predicted number or an id as JSON has it, texts without quotes; a missing one is empty."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def age(then: datetime, now: datetime | None = None) -> str:
    """Say in words how long ago `then` was."""
    seconds = max(0.0, ((now or datetime.now(UTC)) - then).total_seconds())
    if seconds < 5:
        return "just now"
    length, name = next(unit for unit in _UNITS if seconds >= unit[0])
    count = int(seconds // length)
    return f"{count} {name}{'s' if count != 1 else ''} ago"


def size(count: int) -> str:
    """Write a number of bytes in the unit that suits it."""
    amount = float(count)
    for unit in ("bytes", "KB", "MB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GB"
