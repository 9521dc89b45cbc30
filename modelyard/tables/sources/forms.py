"""The forms a table can take in memory: rows, records, columns and polars DataFrames.

Here they only become named columns of one length; what the cells mean is decided in `columns`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

import numpy as np
import polars as pl

from modelyard.errors import MAX_FIELD_ERRORS, FieldError, InvalidArgument, InvalidTable
from modelyard.schemas.showing import shown, shown_instead
from modelyard.tables.columns import Cells

FORMS = "rows ([[39, 'x'], ...]), records ([{'age': 39, ...}, ...]) or columns ({'age': [39, ...], ...})"


@dataclass(frozen=True, slots=True)
class RawTable:
    """Named columns of one length, cells as they came. `text_cells`: all cells are text by nature (CSV).

    `dropped` names the keys of records that were not expected, `index_columns` the columns that hold pandas' index.
    The one of a CSV has no name, and is not among the columns.
    """

    columns: dict[str, Cells]
    height: int
    text_cells: bool = False
    dropped: tuple[str, ...] = ()
    index_columns: tuple[str, ...] = ()

    def frame(self) -> pl.DataFrame:
        """Return the table as polars' DataFrame; a column that mixes types has the type Object."""
        return pl.DataFrame([_series(name, column) for name, column in self.columns.items()])

    def without_index(self, kept: Container[str]) -> RawTable:
        """Return the table without its index, all but the columns in `kept`; `index_columns` names what is gone.

        Raises InvalidTable if nothing is left.
        """
        index = tuple(name for name in self.index_columns if name not in kept)
        columns = {name: column for name, column in self.columns.items() if name not in index}
        if not columns:
            raise InvalidTable(f"X has no columns besides pandas' index {', '.join(map(repr, index))}")
        return replace(self, columns=columns, index_columns=index)


def read_form(X: Any, feature_names: Sequence[str] | None, expected: Sequence[str] | None) -> RawTable:
    """Turn rows, records, columns, a DataFrame or what a file held into named columns.

    `feature_names` names the columns of rows; for the other forms it may only give their order. `expected` are the
    columns of a contract: rows have them by position, records need no others. Raises InvalidTable.
    """
    if feature_names is not None:
        check_names(feature_names, "feature_names")
    check_form(X)
    if isinstance(X, pl.DataFrame):
        return _ordered(_of_columns({name: X[name] for name in X.columns}), feature_names)
    if isinstance(X, RawTable):
        return replace(_ordered(_of_columns(X.columns), feature_names), index_columns=X.index_columns)
    if isinstance(X, dict):
        return _ordered(_of_columns(X), feature_names)
    if not X:
        raise InvalidTable("X has no rows")
    if isinstance(X[0], dict):
        return _ordered(_of_records(X, expected), feature_names)
    return _of_rows(X, feature_names, expected)


def check_form(X: Any) -> None:
    """Refuse what is neither rows, records, columns nor a DataFrame, whatever the cells hold. Raises InvalidTable."""
    if isinstance(X, dict):
        _check_columns(X)
    elif isinstance(X, (list, tuple)):
        if X and isinstance(X[0], dict):
            _check_kinds(X, (dict,), "a record like the first row")
        else:
            _check_kinds(X, (list, tuple), "a list like the first row")
    elif not isinstance(X, (pl.DataFrame, RawTable)):
        raise InvalidTable(f"X must be {FORMS}, got {shown_instead(X)}")


def check_names(names: Iterable[Any], where: str, *, start: int = 0) -> None:
    """Refuse column names that are no valid text, empty or given twice; messages count from `start`."""
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


def _of_rows(X: Sequence[Any], feature_names: Sequence[str] | None, expected: Sequence[str] | None) -> RawTable:
    names = feature_names or expected
    width = len(names) if names else len(X[0])
    if set(map(len, X)) != {width}:
        due = f"feature_names has {width}" if feature_names else f"the model has {width} columns" if expected else None
        wrong = ((row, len(cells)) for row, cells in enumerate(X) if len(cells) != width)
        raise InvalidTable.of(
            [
                FieldError(("X", row), f"row {row} has {cell_count(found)}, {due or f'row 0 has {width}'}", found)
                for (row, found), _ in zip(wrong, range(MAX_FIELD_ERRORS), strict=False)
            ]
        )
    if width == 0:
        raise InvalidTable("X has no columns")
    named = names or [f"f{position}" for position in range(width)]
    return RawTable(dict(zip(named, zip(*X, strict=True), strict=True)), len(X))


