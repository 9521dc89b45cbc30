"""Texts of files: their encoding found out or as it was told, made UTF-8."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from itertools import chain

from modelyard.errors import InvalidTable
from modelyard.tables.sources.foreign import foreign
from modelyard.tables.sources.options import FileOptions

_UTF_8 = "utf-8"
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, _UTF_8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FORMATS = "CSV, JSON, JSON lines, Parquet, Arrow or Excel (.xlsx)"
_WAY_OUT = "say its encoding, such as cp1251, latin-1 or utf-16, or save it as UTF-8"


def text_of(data: bytes, label: str, options: FileOptions) -> bytes:
    """Return the text of a file in UTF-8, without its byte order mark.

    A byte order mark decides on the encoding, then `options`; else it is UTF-8, or if it cannot be that, the usual one.
    `label` names the file in messages. Raises InvalidTable.
    """
    if (kind := foreign(data)) is not None:
        raise InvalidTable(f"{label} is {kind}; it must be {_FORMATS}")
    mark, told = _told(data, options)
    text = _decoded(data[len(mark) :], label, encoding_of(data, options))
    while text.startswith(codecs.BOM_UTF8):  # files that were joined may begin with two
        text = text.removeprefix(codecs.BOM_UTF8)
    if b"\x00" in text:
        problem = "is binary" if told is None else f"is binary when read as {told}"
        raise InvalidTable(f"{label} {problem}; it must be {_FORMATS}; if it is text, {_WAY_OUT}")
    if not text or text.isspace():
        raise InvalidTable(f"{label} is empty")
    return text


def encoding_of(data: bytes, options: FileOptions, rest: Iterable[bytes] = ()) -> str:
    """Return how the text of a file is encoded, as `text_of` reads it; `rest` are its parts after `data`."""
    _, told = _told(data, options)
    usual = options.usual_encoding
    return told or (usual if usual is not None and not _is_utf_8(chain((data,), rest)) else _UTF_8)


def _told(data: bytes, options: FileOptions) -> tuple[bytes, str | None]:
    """Return the byte order mark and the encoding that it says; without one, that of the options."""
    return next((known for known in _BYTE_ORDER_MARKS if data.startswith(known[0])), (b"", options.encoding))


def _decoded(data: bytes, label: str, encoding: str) -> bytes:
    is_utf_8 = codecs.lookup(encoding).name == _UTF_8
    if is_utf_8 and data.isascii():  # as most files are; to decode one makes a copy of it
        return data
    try:
        text = data.decode(encoding)
        return data if is_utf_8 else text.encode()
    except UnicodeError as error:
        start = error.start if isinstance(error, UnicodeDecodeError) else 0
        line = len((data[:start].decode(encoding, "replace") + ".").encode().splitlines())
        name = "UTF-8" if encoding == _UTF_8 else encoding
        raise InvalidTable(f"{label} is not {name}: byte 0x{data[start]:02x} in line {line}; {_WAY_OUT}") from None


def _is_utf_8(parts: Iterable[bytes]) -> bool:
    decoder, filled = codecs.getincrementaldecoder(_UTF_8)(), False
    try:
        for part in parts:
            decoder.decode(part)
            filled |= bool(part)
            if b"\x00" in part:
                return False
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return filled
