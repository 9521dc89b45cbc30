"""Raw tables: named columns of one length. What their cells mean is decided later."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import polars as pl

from modelyard.errors import FieldError, InvalidArgument, InvalidTable
from modelyard.schemas.showing import shown
from modelyard.tables.sources.doubtful_header import way_out

Cells: TypeAlias = "pl.Series | list[Any] | tuple[Any, ...]"


@dataclass(frozen=True, slots=True)
class RawTable:
    """Named columns of one length with their cells as they came.

    `text_cells`: the source knows no types, so every cell is text (CSV). `dropped`: the keys of records that nobody
    expected. `index_columns`: the columns that hold pandas' index; those of a CSV have no names and are not in
    `columns`. `given_names`: the names that the columns of a file without a header were given, in its order.
    `blank_rows`: how many rows of nothing but delimiters were left out. `doubt`: what may be wrong with how the file
    was read, if a column turns out to be missing.
    """

    columns: dict[str, Cells]
    height: int
    text_cells: bool = False
    dropped: tuple[str, ...] = ()
    index_columns: tuple[str, ...] = ()
    given_names: tuple[str, ...] = ()
    blank_rows: int = 0
    doubt: str = ""

    def frame(self) -> pl.DataFrame:
        """Return the table as a DataFrame. A column that mixes types has the type Object."""
        return pl.DataFrame([_series(name, column) for name, column in self.columns.items()])

    def without_index(self, kept: Container[str]) -> RawTable:
        """Return the table without pandas' index. Index columns in `kept` stay; `index_columns` names those that went.

        Raises InvalidTable if no column is left.
        """
        index = tuple(name for name in self.index_columns if name not in kept)
        columns = {name: column for name, column in self.columns.items() if name not in index}
        if not columns:
            raise InvalidTable(f"X has no columns besides pandas' index {', '.join(map(repr, index))}")
        return replace(self, columns=columns, index_columns=index)

    def require(self, names: Iterable[str]) -> None:
        """Check that the table has columns with these names. Raises InvalidTable."""
        absent = [name for name in names if name not in self.columns]
        if absent:
            raise missing_columns(absent, list(self.columns), way_out(self, absent))

    def without(self, names: Container[str]) -> RawTable:
        """Return the table without some columns, if it has them."""
        columns = {name: column for name, column in self.columns.items() if name not in names}
        index = tuple(name for name in self.index_columns if name not in names)
        return replace(self, columns=columns, index_columns=index)

    def ordered(self, names: Sequence[str] | None) -> RawTable:
        """Return the table with the columns `names` first. Raises InvalidTable if one of them is missing."""
        if names is None:
            return self
        self.require(names)
        order = dict.fromkeys([*names, *self.columns])
        return replace(self, columns={name: self.columns[name] for name in order})


def check_names(names: Iterable[Any], where: str, *, start: int = 0) -> None:
    """Check that column names are valid, non-empty text and differ. Messages count from `start`.

    Raises InvalidTable.
    """
    seen: set[str] = set()
    for position, name in enumerate(names, start):
        if not isinstance(name, str) or not name.strip():
            raise InvalidTable(
                f"{where}: the name of column {position} must be text that is not empty, got {shown(name)}"
            )
        if not name.isascii() and any("\ud800" <= char <= "\udfff" for char in name):
            raise InvalidTable(f"{where}: the name of column {position} must be valid Unicode text, got {shown(name)}")
        if name in seen:
            raise InvalidTable(f"{where}: column name {name!r} is given twice; names must differ")
        seen.add(name)


def missing_columns(names: Sequence[str], given: Sequence[str], hint: str = "") -> InvalidArgument:
    """Build the error for columns that a table does not have; `hint` says what may help."""
    has = (", ".join(map(repr, given[:50])) or "none") + (hint and f"; {hint}")
    return InvalidTable.of(
        [FieldError(("X", name), f"column {name!r} is missing; X has the columns {has}") for name in names]
    )


def cell_count(cells: int) -> str:
    """Write a number of cells."""
    return "1 cell" if cells == 1 else f"{cells} cells"


def _series(name: str, column: Cells) -> pl.Series:
    if isinstance(column, pl.Series):
        return column.rename(name)
    try:
        return pl.Series(name, column, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series(name, column, dtype=pl.Object)
