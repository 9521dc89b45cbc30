"""Ids of rows to predict for, carried into the answer as they came: a CSV's `00123` stays the text `00123`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from modelyard.errors import MAX_FIELD_ERRORS, InvalidTable
from modelyard.tables.cells import finite, is_nan, kind_of, wrong_cell
from modelyard.tables.sources import Cells
from modelyard.tables.wire import Plain, plain_cell

_INT64 = range(-(2**63), 2**63)
_AS_THEY_ARE = frozenset({str, bool, type(None)})
_NARROW_INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32)


def ids_of_records(records: Sequence[dict[str, Any]], name: str) -> list[Plain] | None:
    """Return the ids of records; None if none of them has the column. Raises InvalidTable."""
    if not any(name in record for record in records):
        return None
    return ids_of_column([record.get(name) for record in records], name)


def ids_of_column(column: Cells, name: str) -> list[Plain]:
    """Return the cells of a column as ids: texts, numbers, booleans, None for a missing one; dates as ISO texts.

    Raises InvalidTable naming the rows whose cells are nothing of that, or numbers that no answer could carry.
    """
    if isinstance(column, pl.Series):
        if isinstance(column.dtype, pl.Categorical | pl.Enum):
            column = column.cast(pl.String)
        if column.dtype in (pl.String, pl.Boolean, pl.Null, *_NARROW_INTEGERS):
            return column.to_list()
        column = column.to_list()
    if set(map(type, column)) <= _AS_THEY_ARE:
        return list(column)
    ids: list[Plain] = []
    wrong = []
    for row, cell in enumerate(column):
        try:
            ids.append(_id(cell))
        except ValueError as problem:
            wrong.append(wrong_cell(name, row, str(problem), cell))
            if len(wrong) == MAX_FIELD_ERRORS:
                break
    if wrong:
        raise InvalidTable.of(wrong)
    return ids


def _id(cell: Any) -> Plain:
    kind = kind_of(type(cell))
    if kind == "number" and is_nan(cell):
        return None
    if kind == "moment" and cell != cell:  # NaT
        return None
    value = plain_cell(cell)
    if type(value) is float:
        return finite(value)
    if type(value) is int and value not in _INT64:
        raise ValueError("must be text or an integer of 64 bits")
    return value
