"""The forms of a table in memory: rows, records, columns and DataFrames become named raw columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from operator import itemgetter
from typing import Any

import numpy as np
import polars as pl

from modelyard.errors import MAX_FIELD_ERRORS, FieldError, InvalidArgument, InvalidTable
from modelyard.schemas.showing import shown_instead
from modelyard.tables.moments import array_of_moments
from modelyard.tables.sources.raw import Cells, RawTable, cell_count, check_names, missing_columns

FORMS = "rows ([[39, 'x'], ...]), records ([{'age': 39, ...}, ...]) or columns ({'age': [39, ...], ...})"


def read_form(X: Any, feature_names: Sequence[str] | None, expected: Sequence[str] | None) -> RawTable:
    """Turn rows, records, columns, a DataFrame or a raw table into named columns.

    `feature_names` names the columns of rows; for the other forms it gives an order. `expected` are the columns of a
    contract: rows without `feature_names` have these names by position, and other keys of records are dropped. Raises
    InvalidTable.
    """
    if feature_names is not None:
        check_names(feature_names, "feature_names")
    check_form(X)
    if isinstance(X, pl.DataFrame):
        return _of_columns({name: X[name] for name in X.columns}).ordered(feature_names)
    if isinstance(X, RawTable):
        return replace(_of_columns(X.columns).ordered(feature_names), index_columns=X.index_columns)
    if isinstance(X, dict):
        return _of_columns(X).ordered(feature_names)
    if not X:
        raise InvalidTable("X has no rows")
    if isinstance(X[0], dict):
        return _of_records(X, expected).ordered(feature_names)
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
    """Return the keys of all records that are not in `keys`. Raises InvalidTable if there are some to refuse."""
    known = set(keys)
    if set(map(len, X)) == {len(keys)} and all(map(known.issuperset, X)):
        return ()
    unexpected = ((row, key) for row, record in enumerate(X) for key in record if key not in known)
    if not refuse:
        return tuple(map(str, dict.fromkeys(key for _, key in unexpected)))
    errors = [
        FieldError(("X", row, str(key)), f"column {key!r}, row {row}: the first record has no such column", str(key))
        for row, key in islice(unexpected, MAX_FIELD_ERRORS)
    ]
    if errors:
        raise InvalidTable.of(errors)
    return ()


def _missing_keys(X: Sequence[dict[str, Any]], keys: Sequence[str]) -> InvalidArgument:
    nowhere = [key for key in keys if not any(key in record for record in X)]
    if nowhere:
        return missing_columns(nowhere, list(dict.fromkeys(key for record in X for key in record)))
    return _wrong(
        FieldError(
            ("X", row, key), f"column {key!r}, row {row}: is not in the record; a missing value is written as null"
        )
        for row, record in enumerate(X)
        for key in keys
        if key not in record
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
    if not isinstance(column, np.ndarray):
        given: Cells = column
        return given
    if column.dtype.kind == "M":
        return array_of_moments(column)
    return list(column if column.dtype.kind == "m" else column.tolist())  # durations would become integers


def _check_columns(X: dict[Any, Any]) -> None:
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
