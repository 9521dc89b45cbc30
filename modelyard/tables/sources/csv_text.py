"""CSV: the delimiter found out, the header checked, all cells kept as text.

A CSV holds what Python's csv module reads of it in strict mode, apart from outer blanks; a CSV that the module refuses
is refused. Polars reads many times as fast, but takes every quote for the beginning or the end of a quoted cell (whole
rows vanish after a quote within a cell), pads short rows, renames columns of one name and keeps blank lines. So the csv
module reads the header, and also the rows if the bytes or polars' result leave a doubt.

Spreadsheets write columns without a name and without cells, and rows of nothing but delimiters: both are left out.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from modelyard.errors import InvalidTable
from modelyard.tables.missing import BLANKS
from modelyard.tables.sources.csv_records import Width, in_words, read_records, strict_reader
from modelyard.tables.sources.csv_start import COMMENTS, LINE, find_start, later_start
from modelyard.tables.sources.doubtful_header import WAY_OUT
from modelyard.tables.sources.options import FIND_OUT, FileOptions
from modelyard.tables.sources.raw import check_names

_BLOCK_BYTES = 2**16
"""Quotes are checked in blocks that stay in the processor's caches: it takes three quarters of the time."""
_BOM = b"\xef\xbb\xbf"
_LONE_RETURN = re.compile(rb"\r(?!\n)")


class CsvTable(NamedTuple):
    """A CSV: its named columns as text, null if a cell is empty.

    `unnamed` is the number of columns without a name before them that hold cells, as pandas writes its index;
    `blank_rows` that of rows of nothing but delimiters. `doubt` says where the table may rather begin.
    """

    frame: pl.DataFrame
    unnamed: int = 0
    blank_rows: int = 0
    doubt: str = ""


def read_csv(data: bytes, options: FileOptions = FIND_OUT, *, prefer: str | None = None) -> CsvTable:
    """Read UTF-8 CSV.

    Lines end in LF, CR LF or CR. Blank lines are skipped; below the header of a single column they are missing cells,
    as writers of CSV mean them. A first line `sep=;` says the delimiter. `prefer` is the one to take if several would
    do. Raises InvalidTable.
    """
    header, blank, delimiter = find_start(data, options, prefer)
    offset = header if options.header else blank
    text, line = data[offset:], len(data[:offset].splitlines())
    try:
        table = _read(text, options, delimiter, line)
    except InvalidTable:
        if options.header and (doubt := later_start(text, line)):
            raise InvalidTable(f"the first line of the CSV is no header of what follows: {doubt}") from None
        raise
    doubted = options.header and (table.frame.width == 1 or chr(text[0]) in COMMENTS)
    return table._replace(doubt=later_start(text, line)) if doubted else table


def _read(text: bytes, options: FileOptions, delimiter: str, line: int) -> CsvTable:
    """Read from the header on, or without one from the first row; `line` lines of the file are before it."""
    lone_returns = b"\r" in text and _LONE_RETURN.search(text) is not None
    if lone_returns and b'"' not in text:
        text, lone_returns = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n"), False
    record, body_start, header_lines = _first_record(text, delimiter, filled=not options.header)
    if options.header:
        names = _header(record)
    else:
        names, body_start, header_lines = options.named(len(record), _width(record).named), 0, 0
    body = text[body_start:]
    line += header_lines
    if not body or lone_returns or body.startswith(_BOM) or not _is_well_quoted(body, delimiter):
        return _read_exactly(body, names, delimiter, line)
    if not body.endswith(b"\n"):
        body += b"\n"  # at the end of a last line without it polars overlooks one cell too many
    beyond = max(0, body[: body.index(b"\n")].count(delimiter.encode()) + 1 - len(names))
    schema = {str(position): pl.String() for position in range(len(names) + beyond)}
    quoted_empty = "" if b'"' in body else None
    try:
        frame = pl.read_csv(body, has_header=False, schema=schema, separator=delimiter, null_values=quoted_empty)
    except pl.exceptions.PolarsError:
        return _read_exactly(body, names, delimiter, line)
    if not all(map(_is_empty, frame[:, len(names) :])):
        return _read_exactly(body, names, delimiter, line)
    last = frame.to_series(_width(names).named - 1)
    if not last.has_nulls():
        return _named(frame, names, 0)
    records = list(read_records(body, _width(names), delimiter, line))
    if len(records) != frame.height:
        return _read_exactly(body, names, delimiter, line)
    filled = pl.Series(map(bool, records), dtype=pl.Boolean)
    return _named(frame.filter(filled), names, records.count(None))


