"""Files: CSV, JSON, JSON lines, Parquet, Arrow and Excel, told apart by their content, then by their extension."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from modelyard.errors import InvalidTable
from modelyard.tables.sources.binary import read_binary
from modelyard.tables.sources.csv_start import find_start
from modelyard.tables.sources.csv_text import read_csv
from modelyard.tables.sources.forms import read_form
from modelyard.tables.sources.json_documents import read_document
from modelyard.tables.sources.options import FIND_OUT, FileOptions
from modelyard.tables.sources.packed import unpacked
from modelyard.tables.sources.raw import RawTable
from modelyard.tables.sources.texts import encoding_of, text_of
from modelyard.tables.sources.workbook import Sheets, read_workbook, sheets_in
from modelyard.tables.sources.workbook_archive import is_workbook

_MAX_NAME_CHARS, _MAX_NAME_BYTES = 80, 240
_START_BYTES = 2**20
_UNSAFE = re.compile(r"[^\w. ()+-]")
_PREFERRED_DELIMITERS = {".tsv": "\t", ".tab": "\t", ".psv": "|"}


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file that is in memory: its bytes, and a name whose extension tells the format if the bytes do not."""

    content: bytes
    name: str


def read_file(path: Path, options: FileOptions = FIND_OUT, *, filename: str | None = None) -> pl.DataFrame:
    """Read a file as it is: CSV cells as text, null if empty.

    `filename` is the name that the file was sent under, if `path` is a temporary one. To train or predict, hand the
    path itself to `read_training` or a `Reader`: they know that a CSV's text may be numbers. Raises InvalidTable, and
    PayloadTooLarge if it is compressed and too much comes out of it.
    """
    return _read(_content(path, filename), options).frame()


def read_raw_file(
    X: Path | FileContent,
    options: FileOptions = FIND_OUT,
    *,
    feature_names: Sequence[str] | None = None,
    expected: Sequence[str] | None = None,
    carried: str | None = None,
) -> RawTable:
    """Read a file into raw columns; the names are as in `read_form`. Raises as `read_file` does."""
    file = X if isinstance(X, FileContent) else _content(X)
    return _read(file, options.towards(feature_names, expected, carried), feature_names)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the text of a CSV is laid out: its encoding, `has_mark` a byte order mark before it, and its delimiter."""

    encoding: str
    has_mark: bool
    delimiter: str


def layout_of(path: Path, options: FileOptions = FIND_OUT, *, filename: str | None = None) -> Layout:
    """Find out how a CSV is laid out that `read_file` reads, from its beginning.

    Raises OSError.
    """
    with path.open("rb") as file:
        start = file.read(_START_BYTES)
        rest = iter(lambda: file.read(_START_BYTES), b"")
        encoding = encoding_of(start, options, rest)
    mark = codecs.BOM_UTF8 if start.startswith(codecs.BOM_UTF8) else b""
    text = start.removeprefix(mark).decode(encoding, "ignore").removeprefix("\ufeff").encode()
    extension = extension_of(filename or path.name).lower()
    return Layout(encoding, bool(mark), find_start(text, options, _PREFERRED_DELIMITERS.get(extension)).delimiter)


def sheets_of(path: Path, options: FileOptions = FIND_OUT, *, filename: str | None = None) -> Sheets | None:
    """Return the sheets of a workbook, None of any other file. Raises InvalidTable and PayloadTooLarge."""
    file = _content(path, filename)
    label = f"file {file.name!r}"
    data = unpacked(file.content, label, options.max_bytes)
    return sheets_in(data, label, options) if is_workbook(data) else None


def source_of(X: Any) -> str:
    """Return what a table comes as: the name of its file, or `rows` if it is none."""
    return X.name if isinstance(X, Path | FileContent) else "rows"


def stored_name(given: str) -> str:
    """Return a name to store a file under that was sent as `given`: its end, without folders and unusual signs."""
    name = _UNSAFE.sub("_", given.replace("\\", "/").rpartition("/")[2])[-_MAX_NAME_CHARS:]
    name = name.encode("utf-8", "replace")[-_MAX_NAME_BYTES:].decode("utf-8", "ignore")
    return name if name.strip(". ") else "upload"


def extension_of(name: str) -> str:
    """Return the end of a file's name that tells its format, such as `.csv` or `.csv.gz`; empty without one."""
    path = Path(name)
    packed = path.suffix if path.suffix.lower() == ".gz" else ""
    return Path(path.stem if packed else name).suffix + packed


def _read(file: FileContent, options: FileOptions, feature_names: Sequence[str] | None = None) -> RawTable:
    label, extension = f"file {file.name!r}", extension_of(file.name).lower().removesuffix(".gz")
    data = unpacked(file.content, label, options.max_bytes)
    if not data or data.isspace():  # strip would copy the whole file
        raise InvalidTable(f"{label} is empty")
    binary = read_binary(data, label)
    if binary is not None:
        return read_form(binary, feature_names, options.expected)
    if is_workbook(data):
        columns = read_workbook(data, label, options)
        index = tuple(name for name in columns if not name)
        raw = read_form({name: column for name, column in columns.items() if name}, feature_names, None)
        return replace(raw, index_columns=index, given_names=() if options.header else tuple(columns))
    data = text_of(data, label, options)
    document = read_document(data, extension, label)
    if document is not None:
        return read_form(document, feature_names, options.expected, options.carried)
    csv = read_csv(data, options, prefer=_PREFERRED_DELIMITERS.get(extension))
    raw = RawTable(
        {column.name: column for column in csv.frame},
        csv.frame.height,
        text_cells=True,
        index_columns=("",) * csv.unnamed,
        given_names=() if options.header else tuple(csv.frame.columns),
        blank_rows=csv.blank_rows,
        doubt=csv.doubt,
    )
    return read_form(raw, feature_names, options.expected)


def _content(path: Path, filename: str | None = None) -> FileContent:
    name = filename or path.name or str(path)
    try:
        return FileContent(path.read_bytes(), name)
    except (OSError, ValueError) as error:  # a name with a null character is no OSError
        why = error.strerror if isinstance(error, OSError) else error
        raise InvalidTable(f"file {name!r} cannot be read: {why}") from None
