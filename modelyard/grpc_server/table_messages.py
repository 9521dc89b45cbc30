"""Tables from the wire: rows as Python values, packed columns and Arrow as columns, without an object per cell.

What the cells mean, and whether the table is legal, is decided in `tables`; only what is no table is refused here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from modelyard.errors import MAX_FIELD_ERRORS, FieldError, InvalidRequest, InvalidTable
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.values import NoValue, read_value
from modelyard.tables import read_arrow, stored_name
from modelyard.tables.sources import check_names

KINDS = "rows, columns, arrow or file"


class Sent(NamedTuple):
    """A table as the schemas' requests take it: X, and the names of its columns if they were given apart."""

    X: Any
    feature_names: list[str] | None = None


@contextmanager
def opened(table: pb.Table) -> Iterator[Sent]:
    """Read a table; one that came as a file is on disk while the context lasts. Raises InvalidTable, InvalidRequest."""
    if table.WhichOneof("data") != "file":
        yield read_table(table)
        return
    with tempfile.TemporaryDirectory(prefix="modelyard-upload-") as folder:
        path = Path(folder) / stored_name(table.file.name)
        path.write_bytes(table.file.content)
        yield Sent(path)


def read_table(table: pb.Table) -> Sent:
    """Read rows, columns or Arrow. Raises InvalidTable, InvalidRequest."""
    match table.WhichOneof("data"):
        case "rows":
            return read_rows(table.rows)
        case "columns":
            return Sent(_read_columns(table.columns))
        case "arrow":
            return Sent(read_arrow(table.arrow))
        case _:
            raise InvalidRequest.of([FieldError(("X",), f"field 'X' holds no table; it must be {KINDS}")])


def read_rows(rows: pb.Rows) -> Sent:
    """Read rows or records. Raises InvalidTable."""
    names = list(rows.names)
    try:
        # read_value, written out: a function call a cell would take half as long again. A number other than 0 or a text
        # with a character in it says what kind the value is of, sooner than the question for its kind.
        cells = [
            [
                value.double_value
                or value.string_value
                or (
                    None if (kind := value.WhichOneof("kind")) == "null_value" else getattr(value, kind)  # type: ignore[arg-type]
                )
                for value in row.values
            ]
            for row in rows.rows
        ]
    except TypeError:  # a kind is None
        cells = [
            [None if value.WhichOneof("kind") is None else read_value(value) for value in row.values]
            for row in rows.rows
        ]
        if not names:
            raise _no_kind(rows) from None
    if not names:
        return Sent(cells)
    if len(set(names)) != len(names) or any(len(row) != len(names) for row in cells):
        return Sent(cells, names)  # not legal; the reader of rows says what is wrong
    return Sent([dict(zip(names, row, strict=True)) for row in cells])


def _no_kind(rows: pb.Rows) -> InvalidTable:
    wrong = [
        FieldError(("X", i, j), f"row {i}, cell {j} is a value of no kind; a missing cell is written as null_value")
        for i, row in enumerate(rows.rows)
        for j, value in enumerate(row.values)
        if value.WhichOneof("kind") is None
    ]
    return InvalidTable.of(wrong)  # type: ignore[return-value]


def _read_columns(columns: pb.Columns) -> dict[str, pl.Series | list[Any]]:
    check_names([column.name for column in columns.columns], "X")
    return {column.name: _read_column(column) for column in columns.columns}


def _read_column(column: pb.Column) -> pl.Series | list[Any]:
    name, kind = column.name, column.WhichOneof("data")
    cells: pl.Series | list[Any]
    match kind:
        case "doubles":
            cells = pl.Series(name, np.array(column.doubles.values, dtype=np.float64))
        case "int64s":
            cells = pl.Series(name, np.array(column.int64s.values, dtype=np.int64))
        case "strings":
            cells = pl.Series(name, column.strings.values[:], dtype=pl.String)
        case "bools":
            cells = pl.Series(name, np.array(column.bools.values, dtype=np.bool_))
        case "mixed":
            cells = _mixed_cells(name, column.mixed.values)
        case _:
            message = f"column {name!r} has no values; they must be doubles, int64s, strings, bools or mixed"
            raise InvalidTable.of([FieldError(("X", name), message)])
    return _without_missing(name, cells, column.missing) if column.missing else cells


def _mixed_cells(name: str, values: Sequence[pb.Value]) -> list[Any]:
    try:
        return list(map(read_value, values))
    except NoValue as error:
        wrong = [
            FieldError(("X", row, name), f"column {name!r}, row {row}: {error}")
            for row, value in enumerate(values)
            if value.WhichOneof("kind") is None
        ]
        raise InvalidTable.of(wrong) from None


def _without_missing(name: str, cells: pl.Series | list[Any], missing: Sequence[int]) -> pl.Series | list[Any]:
    rows = np.array(missing, dtype=np.int64)
    if rows.max() >= len(cells):
        wrong = [
            FieldError(
                ("X", name), f"column {name!r}: missing names row {row}, the column has {len(cells)} values", row
            )
            for row in rows[rows >= len(cells)][:MAX_FIELD_ERRORS].tolist()
        ]
        raise InvalidTable.of(wrong)
    if isinstance(cells, pl.Series):
        return cells.scatter(rows, None)
    for row in rows.tolist():
        cells[row] = None
    return cells
