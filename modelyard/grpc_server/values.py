"""The universal `Value` and Python's scalars, each way and lossless."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
from google.protobuf.struct_pb2 import NullValue

from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.schemas.showing import shown
from modelyard.tables.cells import kind_of, shortest_float

INT64 = range(-(2**63), 2**63)

_NULL = pb.Value(null_value=NullValue.NULL_VALUE)


class NoValue(ValueError):
    """A Python object that no Value can hold; the text says why, `due` what it must be."""

    def __init__(self, text: str, due: str = "must be text, a number or a boolean") -> None:
        super().__init__(text)
        self.due = due


def read_value(value: pb.Value) -> bool | int | float | str | None:
    """Return what a Value holds; None for null. Raises NoValue where it is of no kind."""
    kind = value.WhichOneof("kind")
    if kind == "null_value":
        return None
    if kind is None:
        raise NoValue("a value of no kind; a missing one is written as null_value")
    return getattr(value, kind)  # type: ignore[no-any-return]


def write_value(cell: Any) -> pb.Value:
    """Return a scalar as a Value; dates and times as ISO text. Raises NoValue."""
    writer = _WRITERS.get(type(cell))
    try:
        return writer(cell) if writer is not None else _unusual(cell)
    except ValueError as error:  # UnicodeEncodeError and protobuf's own range check among them
        due = (
            "must be valid Unicode text" if isinstance(error, UnicodeEncodeError) else getattr(error, "due", str(error))
        )
        raise NoValue(f"{shown(cell)} cannot be sent: {error}", due) from None


def write_values(cells: Iterable[Any]) -> list[pb.Value]:
    """Return scalars as Values. Raises NoValue."""
    return list(map(write_value, cells))


def _integer(cell: int) -> pb.Value:
    if cell in INT64:
        return pb.Value(int64_value=cell)
    try:
        nearest = float(cell)
    except OverflowError:
        nearest = 0.0
    if int(nearest) == cell:
        return pb.Value(double_value=nearest)
    raise NoValue("it has more than 64 bits", "must be an integer of 64 bits or a number that a double holds exactly")


def _unusual(cell: Any) -> pb.Value:
    if kind_of(type(cell)) == "other" or isinstance(cell, np.timedelta64):  # the latter is one of numpy's integers
        raise NoValue("it must be text, a number or a boolean")
    for kind, convert in _CONVERTED:
        if isinstance(cell, kind):
            return write_value(convert(cell))
    raise NoValue("it must be text, a number or a boolean")


def _decimal(cell: Decimal) -> int | float:
    """Return a Decimal as the number it is to the core; one that is too large as infinity, to be refused as such."""
    nearest = float(cell)
    return int(cell) if math.isfinite(nearest) and cell == cell.to_integral_value() else nearest


_WRITERS: dict[type, Callable[[Any], pb.Value]] = {
    type(None): lambda _: _NULL,
    bool: lambda cell: pb.Value(bool_value=cell),
    int: _integer,
    float: lambda cell: pb.Value(double_value=cell),
    str: lambda cell: pb.Value(string_value=cell),
}
_CONVERTED: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    (str, str),
    (np.bool_, bool),
    ((int, np.integer), int),
    (np.float32, shortest_float),
    ((float, np.floating), float),
    (Decimal, _decimal),
    ((date, datetime, time), lambda cell: cell.isoformat()),
)
