"""Tables written as files: in the format, and if it is a CSV with the marks, that another file has."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Final, Literal, get_args

import polars as pl

from modelyard.dashboard.tables import Table, format_named_by

Written = Literal["csv", "xlsx", "parquet", "arrow", "json", "jsonl"]
"""The formats that a table is written in, and the endings of their files."""

FORMATS: Final[tuple[Written, ...]] = get_args(Written)
MEDIA: Final[dict[Written, str]] = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.file",
    "json": "application/json",
    "jsonl": "application/jsonl",
}
MOST_SHEET_ROWS = 1_048_575
"""What a sheet of Excel holds beside its header."""

_AS_TEXT = {"strings_to_formulas": False, "strings_to_urls": False, "nan_inf_to_errors": True}
"""A cell that begins with `=` is what the table holds, and nothing to be computed by whoever opens the file."""


def format_like(table: Table) -> Written:
    """Return the format in which a table came."""
    if table.format != "packed":
        return table.format
    extension = format_named_by(table.name)
    if extension == "ndjson":
        return "jsonl"
    return next((found for found in FORMATS if found == extension), "csv")


def write(frame: pl.LazyFrame, kind: Written, folder: Path, like: Table) -> bytes:
    """Return a table as a file, written to `folder` on the way; a CSV as the one that it is `like` was laid out.

    In a format that has types, the numbers of a CSV are numbers.
    """
    if kind != "csv" and like.numerals.readings:
        frame = like.numerals.in_numbers(frame.collect(engine="streaming")).lazy()
    path = folder / f"{uuid.uuid4().hex}.{kind}"
    try:
        match kind:
            case "csv":
                return _csv(frame, path, like)
            case "xlsx":
                _write_sheet(frame.collect(engine="streaming"), path)
            case "parquet":
                frame.sink_parquet(path)
            case "arrow":
                frame.sink_ipc(path)
            case "json":
                frame.collect(engine="streaming").write_json(path)
            case "jsonl":
                frame.sink_ndjson(path)
        return path.read_bytes()
    finally:
        path.unlink(missing_ok=True)


def _csv(frame: pl.LazyFrame, path: Path, like: Table) -> bytes:
    layout = like.layout
    if layout is None:
        frame.sink_csv(path)
        return path.read_bytes()
    comma = like.decimal == "," and layout.delimiter != ","
    frame.sink_csv(path, separator=layout.delimiter, decimal_comma=comma, include_bom=layout.has_mark)
    content = path.read_bytes()
    if layout.encoding == "utf-8":
        return content
    try:
        return content.decode().encode(layout.encoding)
    except UnicodeError:  # a label or a name that this encoding does not have
        return content


def _write_sheet(frame: pl.DataFrame, path: Path) -> None:
    import xlsxwriter

    with xlsxwriter.Workbook(path, _AS_TEXT) as book:
        frame.write_excel(book, autofit=frame.height <= 5_000)
