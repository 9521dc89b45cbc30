"""A table that a visitor gave: a file on disk and a preview of it.

The server decides what a table means, and the file goes on as it is. A CSV is read as the server reads it, so that both
see the same rows; other formats tell their rows without being read whole.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl

from modelyard.dashboard.profiles import ColumnLook, look_at
from modelyard.errors import InvalidTable, PayloadTooLarge
from modelyard.schemas import Reading, TableRequest, parse
from modelyard.settings import DEFAULT_MISSING_MARKERS
from modelyard.tables.numerals import Numerals, numerals_of
from modelyard.tables.sources import (
    UNPACKED_BYTES,
    FileOptions,
    Layout,
    Sheets,
    extension_of,
    layout_of,
    read_file,
    sheets_of,
    stored_name,
)

Format = Literal["csv", "packed", "json", "jsonl", "parquet", "arrow"]
"""What a file is; `packed` is an Excel workbook or what gzip made."""

UNREADABLE = (
    InvalidTable,
    PayloadTooLarge,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
    OSError,
    UnicodeDecodeError,
)
"""What reading a file may raise if it is damaged or gone."""

HEAD_ROWS = 5_000
"""The rows that a preview and its profile are made of."""

_PART_BYTES = 1 << 20

EXTENSIONS = ["csv", "tsv", "txt", "gz", "json", "jsonl", "ndjson", "parquet", "arrow", "feather", "xlsx"]


@dataclass(frozen=True, slots=True)
class Table:
    """A file as it was given. If it cannot be previewed, `rows` is None, `columns` is empty and `problem` says why.

    `is_refused` if the server, which reads tables in the same way, will not take it for that problem.
    `said` is what the visitor said of how it is read, as fields of a request; `usual` is how the table of the model was
    read that it is for, and `expected` are the columns that this model needs. `first_line` is the line of the file,
    counted from 1, on which the first row stands, if each row is a line of its own. `layout` is how a CSV was found to
    be laid out, `numerals` how its numbers are written in the first rows. `sheets` are those of a workbook.
    """

    path: Path
    name: str
    n_bytes: int
    format: Format
    rows: int | None = None
    head: pl.DataFrame = field(default_factory=pl.DataFrame)
    columns: tuple[ColumnLook, ...] = ()
    problem: str = ""
    is_refused: bool = False
    said: dict[str, Any] = field(default_factory=dict)
    usual: Reading | None = None
    expected: tuple[str, ...] = ()
    first_line: int | None = None
    layout: Layout | None = None
    numerals: Numerals = field(default_factory=Numerals)
    sheets: Sheets | None = None

    @property
    def is_typed(self) -> bool:
        """Whether the format itself says all that there is to say of reading it."""
        return self.format in ("parquet", "arrow")

    @property
    def is_csv(self) -> bool:
        """Whether the file is a CSV, whose cells have no types, packed or not."""
        return _is_csv(self.format, self.name)

    @property
    def decimal(self) -> str:
        """The decimal mark of a CSV: as it was said, else as its first rows show."""
        said = self.said.get("decimal") or (self.usual and self.usual.decimal)
        return str(said) if said else self.numerals.decimal

    @property
    def markers(self) -> Sequence[str]:
        """The texts that mean a missing cell: as it was said, else as in the training, else the server's defaults."""
        return self.said.get("missing_markers") or (
            self.usual.missing_markers if self.usual else DEFAULT_MISSING_MARKERS
        )

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return [column.name for column in self.columns]

    @property
    def sent(self) -> Path:
        """The file under the visitor's name for it, by which the servers tell what it is."""
        name = stored_name(self.name)
        if name == self.path.name:
            return self.path
        path = self.path.with_name(f"{self.path.name}-sent") / name
        path.parent.mkdir(exist_ok=True)
        with suppress(FileExistsError):
            path.hardlink_to(self.path)
        return path

    def column(self, name: str) -> pl.Series:
        """Return a column of the first rows; a CSV's numbers as numbers."""
        return self.numerals.in_numbers(self.head.select(name)).to_series()

    def scan(self) -> pl.LazyFrame:
        """Return the table, read when it is asked for; a CSV's cells as text."""
        return _scan(self.path, self.name, self.format, _options(self.said, self.usual, self.expected))

    def rows_at(self, places: Sequence[int]) -> pl.DataFrame:
        """Return some rows by their numbers, in this order."""
        if all(place < self.head.height for place in places):
            return self.head[list(places)]
        return self.scan().collect()[list(places)]


