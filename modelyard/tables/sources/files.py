"""Files: CSV, JSON, JSON lines, Parquet and Arrow, told apart by their content, then by their extension.

A file becomes named raw columns; `forms` and `columns` take over from there.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import polars as pl

from modelyard.errors import InvalidTable
from modelyard.tables.sources import pandas_index
from modelyard.tables.sources.csv_text import read_csv
from modelyard.tables.sources.forms import FORMS, RawTable, read_form

_BOM = b"\xef\xbb\xbf"
_CSV_EXTENSIONS = (".csv", ".tsv", ".txt", ".tab", ".psv")
_JSON_LINES_EXTENSIONS = (".jsonl", ".ndjson")
_PREFERRED_DELIMITERS = {".tsv": "\t", ".tab": "\t", ".psv": "|"}


class _Format(NamedTuple):
    magic: bytes
    kind: str
    read: Callable[[io.BytesIO], pl.DataFrame]
    index_columns: Callable[[bytes], tuple[str, ...]]


_BINARY = (
    _Format(b"PAR1", "Parquet", pl.read_parquet, pandas_index.in_parquet),
    _Format(b"ARROW1", "Arrow", pl.read_ipc, pandas_index.in_arrow),
    _Format(b"\xff\xff\xff\xff", "Arrow", pl.read_ipc_stream, pandas_index.in_arrow),
)
_FOREIGN = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
)
_BEYOND_THE_READER = "two of its columns have the same name, or one has a type that is not supported, or it is damaged"
"""Where polars panics its words are an assertion's."""

_INTERNALS = re.compile(r"out-of-spec|[{}]")
"""What polars says of damaged files is in the words of its readers: types, offsets, other formats' names."""

_FORMATS = "CSV (in UTF-8), JSON, JSON lines, Parquet or Arrow"


def read_file(path: Path, *, filename: str | None = None) -> pl.DataFrame:
    """Read a file as it is: CSV cells as text, null where empty.

    `filename` is the name the file was sent under, where `path` is a temporary one.
    To train or predict, hand the path itself to `read_training` and `read_prediction`: they know that CSV's text may
    be numbers. Raises InvalidTable.
    """
    return read_raw_file(path, filename=filename).frame()


def read_arrow(data: bytes) -> RawTable:
    """Read the bytes of an Arrow IPC stream or file. Raises InvalidTable."""
    for form in _BINARY:
        if form.kind == "Arrow" and data.startswith(form.magic):
            return _read_binary(data, "X is not readable Arrow", form)
    raise InvalidTable("X is neither an Arrow IPC stream nor an Arrow file" if data else "X is empty; it must be Arrow")


def read_raw_file(
    path: Path,
    *,
    filename: str | None = None,
    feature_names: Sequence[str] | None = None,
    expected: Sequence[str] | None = None,
) -> RawTable:
    """Read a file into raw columns; `feature_names` and `expected` as in `read_form`. Raises InvalidTable."""
    name = filename or path.name or str(path)
    label, extension = f"file {name!r}", Path(name).suffix.lower()
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # a name with a null character is no OSError
        why = error.strerror if isinstance(error, OSError) else error
        raise InvalidTable(f"{label} cannot be read: {why}") from None
    if not data.strip():
        raise InvalidTable(f"{label} is empty")
    for form in _BINARY:
        if data.startswith(form.magic):
            table = _read_binary(data, f"{label}: not a readable {form.kind} file", form)
            return read_form(table, feature_names, expected)
    data = _checked_text(data, label)
    document = _document(data, extension, label)
    if document is not None:
        return read_form(document, feature_names, expected)
    frame = read_csv(data, prefer=_PREFERRED_DELIMITERS.get(extension))
    index = tuple(name for name in frame.columns if not name)
    raw = read_form(frame.drop(index), feature_names, expected)
    return replace(raw, text_cells=True, index_columns=index)


def _read_binary(data: bytes, problem: str, form: _Format) -> RawTable:
    try:
        frame = form.read(io.BytesIO(data))
        index = tuple(name for name in form.index_columns(data) if name in frame.columns)
        return RawTable({series.name: series for series in frame}, frame.height, index_columns=index)
    except pl.exceptions.PanicException:
        raise InvalidTable(f"{problem}: {_BEYOND_THE_READER}") from None
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        said = str(error).partition("\n")[0]
        why = "it is damaged or cut short" if _INTERNALS.search(said) else said[:200]
        raise InvalidTable(f"{problem}: {why}") from None


def _checked_text(data: bytes, label: str) -> bytes:
    foreign = next((name for magic, name in _FOREIGN if data.startswith(magic)), None)
    if foreign is None and b"\x00" in data:
        foreign = "binary"
    if foreign is not None:
        raise InvalidTable(f"{label} is {foreign}; it must be {_FORMATS}")
    data = data.removeprefix(_BOM)
    if not data.strip():
        raise InvalidTable(f"{label} is empty")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = len(data[: error.start + 1].splitlines())
        raise InvalidTable(
            f"{label} is not UTF-8: byte 0x{data[error.start]:02x} in line {line}; save it as UTF-8"
        ) from None
    return data


def _document(data: bytes, extension: str, label: str) -> Any:
    """Return JSON's rows, records or columns; None where the text is CSV."""
    start = data.lstrip()[:1]
    if extension in _JSON_LINES_EXTENSIONS:
        return _json_lines(data, label)
    if start not in (b"{", b"[") and extension != ".json":
        return None
    try:
        return _table_of(orjson.loads(data), label)
    except orjson.JSONDecodeError as error:
        if extension in _CSV_EXTENSIONS:
            return None
        if _is_json(data.lstrip().split(b"\n", 1)[0]):  # what many tools write as .json
            return _json_lines(data, label)
        raise InvalidTable(f"{label} is not JSON: {error}") from None


def _table_of(document: Any, label: str) -> Any:
    if isinstance(document, dict) and document and not any(isinstance(value, list) for value in document.values()):
        return [document]
    if not isinstance(document, (list, dict)):
        raise InvalidTable(f"{label}: JSON must hold {FORMS}")
    return document


def _json_lines(data: bytes, label: str) -> list[Any]:
    rows = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(orjson.loads(line))
        except orjson.JSONDecodeError as error:
            raise InvalidTable(f"{label}, line {number} is not JSON: {error.msg} (column {error.colno})") from None
    return rows


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True
