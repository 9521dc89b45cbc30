"""The text of a large JSON table as columns: straight into typed cells, without a dictionary for each record.

Only tables that a contract expects go this way: records with no other columns, or rows of as many plain cells. Any
other table is read as JSON and left to the way of all tables, so that errors and warnings are made in one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec
import polars as pl

from modelyard.schemas import FeatureType
from modelyard.tables.contract import Contract
from modelyard.tables.reading.few_rows import FEW_ROWS
from modelyard.tables.sources import Cells, JsonTable

_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""orjson reads integers of more bits as floats."""

_ROWS = re.compile(rb"\s*\[\s*\[")
_UNFIT = (msgspec.DecodeError, UnicodeDecodeError)

_PIECE_BYTES = 2**19
"""A text is decoded in pieces of about this size. The interpreter's lock is held while one is, a millisecond or two."""

_ROWS_AT_ONCE = 1000
"""So many rows are turned into columns at a time, for the same reason."""

_CUT = re.compile(rb"(?<=[}\]])\s*,\s*(?=[{\[])")

_ESCAPED = re.compile(r'["\\\x00-\x1f]')
"""msgspec decodes no records that have such characters in their keys."""

_MOST_LOOKED_UP = 10_000
"""Columns of more categories (names, codes) are not looked up: most of their texts are new in prediction."""


class JsonTextReader:
    """Reads the text of tables against one contract.

    Texts that training knew are looked up while they are read: no objects are made of them, and few texts stay in the
    processor's caches. A column that held other texts once is read without looking up from then on, because it will
    hold others again. Of columns that the contract does not have, records may have the one that is `carried`.
    """

    def __init__(self, contract: Contract, carried: str | None = None) -> None:
        self._contract = contract
        self._carried = carried
        self._reads_records = not any(map(_ESCAPED.search, (*contract.feature_types, carried or "")))
        self._known = {
            name: known
            for name, column in contract.categorical.items()
            if column.source == "text"
            and len(column.categories) <= _MOST_LOOKED_UP
            and (known := frozenset(column.categories) - column.escaped)
        }
        self._decoders: dict[bool, msgspec.json.Decoder[Any]] = {}
        self._any_cells: dict[bool, msgspec.json.Decoder[Any]] = {}

    def read(self, table: JsonTable, feature_names: Sequence[str] | None = None) -> Any:
        """Return the table as columns. Returns plain Python data if it has another form or at most FEW_ROWS rows.

        Raises InvalidTable if the text is not JSON.
        """
        by_position = _ROWS.match(table.text) is not None
        fits = feature_names is None if by_position else self._reads_records
        read = self._read(table.text, by_position) if fits else None
        if not read or len(read[0]) <= FEW_ROWS:
            return table.document()
        columns = dict(zip(self._contract.feature_types.items(), read, strict=False))
        if not by_position and any(all(cell is None for cell in cells) for cells in columns.values()):
            return table.document()  # it tells keys that no record has from nulls
        found: dict[str, Cells] = {
            name: _series(name, cells, pl.Float64 if kind == "numeric" else pl.String)
            for (name, kind), cells in columns.items()
        }
        for ids in read[len(columns) :]:  # one column more at most
            if self._carried is not None and any(cell is not msgspec.UNSET for cell in ids):
                found[self._carried] = [None if cell is msgspec.UNSET else cell for cell in ids]
        return found

    def _read(self, text: bytes, by_position: bool) -> list[list[Any]] | None:
        """Return the columns; None if they do not fit the contract, nothing if there are no rows."""
        with suppress(*_UNFIT):
            return _decode(text, self._decoder(self._decoders, by_position, self._known), by_position)
        try:
            read = _decode(text, self._decoder(self._any_cells, by_position, {}), by_position)
        except _UNFIT:
            return None
        columns = dict(zip(self._contract.feature_names, read, strict=False))
        self._known = {name: known for name, known in self._known.items() if known.issuperset(columns.get(name, ()))}
        self._decoders = {}
        return read

    def _decoder(
        self, made: dict[bool, msgspec.json.Decoder[Any]], by_position: bool, known: Mapping[str, frozenset[str]]
    ) -> msgspec.json.Decoder[Any]:
        """Return the decoder of rows (`by_position`) or records, from those `made` already."""
        if by_position not in made:
            types = self._contract.feature_types.items()
            cells = {name: _cell(kind, known.get(name)) for name, kind in types}
            row: Any = tuple.__class_getitem__(tuple(cells.values())) if by_position else _record(cells, self._carried)
            made[by_position] = msgspec.json.Decoder(list[row])
        return made[by_position]


def _decode(text: bytes, decoder: msgspec.json.Decoder[Any], by_position: bool) -> list[list[Any]]:
    """Return the rows of a text as columns. Raises what is in _UNFIT.

    It is cut between two rows, which only the decoder knows: a piece that was cut elsewhere, such as within a text, is
    no JSON. Then the text is decoded whole.
    """
    with suppress(*_UNFIT):
        return _columns(map(decoder.decode, _pieces(text)), by_position)
    return _columns([decoder.decode(text)], by_position)


def _pieces(text: bytes) -> Iterator[bytes]:
    start, opening = 0, b""
    while (cut := _CUT.search(text, start + _PIECE_BYTES)) is not None:
        yield b"%b%b]" % (opening, text[start : cut.start()])
        start, opening = cut.end(), b"["
    yield opening + text[start:] if start else text


def _cell(kind: FeatureType, known: frozenset[str] | None) -> Any:
    """Return the type of a column's cells."""
    if kind == "numeric":
        return float | str | None
    if known is None:
        return str | bool | _Int64 | float | None
    return Literal[(*known, None)]


def _record(cells: Mapping[str, Any], carried: str | None) -> type[msgspec.Struct]:
    fields = {f"f{i}": name for i, name in enumerate(cells)}
    typed: list[Any] = [(field, cell, None) for field, cell in zip(fields, cells.values(), strict=True)]
    if carried is not None:
        fields["carried"] = carried
        typed.append(("carried", str | bool | _Int64 | float | msgspec.UnsetType | None, msgspec.UNSET))
    return msgspec.defstruct("Record", typed, rename=fields, forbid_unknown_fields=True, gc=False)


def _columns(pieces: Iterable[Sequence[Any]], by_position: bool) -> list[list[Any]]:
    columns: list[list[Any]] = []
    for rows in pieces:
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[start : start + _ROWS_AT_ONCE]
            turned = [*zip(*(some if by_position else map(msgspec.structs.astuple, some)), strict=True)]
            columns = columns or [[] for _ in turned]
            for column, cells in zip(columns, turned, strict=True):
                column.extend(cells)
    return columns


def _series(name: str, cells: Sequence[Any], dtype: type[pl.DataType]) -> Cells:
    """Return cells of one type as a Series, others as a list."""
    try:
        return pl.Series(name, cells, dtype=dtype, strict=True)
    except (TypeError, pl.exceptions.PolarsError):
        return list(cells)