def _of_records(X: Sequence[Any], expected: Sequence[str] | None) -> RawTable:
    keys = list(expected or X[0])
    check_names(keys, "X")
    if not keys:
        raise InvalidTable("X has no columns")
    dropped = _unexpected_keys(X, keys, refuse=expected is None)
    getter = itemgetter(*keys)
    try:
        picked = list(map(getter, X))
    except KeyError:
        raise _missing_keys(X, keys) from None
    columns = [picked] if len(keys) == 1 else zip(*picked, strict=True)
    return RawTable(dict(zip(keys, columns, strict=True)), len(X), dropped=dropped)


def _unexpected_keys(X: Sequence[dict[str, Any]], keys: Sequence[str], *, refuse: bool) -> tuple[str, ...]:
    if set(map(len, X)) == {len(keys)} and all(map(set(keys).issuperset, X)):
        return ()
    known, extra = set(keys), dict.fromkeys(key for record in X for key in record if key not in set(keys))
    if extra and refuse:
        wrong = ((row, key) for row, record in enumerate(X) for key in record if key not in known)
        raise InvalidTable.of(
            [
                FieldError(
                    ("X", row, str(key)), f"column {key!r}, row {row}: the first record has no such column", str(key)
                )
                for (row, key), _ in zip(wrong, range(MAX_FIELD_ERRORS), strict=False)
            ]
        )
    return tuple(map(str, extra))


def _missing_keys(X: Sequence[dict[str, Any]], keys: Sequence[str]) -> InvalidArgument:
    nowhere = [key for key in keys if not any(key in record for record in X)]
    if nowhere:
        return missing_columns(nowhere, list(dict.fromkeys(key for record in X for key in record)))
    wrong = ((row, key) for row, record in enumerate(X) for key in keys if key not in record)
    errors = [
        FieldError(
            ("X", row, key), f"column {key!r}, row {row}: is not in the record; a missing value is written as null"
        )
        for (row, key), _ in zip(wrong, range(MAX_FIELD_ERRORS), strict=False)
    ]
    return InvalidTable.of(errors)


def missing_columns(names: Sequence[str], given: Sequence[str]) -> InvalidArgument:
    """Build the error for columns that are not there at all."""
    has = ", ".join(map(repr, given[:50])) or "none"
    return InvalidTable.of(
        [FieldError(("X", name), f"column {name!r} is missing; X has the columns {has}") for name in names]
    )


def _of_columns(X: dict[str, Any]) -> RawTable:
    check_names(X, "X")
    if not X:
        raise InvalidTable("X has no columns")
    columns = {name: cells_of(column) for name, column in X.items()}
    heights = {name: len(column) for name, column in columns.items()}
    first, height = next(iter(heights.items()))
    wrong = [
        FieldError(("X", name), f"column {name!r} has {cell_count(found)}, column {first!r} has {height}", found)
        for name, found in heights.items()
        if found != height
    ]
    if wrong:
        raise InvalidTable.of(wrong)
    if height == 0:
        raise InvalidTable("X has no rows")
    return RawTable(columns, height)


def cells_of(column: Any) -> Cells:
    """Return the column of a table's columns as a list, a tuple or, if its cells have one type, a Series."""
    if isinstance(column, pl.Series):
        return column.to_list() if column.dtype == pl.Object else column
    return list(column.tolist()) if isinstance(column, np.ndarray) else column


def _check_columns(X: dict[Any, Any]) -> None:
    check_names(X, "X")
    for name, column in X.items():
        if isinstance(column, (pl.Series, list, tuple)) or (isinstance(column, np.ndarray) and column.ndim == 1):
            continue
        message = f"column {name!r} must be a list of cells, got {shown_instead(column)}; X must be {FORMS}"
        raise InvalidTable.of([FieldError(("X", name), message)])


def _ordered(raw: RawTable, feature_names: Sequence[str] | None) -> RawTable:
    if feature_names is None:
        return raw
    absent = [name for name in feature_names if name not in raw.columns]
    if absent:
        raise missing_columns(absent, list(raw.columns))
    order = dict.fromkeys([*feature_names, *raw.columns])
    return replace(raw, columns={name: raw.columns[name] for name in order})


def _check_kinds(X: Sequence[Any], kinds: tuple[type, ...], due: str) -> None:
    if all(issubclass(found, kinds) for found in set(map(type, X))):
        return
    wrong = ((row, item) for row, item in enumerate(X) if not isinstance(item, kinds))
    raise InvalidTable.of(
        [
            FieldError(
                ("X", row),
                f"row {row} must be {due if row else 'a list or a record'}, got {shown_instead(item)}; X is {FORMS}",
            )
            for (row, item), _ in zip(wrong, range(MAX_FIELD_ERRORS), strict=False)
        ]
    )


def _series(name: str, column: Cells) -> pl.Series:
    if isinstance(column, pl.Series):
        return column.rename(name)
    try:
        return pl.Series(name, column, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series(name, column, dtype=pl.Object)


def cell_count(cells: int) -> str:
    """Say how many cells there are."""
    return "1 cell" if cells == 1 else f"{cells} cells"
