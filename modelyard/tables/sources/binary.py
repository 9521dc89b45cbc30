"""Parquet and Arrow: formats whose columns have types, read by polars."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import NamedTuple

import polars as pl

from modelyard.errors import InvalidTable
from modelyard.tables.sources import pandas_index
from modelyard.tables.sources.foreign import is_text
from modelyard.tables.sources.raw import RawTable


class _Format(NamedTuple):
    magic: bytes
    end: bytes
    kind: str
    read: Callable[[io.BytesIO], pl.DataFrame]
    index_columns: Callable[[bytes], tuple[str, ...]]


_FORMATS = (
    _Format(b"PAR1", b"PAR1", "Parquet", pl.read_parquet, pandas_index.in_parquet),
    _Format(b"ARROW1", b"ARROW1", "Arrow", pl.read_ipc, pandas_index.in_arrow),
    _Format(b"\xff\xff\xff\xff", b"", "Arrow", pl.read_ipc_stream, pandas_index.in_arrow),
)
_START = 64
"""In so many first bytes each of the formats has some that text does not have."""

_BEYOND_THE_READER = "two of its columns have the same name, or one has a type that is not supported, or it is damaged"
"""Said instead of polars' words if polars panics: those quote its source."""

_INTERNALS = re.compile(r"out.of.spec|invalid seek|fill whole buffer|[{}]")
"""Finds polars' messages on damaged files that only speak of its own readers and types."""


def read_binary(data: bytes, label: str) -> RawTable | None:
    """Read a Parquet or Arrow file; None if the bytes begin like neither. `label` names it in messages.

    Raises InvalidTable.
    """
    found = _format_of(data)
    return None if found is None else _read(data, f"{label}: not a readable {found.kind} file", found)


def read_arrow(data: bytes) -> RawTable:
    """Read the bytes of an Arrow IPC stream or file. Raises InvalidTable."""
    found = _format_of(data)
    if found is None or found.kind != "Arrow":
        raise InvalidTable(
            "X is neither an Arrow IPC stream nor an Arrow file" if data else "X is empty; it must be Arrow"
        )
    return _read(data, "X is not readable Arrow", found)


def _format_of(data: bytes) -> _Format | None:
    if is_text(data[:_START]) and b"\n" in data:  # a CSV, whose first name may begin like a format
        return None
    return next((known for known in _FORMATS if data.startswith(known.magic)), None)


def _read(data: bytes, problem: str, known: _Format) -> RawTable:
    if len(data) < len(known.magic + known.end) or not data.endswith(known.end):
        raise InvalidTable(f"{problem}: its end is missing, it was cut short; write or send it anew")
    try:
        frame = known.read(io.BytesIO(data))
        index = tuple(name for name in known.index_columns(data) if name in frame.columns)
        return RawTable({series.name: series for series in frame}, frame.height, index_columns=index)
    except pl.exceptions.PanicException:
        raise InvalidTable(f"{problem}: {_BEYOND_THE_READER}") from None
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        said = str(error).partition("\n")[0]
        why = "it is damaged or cut short" if _INTERNALS.search(said) else said[:200]
        raise InvalidTable(f"{problem}: {why}") from None
