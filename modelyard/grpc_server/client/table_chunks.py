"""Tables onto the wire, in chunks of bounded size: files as they are, DataFrames as Arrow, others packed or as rows."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from modelyard.client import unreadable
from modelyard.errors import PayloadTooLarge
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.values import INT64, check_value, write_value, write_values
from modelyard.tables.sources.forms import cells_of, check_form
from modelyard.tables.wire import keys_of, wrong_cells

_EXACT_INTEGERS = range(-(2**53), 2**53 + 1)
LARGEST_TABLE = 2**30
_BYTES_PER_CELL = 16
"""A first guess at the size of a cell; chunks that turn out too large are halved."""


def chunks(X: Any, max_bytes: int, feature_names: list[str] | None = None) -> Iterator[tuple[pb.Table, int]]:
    """Yield a table in chunks of about `max_bytes` at most, each with its number of rows (0 for a piece of a file).

    A single row is never divided. Raises InvalidTable if it is no table or holds what no Value can (rows are named
    by `feature_names`), or a file that cannot be read.
    """
    if isinstance(X, Path):
        yield from _file_chunks(X, max_bytes)
        return
    try:
        yield from _sliced(X, max_bytes)
    except ValueError:
        raise wrong_cells(X, feature_names, check_value) from None


def whole(X: Any, feature_names: list[str] | None = None) -> pb.Table:
    """Return a table in one piece. Raises PayloadTooLarge for more than LARGEST_TABLE, and what `chunks` raises."""
    found = chunks(X, LARGEST_TABLE, feature_names)
    table, _ = next(found)
    if next(found, None) is not None:
        raise PayloadTooLarge(f"the table goes in one message, so it must have at most {LARGEST_TABLE // 2**20} MB")
    return table


def _file_chunks(path: Path, max_bytes: int) -> Iterator[tuple[pb.Table, int]]:
    name = path.name.encode("utf-8", "replace").decode()
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes)
            while True:
                following = file.read(max_bytes)
                yield pb.Table(file=pb.File(name=name, content=content)), 0
                if not following:
                    return
                content = following
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error


def _sliced(X: Any, max_bytes: int) -> Iterator[tuple[pb.Table, int]]:
    height, width = _shape(X)
    step = max(1, max_bytes // (_BYTES_PER_CELL * max(1, width)))
    names = keys_of(X) if isinstance(X, list | tuple) and X and isinstance(X[0], dict) else None
    start = 0
    while start < height or start == 0:
        rows = min(step, height - start)
        table = _write(X, names, start, start + rows)
        if table.ByteSize() > max_bytes and rows > 1:
            step = max(1, rows // 2)
            continue
        yield table, rows
        start += max(1, rows)


def _shape(X: Any) -> tuple[int, int]:
    """Return a table's numbers of rows and columns, as far as its form has them. Raises InvalidTable."""
    check_form(X)
    if isinstance(X, pl.DataFrame):
        return X.shape
    if isinstance(X, dict):
        return max(map(len, X.values()), default=0), len(X)
    return len(X), len(X[0]) if X else 0


def _write(X: Any, names: list[str] | None, start: int, stop: int) -> pb.Table:
    if isinstance(X, pl.DataFrame):
        if pl.Object not in X.dtypes:
            return pb.Table(arrow=_arrow(X[start:stop]))
        X = {name: X[name].to_list() for name in X.columns}
    if isinstance(X, dict):
        return pb.Table(columns=pb.Columns(columns=[_column(name, column[start:stop]) for name, column in X.items()]))
    piece = X[start:stop]
    if names is None:
        return pb.Table(rows=pb.Rows(rows=[pb.Row(values=write_values(row)) for row in piece]))
    return pb.Table(rows=pb.Rows(names=names, rows=[_record(row, names) for row in piece]))


def _record(record: dict[str, Any], names: list[str]) -> pb.Row:
    if len(record) == len(names):
        return pb.Row(values=[write_value(record[name]) for name in names])
    return pb.Row(values=[write_value(record[name]) if name in record else pb.Value() for name in names])


def _arrow(frame: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.write_ipc_stream(stream)
    return stream.getvalue()


def _column(name: str, cells: Any) -> pb.Column:
    """Pack a column by the one type of its cells; None is missing."""
    cells = cells_of(cells)
    if isinstance(cells, pl.Series):
        cells = cells.to_list()
    kinds = set(map(type, cells))
    missing = [row for row, cell in enumerate(cells) if cell is None] if type(None) in kinds else []
    kinds.discard(type(None))
    if kinds == {int, float} and all(type(cell) is not int or cell in _EXACT_INTEGERS for cell in cells):
        kinds = {float}
    if kinds == {float} or not cells:
        values = [0.0 if cell is None else cell for cell in cells] if missing else cells
        return pb.Column(name=name, doubles=pb.DoubleColumn(values=values), missing=missing)
    if kinds == {int} and all(cell is None or cell in INT64 for cell in cells):
        whole: Any = [0 if cell is None else cell for cell in cells] if missing else cells
        return pb.Column(name=name, int64s=pb.Int64Column(values=whole), missing=missing)
    if kinds == {bool}:
        return pb.Column(name=name, bools=pb.BoolColumn(values=map(bool, cells)), missing=missing)
    if kinds == {str}:
        texts = ["" if cell is None else cell for cell in cells] if missing else cells
        return pb.Column(name=name, strings=pb.StringColumn(values=texts), missing=missing)
    return pb.Column(name=name, mixed=pb.MixedColumn(values=write_values(cells)))
