"""Pandas' index in files: columns that number or name the rows and are no features.

Pandas writes its index as columns beside the others, and says which in the JSON under the key `pandas` of the schema's
metadata. Polars hands out Parquet's metadata but not Arrow's, which is therefore read here. In CSV the index is the
first column, without a name.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import orjson
import polars as pl

_KEY = "pandas"
_FILE = b"ARROW1"
_FOOTER_SCHEMA, _MESSAGE_HEADER, _SCHEMA_METADATA, _PAIR_KEY, _PAIR_VALUE = 1, 2, 2, 0, 1
"""The places of fields in the tables Footer, Message, Schema and KeyValue, after Arrow's File.fbs, Message.fbs and
Schema.fbs."""


def in_parquet(data: bytes) -> tuple[str, ...]:
    """Return the columns that the metadata of a readable Parquet file call an index."""
    return _names(pl.read_parquet_metadata(io.BytesIO(data)).get(_KEY, ""))


def in_arrow(data: bytes) -> tuple[str, ...]:
    """Return the columns that the metadata of an Arrow file or stream call an index; none if they are damaged."""
    try:
        return _names(dict(_arrow_metadata(data)).get(_KEY.encode(), b""))
    except struct.error:
        return ()


def _names(text: str | bytes) -> tuple[str, ...]:
    """Return the names of the index's columns; an index that only counts the rows is an object and has no column."""
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError:
        return ()
    found = said.get("index_columns") if isinstance(said, dict) else None
    return tuple(name for name in found if isinstance(name, str)) if isinstance(found, list) else ()


def _arrow_metadata(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values beside an Arrow schema. Raises struct.error."""
    if data.startswith(_FILE):  # a file ends with its footer, the footer's length and the magic bytes again
        end = len(data) - len(_FILE) - 4
        schema = _field(data, _followed(data, end - _number(data, end)), _FOOTER_SCHEMA)
    else:  # a stream begins with a mark, the length of its first message, and that message
        schema = _field(data, _followed(data, 8), _MESSAGE_HEADER)
    pairs = schema and _field(data, schema, _SCHEMA_METADATA)
    if not pairs:
        return
    for number in range(_number(data, pairs)):
        pair = _followed(data, pairs + 4 + 4 * number)
        key, value = _field(data, pair, _PAIR_KEY), _field(data, pair, _PAIR_VALUE)
        if key and value:
            yield _text(data, key), _text(data, value)


def _field(data: bytes, table: int, field: int) -> int | None:
    """Return the place of a flatbuffer's table, vector or text that is a field of a table; None if it is left out.

    A table begins with the distance back to its vtable, which holds two sizes and then each field's distance, or 0.
    """
    (back,) = struct.unpack_from("<i", data, table)
    entry = 4 + 2 * field
    (size,) = struct.unpack_from("<H", data, table - back)
    (distance,) = struct.unpack_from("<H", data, table - back + entry) if entry < size else (0,)
    return _followed(data, table + distance) if distance else None


def _followed(data: bytes, place: int) -> int:
    return place + _number(data, place)


def _text(data: bytes, place: int) -> bytes:
    return data[place + 4 : place + 4 + _number(data, place)]


def _number(data: bytes, place: int) -> int:
    found: int = struct.unpack_from("<I", data, place)[0]
    return found
