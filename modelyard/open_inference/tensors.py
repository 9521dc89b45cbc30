"""Tensors: the cells of one, from JSON or typed values, or packed into bytes as the binary extension has them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.errors import MAX_FIELD_ERRORS, FieldError, InvalidTable
from modelyard.schemas.showing import kind_shown, shown
from modelyard.tables import FEW_ROWS

Cells: TypeAlias = "list[Any] | npt.NDArray[Any] | pl.Series"

_LENGTH = struct.Struct("<I")
_FLOAT = struct.Struct("<d")
_NOTHING = type(None)


class Datatype(NamedTuple):
    """What the cells of a datatype are: in JSON, in numpy (BYTES are none), and in words."""

    kinds: frozenset[type]
    dtype: np.dtype[Any] | None
    due: str

    def bounds(self) -> tuple[int, int] | None:
        """Return the least and the greatest integer; None if the cells are no integers."""
        if self.dtype is None or self.dtype.kind not in "iu":
            return None
        info = np.iinfo(self.dtype)
        return int(info.min), int(info.max)


def _of_numpy(code: str, due: str, *kinds: type) -> Datatype:
    return Datatype(frozenset({*kinds, _NOTHING}), np.dtype(f"<{code}"), due)


DATATYPES: dict[str, Datatype] = {
    "BOOL": _of_numpy("?", "true or false", bool),
    **{
        f"{word}{8 * size}": _of_numpy(f"{code}{size}", f"an integer of {8 * size} bits{sign}", int)
        for word, code, sign in (("INT", "i", ""), ("UINT", "u", " without a sign"))
        for size in (1, 2, 4, 8)
    },
    **{f"FP{8 * size}": _of_numpy(f"f{size}", "a number", float, int) for size in (2, 4, 8)},
    "BYTES": Datatype(frozenset({str, bytes, _NOTHING}), None, "text"),
}
_BOUNDS = {name: bounds for name, datatype in DATATYPES.items() if (bounds := datatype.bounds()) is not None}


class Tensor(msgspec.Struct, gc=False):
    """A tensor that came: `data` are its cells as (nested) lists, or as bytes in row-major order."""

    name: str
    datatype: str
    shape: list[int]
    data: Any = None
    parameters: dict[str, Any] | None = None

    def rows(self) -> int:
        """Return its first dimension. Raises InvalidTable for a shape that is neither [n], nor [n, k]."""
        shape = self.shape
        if len(shape) not in (1, 2) or min(shape) < 0:
            raise wrong_tensor(self, f"must have a shape of [n] or [n, k], got {shown(list(shape))}")
        return shape[0]

    def cells(self) -> Cells:
        """Return the cells, flat. Those of floats, integers and booleans from bytes are an array without a copy.

        Raises InvalidTable if they are too few or too many, or of another type than `datatype` says.
        """
        datatype = DATATYPES.get(self.datatype)
        if datatype is None:
            raise wrong_tensor(self, f"has datatype {shown(self.datatype)}; it must be one of {', '.join(DATATYPES)}")
        n = self.shape[0] if len(self.shape) == 1 else self.shape[0] * self.shape[1]
        if isinstance(self.data, list):
            return self._checked(self.data, n, datatype)
        if isinstance(self.data, (bytes, memoryview)):
            return self._unpacked(self.data, n, datatype)
        if self.data is None:
            raise wrong_tensor(self, "has no data, neither as a list nor in binary form")
        raise wrong_tensor(self, f"must have a list as its data, got {kind_shown(self.data)}")

    def _checked(self, data: list[Any], n: int, datatype: Datatype) -> list[Any]:
        cells = data
        while cells and type(cells[0]) is list:
            if set(map(type, cells)) != {list}:
                raise wrong_tensor(self, "has lists and cells side by side in its data")
            cells = list(chain.from_iterable(cells))
        if len(cells) != n:
            raise wrong_tensor(self, f"has {len(cells):,} cells; its shape {shown(list(self.shape))} is of {n:,}")
        if not datatype.kinds.issuperset(map(type, cells)):
            raise self._wrong_cells(cells, [type(cell) in datatype.kinds for cell in cells], datatype.due)
        if (bounds := _BOUNDS.get(self.datatype)) is not None:
            least, most = bounds
            fits = [cell is None or least <= cell <= most for cell in cells]
            if not all(fits):
                raise self._wrong_cells(cells, fits, datatype.due)
        if datatype.dtype is None and bytes in set(map(type, cells)):
            return self._texts(cells)
        return cells

    def _unpacked(self, data: bytes | memoryview, n: int, datatype: Datatype) -> Cells:
        if datatype.dtype is None:
            many = many_texts(data, n) if n > FEW_ROWS else None
            return self._texts(self._elements(memoryview(data), n)) if many is None else many
        due = n * datatype.dtype.itemsize
        if len(data) != due:
            raise wrong_tensor(self, f"has {len(data):,} bytes; {n:,} cells of {self.datatype} are {due:,}")
        return np.frombuffer(data, dtype=datatype.dtype)

    def _elements(self, data: memoryview, n: int) -> list[bytes]:
        elements: list[bytes] = []
        at, end = 0, len(data)
        while at + _LENGTH.size <= end:
            begin = at + _LENGTH.size
            at = begin + _LENGTH.unpack_from(data, at)[0]
            if at > end:
                break
            elements.append(bytes(data[begin:at]))
        if at != end:
            raise wrong_tensor(self, f"has {end:,} bytes, which end within element {len(elements)}")
        if len(elements) != n:
            raise wrong_tensor(self, f"has {len(elements):,} elements; its shape {shown(list(self.shape))} is of {n:,}")
        return elements

    def _texts(self, cells: Sequence[Any]) -> list[Any]:
        try:
            return [cell.decode() if type(cell) is bytes else cell for cell in cells]
        except UnicodeDecodeError:
            raise self._wrong_cells(cells, list(map(_is_text, cells)), "text in UTF-8") from None

    def _wrong_cells(self, cells: Sequence[Any], fits: Iterable[bool], due: str) -> InvalidTable:
        width = self.shape[1] if len(self.shape) == 2 and self.shape[1] else 1
        wrong = [row for row, one in enumerate(fits) if not one][:MAX_FIELD_ERRORS]
        errors = [
            FieldError(
                ("X", at // width, self.name),
                f"tensor {shown(self.name)}, row {at // width}: a cell of {self.datatype} must be {due}, "
                f"got {shown(cells[at])}",
                cells[at],
            )
            for at in wrong
        ]
        return InvalidTable.of(errors)  # type: ignore[return-value]


def wrong_tensor(tensor: Tensor, problem: str) -> InvalidTable:
    """Return the error for a tensor that is wrong as a whole."""
    message = f"tensor {shown(tensor.name)} {problem}"
    return InvalidTable(message, errors=[FieldError(("X", tensor.name), message)])


def packed(datatype: str, cells: Sequence[Any]) -> bytes:
    """Return cells as the binary extension has them. BYTES are texts, each after its length in four bytes."""
    dtype = DATATYPES[datatype].dtype
    if dtype is not None:
        return np.array(cells, dtype=dtype).tobytes()
    return b"".join(map(_PackedTexts().__getitem__, cells))


class _PackedTexts(dict[str, bytes]):
    """Texts as they are packed, each packed once."""

    def __missing__(self, text: str) -> bytes:
        encoded = text.encode()
        self[text] = packed = _LENGTH.pack(len(encoded)) + encoded
        return packed


def one_cell(datatype: str, data: bytes) -> Any:
    """Return the one cell that bytes are; None if they are none, or of a datatype that is not usual."""
    if datatype == "FP64" and len(data) == _FLOAT.size:
        return _FLOAT.unpack(data)[0]
    if datatype == "BYTES" and len(data) >= _LENGTH.size and _LENGTH.unpack_from(data)[0] == len(data) - _LENGTH.size:
        try:
            return data[_LENGTH.size :].decode()
        except UnicodeDecodeError:
            return None
    return None


def many_texts(data: bytes | memoryview, n: int) -> pl.Series | None:
    """Return n packed texts without an object for each; None if one has a NUL or 256 bytes, or something is wrong.

    Each length of four bytes ends with three NULs then, which stand nowhere else but beside the length of an empty
    text. From these places the chain of lengths is followed. A NUL takes the place of each length, and all texts are
    one text to split.
    """
    content = np.frombuffer(data, dtype=np.uint8)
    nul = content == 0
    places = np.flatnonzero(nul[1:-2] & nul[2:-1] & nul[3:])
    if len(places) == 0 or places[0] != 0:
        return None
    ends = places + _LENGTH.size + content[places]
    chain = np.arange(n) if len(places) == n else _chain(places, ends, n)
    if len(chain) < n:
        return None
    starts = places[chain]
    if ends[chain[-1]] != len(content) or (starts[1:] != ends[chain[:-1]]).any():
        return None
    kept = np.ones(len(content), dtype=np.bool_)
    for at in range(_LENGTH.size - 1):
        kept[starts + at] = False
    try:
        text = content[kept][1:].tobytes().decode()
    except UnicodeDecodeError:
        return None
    texts = pl.Series([text]).str.split("\0").explode()
    return texts if len(texts) == n else None


def _chain(places: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.int64]:
    """Return which of the places are reached from the first in n steps, each from an end to the place there."""
    step = np.append(np.searchsorted(places, ends), len(places))  # beyond the last place there is no other
    chain = np.zeros(1, dtype=np.int64)
    while len(chain) < n:
        chain, step = np.append(chain, step[chain]), step[step]
    return chain[:n][chain[:n] < len(places)]


def _is_text(cell: Any) -> bool:
    try:
        return not isinstance(cell, bytes) or cell.decode() is not None
    except UnicodeDecodeError:
        return False