def open_table(
    path: Path,
    name: str,
    said: dict[str, Any] | None = None,
    usual: Reading | None = None,
    expected: tuple[str, ...] = (),
) -> Table:
    """Look at a file: its columns, its rows, its first rows. `said`, `usual` and `expected` as in `Table`.

    Raises InvalidRequest if what was said cannot be.
    """
    kind = _format(path, name)
    n_bytes = path.stat().st_size
    options = _options(said or {}, usual, expected)
    sheets = None
    try:
        sheets = sheets_of(path, options, filename=name) if kind == "packed" else None
        frame = _scan(path, name, kind, options)
        head = frame.head(HEAD_ROWS).collect()
        rows = frame.select(pl.len()).collect(engine="streaming").item()
        if not rows:
            read_file(path, options, filename=name)  # which says what is wrong
    except UNREADABLE as error:
        problem, is_refused = str(error).splitlines()[0][:200], isinstance(error, InvalidTable)
        return Table(
            path,
            name,
            n_bytes,
            kind,
            problem=problem,
            is_refused=is_refused,
            said=said or {},
            usual=usual,
            expected=expected,
            sheets=sheets,
        )
    numerals = _numerals(head, said or {}, usual) if _is_csv(kind, name) else Numerals()
    columns = tuple(look_at(column) for column in numerals.in_numbers(head))
    first_line = _first_line(path, rows, options) if kind == "csv" else None
    layout = layout_of(path, options, filename=name) if kind == "csv" else None
    return Table(
        path,
        name,
        n_bytes,
        kind,
        rows,
        head,
        columns,
        said=said or {},
        usual=usual,
        expected=expected,
        first_line=first_line,
        layout=layout,
        numerals=numerals,
        sheets=sheets,
    )


def stem(name: str) -> str:
    """Return a file's name without the ending that tells its format."""
    return name.removesuffix(extension_of(name)) or name


def format_named_by(name: str) -> str:
    """Return what a file's name says it is: "csv" for `a.CSV.gz`, "" without an ending."""
    return extension_of(name).lower().removesuffix(".gz").removeprefix(".")


def name_for(given: str) -> str:
    """Return a name that no other file has, with the ending of the one that a visitor gave."""
    return f"{uuid.uuid4().hex}{extension_of(given).lower()[:10]}"


def _first_line(path: Path, rows: int, options: FileOptions) -> int | None:
    """Return the line of a CSV's first row; None if the file has not as many lines as that and its rows make."""
    with path.open("rb") as file:
        lines, last = 0, b"\n"
        while part := file.read(_PART_BYTES):
            lines, last = lines + part.count(b"\n"), part[-1:]
    above = options.skip_rows + options.header
    return above + 1 if lines + (last != b"\n") == above + rows else None


def _options(said: dict[str, Any], usual: Reading | None, expected: Sequence[str]) -> FileOptions:
    of_files = {name: value for name, value in said.items() if name in TableRequest.model_fields}
    options = FileOptions.usual(usual, UNPACKED_BYTES).told(parse(TableRequest, of_files))
    return options if options.header else options.towards(None, expected)  # with a header, all that is there is shown


def _format(path: Path, name: str) -> Format:
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return "arrow"
    if start.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        return "packed"
    extension = Path(name).suffix.lower()
    if extension in (".jsonl", ".ndjson"):
        return "jsonl"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    return "json" if extension == ".json" or text[:1] in (b"{", b"[") else "csv"


def _numerals(head: pl.DataFrame, said: dict[str, Any], usual: Reading | None) -> Numerals:
    marks = (said.get(name) or getattr(usual, name, None) for name in ("decimal", "thousands", "missing_markers"))
    return numerals_of(head, *marks)


def _is_csv(kind: Format, name: str) -> bool:
    return kind == "csv" or (kind == "packed" and format_named_by(name) in ("csv", "tsv", "txt", ""))


def _scan(path: Path, name: str, kind: Format, options: FileOptions) -> pl.LazyFrame:
    match kind:
        case "csv" | "packed":
            return _shown(read_file(path, options, filename=name)).lazy()
        case "parquet":
            return pl.scan_parquet(path)
        case "arrow":
            return pl.scan_ipc(path)
        case "jsonl":
            return pl.scan_ndjson(path, infer_schema_length=None)
        case "json":
            return _read_json(path).lazy()


def _shown(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table with columns of several types as text."""
    mixed = [column for column in frame if column.dtype == pl.Object]
    texts = [
        pl.Series(one.name, [None if cell is None else str(cell) for cell in one], dtype=pl.String) for one in mixed
    ]
    return frame.with_columns(texts)


def _read_json(path: Path) -> pl.DataFrame:
    """Read records, or columns: an object of lists is one row of lists to polars. Raises what `read_file` does."""
    frame = pl.read_json(path, infer_schema_length=None)
    if frame.height == 1 and all(isinstance(dtype, pl.List) for dtype in frame.dtypes):
        lengths = frame.select(pl.all().list.len()).row(0)
        return frame.explode(frame.columns) if len(set(lengths)) == 1 else read_file(path)  # which says what differs
    return frame
