"""A table that a visitor gave: a file on disk, looked at without reading all of it.

What a table means is decided by the server; the look shown here is a preview, and the file goes on as it is.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl

from modelyard.dashboard.profiles import ColumnLook, look_at
from modelyard.errors import InvalidTable

Format = Literal["csv", "json", "jsonl", "parquet", "arrow"]

HEAD_ROWS = 5_000
"""The rows that a preview and its profile are made of."""

EXTENSIONS = ["csv", "tsv", "txt", "json", "jsonl", "ndjson", "parquet", "arrow", "feather"]
_SNIFFED_BYTES = 64 * 1024
_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Table:
    """A file as it was given: `rows` is None and `columns` empty where it could not be previewed, for `problem`."""

    path: Path
    name: str
    n_bytes: int
    format: Format
    delimiter: str = ","
    rows: int | None = None
    head: pl.DataFrame = field(default_factory=pl.DataFrame)
    columns: tuple[ColumnLook, ...] = ()
    problem: str = ""

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return [column.name for column in self.columns]

    def scan(self) -> pl.LazyFrame:
        """Return the table, read when it is asked for; a CSV's cells as text."""
        return _scan(self.path, self.format, self.delimiter)


def open_table(path: Path, name: str) -> Table:
    """Look at a file: its columns, its rows, its first rows."""
    kind = _format(path, name)
    delimiter = _delimiter(path) if kind == "csv" else ","
    n_bytes = path.stat().st_size
    try:
        frame = _scan(path, kind, delimiter)
        head = frame.head(HEAD_ROWS).collect()
        rows = frame.select(pl.len()).collect(engine="streaming").item()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, UnicodeDecodeError) as error:
        return Table(path, name, n_bytes, kind, problem=str(error).splitlines()[0][:200])
    columns = tuple(look_at(head[column]) for column in head.columns)
    return Table(path, name, n_bytes, kind, delimiter, rows, head, columns)


def without(table: Table, columns: Sequence[str], folder: Path) -> Path:
    """Write the table anew without some columns, cells and metadata as they were, and return the new file.

    Raises InvalidTable if it is a CSV that cannot be read strictly.
    """
    path = folder / f"{table.path.stem}-{len(table.names) - len(columns)}-columns.{table.format}"
    match table.format:
        case "csv":
            _write_csv_without(table, columns, path)
        case "parquet":
            said = pl.read_parquet_metadata(table.path).get("pandas")  # which columns are pandas' index
            table.scan().drop(columns).sink_parquet(path, metadata=None if said is None else {"pandas": said})
        case "arrow":
            _write_arrow_without(table, columns, path)
        case "jsonl":
            table.scan().drop(columns).sink_ndjson(path)
        case "json":
            table.scan().drop(columns).collect().write_json(path)
    return path


def _write_arrow_without(table: Table, columns: Sequence[str], path: Path) -> None:
    import pyarrow as pa  # comes with Streamlit; polars would drop the metadata

    kept = pa.ipc.open_file(table.path).read_all().drop_columns(list(columns))
    with pa.ipc.new_file(path, kept.schema) as file:
        file.write_table(kept)


def _write_csv_without(table: Table, columns: Sequence[str], path: Path) -> None:
    """Copy a CSV record by record: polars would take stray quotes for the ends of cells, and rows would vanish."""
    kept = [position for position, name in enumerate(table.names) if name not in columns]
    with (
        table.path.open(encoding="utf-8-sig", newline="") as source,
        path.open("w", encoding="utf-8", newline="") as copy,
    ):
        reader = csv.reader(source, delimiter=table.delimiter, strict=True)
        writer = csv.writer(copy, delimiter=table.delimiter)
        try:
            writer.writerows([record[position] for position in kept] for record in _whole(reader, len(table.names)))
        except (csv.Error, UnicodeDecodeError) as error:
            message = f"no column can be left out of {table.name!r}: line {reader.line_num}: {error}"
            raise InvalidTable(message) from None


def _whole(records: Iterable[list[str]], width: int) -> Iterator[list[str]]:
    """Yield the records, blank lines aside. Raises csv.Error if one has too few or too many cells."""
    for record in records:
        if len(record) == width:
            yield record
        elif len(record) > 1 or "".join(record).strip():
            raise csv.Error(f"{len(record)} cells instead of {width}")


def _format(path: Path, name: str) -> Format:
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return "arrow"
    extension = Path(name).suffix.lower()
    if extension in (".jsonl", ".ndjson"):
        return "jsonl"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    return "json" if extension == ".json" or text[:1] in (b"{", b"[") else "csv"


def _scan(path: Path, kind: Format, delimiter: str) -> pl.LazyFrame:
    match kind:
        case "csv":
            return pl.scan_csv(path, separator=delimiter, infer_schema=False)
        case "parquet":
            return pl.scan_parquet(path)
        case "arrow":
            return pl.scan_ipc(path)
        case "jsonl":
            return pl.scan_ndjson(path)
        case "json":
            return _read_json(path).lazy()


def _read_json(path: Path) -> pl.DataFrame:
    """Read records, or columns: an object of lists is one row of lists to polars."""
    frame = pl.read_json(path)
    if frame.height == 1 and all(isinstance(dtype, pl.List) for dtype in frame.dtypes):
        return frame.explode(frame.columns)
    return frame


def _delimiter(path: Path) -> str:
    with path.open("rb") as file:
        sample = file.read(_SNIFFED_BYTES).decode("utf-8", errors="replace")
    return max(_DELIMITERS, key=lambda delimiter: _width(sample, delimiter))


def _width(sample: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter), []))
    except csv.Error:
        return 0
