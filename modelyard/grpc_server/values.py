"""The universal `Value` and Python's scalars, each way and lossless."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.struct_pb2 import NullValue

from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.tables.wire import plain_cell

INT64 = range(-(2**63), 2**63)

_NULL = pb.Value(null_value=NullValue.NULL_VALUE)


class NoValue(ValueError):
    """A Value that holds nothing."""


def read_value(value: pb.Value) -> bool | int | float | str | None:
    """Return what a Value holds; None for null. Raises NoValue if it is of no kind."""
    kind = value.WhichOneof("kind")
    if kind == "null_value":
        return None
    if kind is None:
        raise NoValue("a value of no kind; a missing one is written as null_value")
    return getattr(value, kind)  # type: ignore[no-any-return]


def write_value(cell: Any) -> pb.Value:
    """Return a cell as a Value; dates and times as ISO text. Raises ValueError for what no Value can hold."""
    writer = _WRITERS.get(type(cell))
    if writer is not None:
        return writer(cell)
    plain = plain_cell(cell)
    return _WRITERS[type(plain)](plain)


def write_values(cells: Iterable[Any]) -> list[pb.Value]:
    """Return cells as Values. Raises ValueError."""
    return list(map(write_value, cells))


def check_value(cell: Any) -> None:
    """Refuse a cell that no Value can hold. Raises ValueError saying what it must be."""
    write_value(plain_cell(cell))


def _integer(cell: int) -> pb.Value:
    if cell in INT64:
        return pb.Value(int64_value=cell)
    try:
        nearest = float(cell)
    except OverflowError:
        nearest = 0.0
    if int(nearest) == cell:
        return pb.Value(double_value=nearest)
    raise ValueError("must be an integer of 64 bits or a number that a double holds exactly")


_WRITERS: dict[type, Callable[[Any], pb.Value]] = {
    type(None): lambda _: _NULL,
    bool: lambda cell: pb.Value(bool_value=cell),
    int: _integer,
    float: lambda cell: pb.Value(double_value=cell),
    str: lambda cell: pb.Value(string_value=cell),
}
