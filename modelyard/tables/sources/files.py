"""Files: CSV, JSON, JSON lines, Parquet and Arrow, told apart by their content, then by their extension."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from modelyard.errors import InvalidTable
from modelyard.tables.sources.binary import read_binary
from modelyard.tables.sources.csv_text import read_csv
from modelyard.tables.sources.foreign import foreign
from modelyard.tables.sources.forms import read_form
from modelyard.tables.sources.json_documents import read_document
from modelyard.tables.sources.raw import RawTable

_BOM = b"\xef\xbb\xbf"
_PREFERRED_DELIMITERS = {".tsv": "\t", ".tab": "\t", ".psv": "|"}
_FORMATS = "CSV (in UTF-8), JSON, JSON lines, Parquet or Arrow"


def read_file(path: Path, *, filename: str | None = None) -> pl.DataFrame:
    """Read a file as it is: CSV cells as text, null if empty.

    `filename` is the name that the file was sent under, if `path` is a temporary one. To train or predict, hand the
    path itself to `read_training` or a `Reader`: they know that a CSV's text may be numbers. Raises InvalidTable.
    """
    return read_raw_file(path, filename=filename).frame()


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
    data = _content(path, label)
    binary = read_binary(data, label)
    if binary is not None:
        return read_form(binary, feature_names, expected)
    data = _checked_text(data, label)
    document = read_document(data, extension, label)
    if document is not None:
        return read_form(document, feature_names, expected)
    csv = read_csv(data, prefer=_preferred_delimiter(name))
    raw = RawTable(
        {series.name: series for series in csv.frame},
        csv.frame.height,
        text_cells=True,
        index_columns=("",) * csv.unnamed,
        blank_rows=csv.blank_rows,
        doubt=csv.doubt,
    )
    return read_form(raw, feature_names, expected)


def read_csv_file(path: Path, filename: str) -> pl.DataFrame:
    """Read a CSV as text columns, null if a cell is empty.

    `filename` is the name that the file was sent under. Raises InvalidTable.
    """
    label = f"file {filename!r}"
    return read_csv(_checked_text(_content(path, label), label), prefer=_preferred_delimiter(filename)).frame


def _preferred_delimiter(filename: str) -> str | None:
    return _PREFERRED_DELIMITERS.get(Path(filename).suffix.lower())


def _content(path: Path, label: str) -> bytes:
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # a name with a null character is no OSError
        why = error.strerror if isinstance(error, OSError) else error
        raise InvalidTable(f"{label} cannot be read: {why}") from None
    if not data.strip():
        raise InvalidTable(f"{label} is empty")
    return data


def _checked_text(data: bytes, label: str) -> bytes:
    """Return UTF-8 text without its byte order mark. Raises InvalidTable."""
    data = _without_bom(data)
    if (kind := foreign(data)) is not None:
        raise InvalidTable(f"{label} is {kind}; it must be {_FORMATS}")
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


def _without_bom(data: bytes) -> bytes:
    """Return text without byte order marks: joined files may begin with two."""
    while data.startswith(_BOM):
        data = data.removeprefix(_BOM)
    return data
