"""The forms of a table in memory: rows, records, columns and DataFrames become named raw columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, islice
from operator import itemgetter
from typing import Any

import numpy as np
import polars as pl

from modelyard.errors import MAX_FIELD_ERRORS, FieldError, InvalidArgument, InvalidTable
from modelyard.schemas.showing import shown_instead
from modelyard.tables.moments import array_of_moments
from modelyard.tables.sources import pandas_orients
from modelyard.tables.sources.raw import Cells, RawTable, cell_count, check_names, missing_columns

FORMS = "rows ([[39, 'x'], ...]), records ([{'age': 39, ...}, ...]) or columns ({'age': [39, ...], ...})"


def read_form(
    X: Any, feature_names: Sequence[str] | None, expected: Sequence[str] | None, carried: str | None = None
) -> RawTable:
    """Turn rows, records, columns, a DataFrame or a raw table into named columns.

    `feature_names` names the columns of rows; for the other forms it gives an order. `expected` are the columns of a
    contract: rows without `feature_names` have these names by position, and other keys of records are dropped, all but
    the one that is `carried`. Raises InvalidTable.
    """
    if feature_names is not None:
        check_names(feature_names, "feature_names")
    check_form(X)
    if isinstance(X, pl.DataFrame):
        return _of_columns({name: X[name] for name in X.columns}).ordered(feature_names)
    if isinstance(X, RawTable):
        return replace(X, columns=_of_columns(X.columns).columns).ordered(feature_names)
    if isinstance(X, dict):
        return _of_columns(X).ordered(feature_names)
    if not X:
        raise InvalidTable("the table has no rows")
    if isinstance(X[0], dict):
        return _of_records(X, expected, carried).ordered(feature_names)
    return _of_rows(X, feature_names, expected)


def check_form(X: Any) -> None:
    """Check that X is rows, records, columns or a DataFrame, whatever the cells hold. Raises InvalidTable."""
    if isinstance(X, dict):
        _check_columns(X)
    elif isinstance(X, (list, tuple)):
        if X and isinstance(X[0], dict):
            _check_kinds(X, (dict,), "a record like the first row")
        else:
            _check_kinds(X, (list, tuple), "a list like the first row")
    elif not isinstance(X, (pl.DataFrame, RawTable)):
        raise InvalidTable(f"X must be {FORMS}, got {shown_instead(X)}")


def _of_rows(X: Sequence[Any], feature_names: Sequence[str] | None, expected: Sequence[str] | None) -> RawTable:
    names = feature_names or expected
    width = len(names) if names else len(X[0])
    if set(map(len, X)) != {width}:
        due = f"feature_names has {width}" if feature_names else f"the model has {width} columns" if expected else None
        wrong = ((row, len(cells)) for row, cells in enumerate(X) if len(cells) != width)
        raise _wrong(
            FieldError(("X", row), f"row {row} has {cell_count(found)}, {due or f'row 0 has {width}'}", found)
            for row, found in wrong
        )
    if width == 0:
        raise InvalidTable("X has no columns")
    named = names or [f"f{position}" for position in range(width)]
    return RawTable(dict(zip(named, zip(*X, strict=True), strict=True)), len(X))


def _of_records(X: Sequence[Any], expected: Sequence[str] | None, carried: str | None) -> RawTable:
    """Read records. A key that some of them leave out is a missing cell there, because many programs write no nulls.

    A key that none of them has is a missing column.
    """
    alike = _are_alike(X)
    given = dict.fromkeys(X[0] if alike else chain.from_iterable(X))
    keys = list(expected or given)
    if expected and carried in given:
        keys.append(carried)
    check_names(keys, "X")
    if not keys:
        raise InvalidTable("X has no columns")
    absent = [key for key in keys if key not in given]
    if absent:
        raise missing_columns(absent, list(map(str, given)), "a missing cell is written as null")
    columns: Iterable[Cells]
    if alike and len(keys) > 1:
        columns = zip(*map(itemgetter(*keys), X), strict=True)
    else:
        columns = ([record.get(key) for record in X] for key in keys)
    dropped = tuple(str(key) for key in given if key not in set(keys))
    return RawTable(dict(zip(keys, columns, strict=True)), len(X), dropped=dropped)


def _are_alike(records: Sequence[dict[str, Any]]) -> bool:
    """Whether all records have the same keys."""
    first = frozenset(records[0])
    return set(map(len, records)) == {len(first)} and all(map(first.issuperset, records))


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
        raise InvalidTable("the table has no rows")
    return RawTable(columns, height)


def cells_of(column: Any) -> Cells:
    """Return the column of a table's columns as a list, a tuple or, if its cells have one type, a Series."""
    if isinstance(column, pl.Series):
        return column.to_list() if column.dtype == pl.Object else column
    if not isinstance(column, np.ndarray):
        given: Cells = column
        return given
    if column.dtype.kind == "M":
        return array_of_moments(column)
    return list(column if column.dtype.kind == "m" else column.tolist())  # durations would become integers


def _check_columns(X: dict[Any, Any]) -> None:
    if (orient := pandas_orients.orient_of(X)) is not None:
        raise InvalidTable(f"X is what pandas writes with {orient}; {pandas_orients.WAY_OUT}; X must be {FORMS}")
    check_names(X, "X")
    for name, column in X.items():
        if isinstance(column, (pl.Series, list, tuple)) or (isinstance(column, np.ndarray) and column.ndim == 1):
            continue
        message = f"column {name!r} must be a list of cells, got {shown_instead(column)}; X must be {FORMS}"
        raise InvalidTable.of([FieldError(("X", name), message)])


def _check_kinds(X: Sequence[Any], kinds: tuple[type, ...], due: str) -> None:
    if all(issubclass(found, kinds) for found in set(map(type, X))):
        return
    raise _wrong(
        FieldError(
            ("X", row),
            f"row {row} must be {due if row else 'a list or a record'}, got {shown_instead(item)}; X is {FORMS}",
        )
        for row, item in enumerate(X)
        if not isinstance(item, kinds)
    )


def _wrong(errors: Iterable[FieldError]) -> InvalidArgument:
    return InvalidTable.of(list(islice(errors, MAX_FIELD_ERRORS)))
