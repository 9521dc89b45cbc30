"""A table that a visitor gave: a file on disk and a preview of it.

The server decides what a table means, and the file goes on as it is. A CSV is read as the server reads it, so that both
see the same rows; other formats tell their rows without being read whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl

from modelyard.dashboard.profiles import ColumnLook, look_at
from modelyard.errors import InvalidTable
from modelyard.tables.sources import read_csv_file

Format = Literal["csv", "json", "jsonl", "parquet", "arrow"]

UNREADABLE = (InvalidTable, pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, UnicodeDecodeError)
"""What reading a file may raise if it is damaged or gone."""

HEAD_ROWS = 5_000
"""The rows that a preview and its profile are made of."""

EXTENSIONS = ["csv", "tsv", "txt", "json", "jsonl", "ndjson", "parquet", "arrow", "feather"]


@dataclass(frozen=True, slots=True)
class Table:
    """A file as it was given. If it cannot be previewed, `rows` is None, `columns` is empty and `problem` says why."""

    path: Path
    name: str
    n_bytes: int
    format: Format
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
        return _scan(self.path, self.name, self.format)


def open_table(path: Path, name: str) -> Table:
    """Look at a file: its columns, its rows, its first rows."""
    kind = _format(path, name)
    n_bytes = path.stat().st_size
    try:
        frame = _scan(path, name, kind)
        head = frame.head(HEAD_ROWS).collect()
        rows = frame.select(pl.len()).collect(engine="streaming").item()
    except UNREADABLE as error:
        return Table(path, name, n_bytes, kind, problem=str(error).splitlines()[0][:200])
    columns = tuple(look_at(head[column]) for column in head.columns)
    return Table(path, name, n_bytes, kind, rows, head, columns)


def without(table: Table, columns: Sequence[str], folder: Path) -> Path:
    """Write the table anew without some columns, cells and metadata as they were, and return the new file.

    Raises InvalidTable if it is a CSV that cannot be read strictly.
    """
    path = folder / f"{table.path.stem}-{len(table.names) - len(columns)}-columns.{table.format}"
    match table.format:
        case "csv":
            table.scan().drop(columns).sink_csv(path)  # read as the server reads it
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


def _scan(path: Path, name: str, kind: Format) -> pl.LazyFrame:
    match kind:
        case "csv":
            return read_csv_file(path, name).lazy()
        case "parquet":
            return pl.scan_parquet(path)
        case "arrow":
            return pl.scan_ipc(path)
        case "jsonl":
            return pl.scan_ndjson(path, infer_schema_length=None)
        case "json":
            return _read_json(path).lazy()


def _read_json(path: Path) -> pl.DataFrame:
    """Read records, or columns: an object of lists is one row of lists to polars."""
    frame = pl.read_json(path, infer_schema_length=None)
    if frame.height == 1 and all(isinstance(dtype, pl.List) for dtype in frame.dtypes):
        return frame.explode(frame.columns)
    return frame