def _is_well_quoted(body: bytes, delimiter: str) -> bool:
    """Whether each quote opens a cell at its start, closes it at its end or is doubled within, as polars reads quotes.

    Quotes open and close in turn; a doubled quote closes and opens again. So there must be a delimiter, a line's end, a
    quote or nothing before an opening quote and behind a closing one. Lone carriage returns are not looked for.
    """
    if b'"' not in body:
        return True
    edges = b'"\r\n' + delimiter.encode()
    text = np.frombuffer(body, np.uint8)
    first = 0
    for start in range(0, len(text), _BLOCK_BYTES):
        beside = np.flatnonzero(text[start : start + _BLOCK_BYTES] == ord('"')) + start
        beside[first::2] -= 1
        beside[1 - first :: 2] += 1
        if text.take(beside, mode="clip").tobytes().translate(None, edges):  # beyond the ends it takes the quote itself
            return False
        first = (first + len(beside)) % 2
    return first == 0


def _first_record(data: bytes, delimiter: str, *, filled: bool) -> tuple[list[str], int, int]:
    """Return the first record, or the first that is `filled`; the offset of the first byte after it, and its last line.

    If none is filled it is one empty cell.
    """
    end = 0

    def lines() -> Iterator[str]:
        nonlocal end
        for line in LINE.finditer(data):
            end = line.end()
            yield line[0].decode()

    reader = strict_reader(lines(), delimiter)
    try:
        record = next((cells for cells in reader if not filled or any(cell.strip(BLANKS) for cell in cells)), [""])
    except csv.Error as error:
        raise InvalidTable(f"the CSV header cannot be read: {in_words(error)}") from None
    return record, end, reader.line_num


def _header(record: Sequence[str]) -> list[str]:
    names = [name.strip(BLANKS) for name in record]
    if not any(names):
        raise InvalidTable("the CSV has no header: no column has a name")
    try:
        check_names(filter(None, names), "CSV header")
    except InvalidTable as error:
        raise InvalidTable(error.detail + _no_header(names)) from None
    return names


def _no_header(names: Sequence[str]) -> str:
    """Say what to do if the first line is no header, as names without a letter let one guess."""
    return "" if all(not name or any(map(str.isalpha, name)) for name in names) else f"; {WAY_OUT}"


def _width(names: Sequence[str]) -> Width:
    return Width(max((position for position, name in enumerate(names, 1) if name.strip(BLANKS)), default=0), len(names))


def _read_exactly(body: bytes, names: Sequence[str], delimiter: str, line: int) -> CsvTable:
    """Read with the csv module alone: slower, for files that polars refuses."""
    records = list(read_records(body, _width(names), delimiter, line))
    rows = [record for record in records if record]
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    series = [pl.Series(str(position), column, dtype=pl.String) for position, column in enumerate(columns)]
    return _named(pl.DataFrame([column.set(column == "", None) for column in series]), names, records.count(None))


def _named(frame: pl.DataFrame, names: Sequence[str], blank_rows: int) -> CsvTable:
    """Name the columns. Those without a name are left out if they hold nothing, or if they are the first ones.

    Raises InvalidTable if another one holds anything.
    """
    first = next(position for position, name in enumerate(names) if name)
    holding = [position for position, name in enumerate(names) if not name and not _is_empty(frame.to_series(position))]
    if holding and holding[-1] > first:
        raise InvalidTable(
            f"CSV header: the name of column {holding[-1]} must be text that is not empty, because the column has cells"
            + _no_header(names)
        )
    named = [frame.to_series(position).alias(name) for position, name in enumerate(names) if name]
    return CsvTable(pl.DataFrame(named), len(holding), blank_rows)


def _is_empty(column: pl.Series) -> bool:
    return column.null_count() == len(column) or bool((column.drop_nulls().str.strip_chars(BLANKS) == "").all())
