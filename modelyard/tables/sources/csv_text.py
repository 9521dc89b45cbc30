"""CSV: the delimiter found out, the header checked, all cells kept as text.

A CSV holds what Python's csv module reads of it in strict mode, apart from outer blanks; a CSV that the module refuses
is refused. Polars reads many times as fast, but takes every quote for the beginning or the end of a quoted cell (whole
rows vanish after a quote within a cell), pads short rows, renames columns of one name and keeps blank lines. So the csv
module reads the header, and also the rows if the bytes or polars' result leave a doubt.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from modelyard.errors import MAX_FIELD_ERRORS, FieldError, InvalidTable
from modelyard.tables.missing import BLANKS
from modelyard.tables.sources.raw import cell_count, check_names

if TYPE_CHECKING:
    from _csv import Reader

DELIMITERS = ",;\t|"
_SAMPLE_BYTES = 64 * 1024
_SAMPLE_RECORDS = 50
_LONGEST_CELL = 2**24
"""The csv module stops at so many characters, so that a quote that is never closed does not fill the memory."""

_BLOCK_BYTES = 2**16
"""Quotes are checked in blocks that stay in the processor's caches: it takes three quarters of the time."""
_BOM = b"\xef\xbb\xbf"
_LONE_RETURN = re.compile(rb"\r(?!\n)")
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|\Z)")


def read_csv(data: bytes, *, prefer: str | None = None) -> pl.DataFrame:
    """Read UTF-8 CSV into text columns, null if a cell is empty.

    Lines end in LF, CR LF or CR. Blank lines are skipped; below the header of a single column they are missing cells,
    as writers of CSV mean them. The first of several columns may have no name, because pandas writes its index so.
    `prefer` is the delimiter to take if several would do. Raises InvalidTable.
    """
    lone_returns = b"\r" in data and _LONE_RETURN.search(data) is not None
    if lone_returns and b'"' not in data:
        data, lone_returns = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n"), False
    stripped = data.lstrip(b"\r\n")
    line = len(data[: len(data) - len(stripped)].splitlines())
    delimiter = find_delimiter(stripped, prefer)
    names, body_start, header_lines = _header(stripped, delimiter)
    body = stripped[body_start:]
    line += header_lines
    if not body or lone_returns or body.startswith(_BOM) or not _is_well_quoted(body, delimiter):
        return _read_exactly(body, names, delimiter, line)
    if not body.endswith(b"\n"):
        body += b"\n"  # at the end of a last line without it polars overlooks one cell too many
    schema = dict.fromkeys(names, pl.String())
    try:
        frame = pl.read_csv(body, has_header=False, schema=schema, separator=delimiter)
    except pl.exceptions.PolarsError:
        return _read_exactly(body, names, delimiter, line)
    if not frame[:, -1].has_nulls():
        return frame
    return _without_blank_lines(frame, body, names, delimiter, line)


def find_delimiter(data: bytes, prefer: str | None = None) -> str:
    """Return the delimiter that splits most of the first records as it splits the header; `,` for a single column."""
    sample = data[:_SAMPLE_BYTES]
    if len(sample) < len(data):
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    text = sample.decode("utf-8", errors="replace")
    candidates = sorted(DELIMITERS, key=lambda delimiter: delimiter != prefer)
    best, best_score = ",", (0.0, 1)
    for delimiter in candidates:
        widths = _sample_widths(text, delimiter)
        if widths and widths[0] > 1:
            score = (sum(width == widths[0] for width in widths) / len(widths), widths[0])
            if score > best_score:
                best, best_score = delimiter, score
    return best


def _sample_widths(text: str, delimiter: str) -> list[int]:
    widths: list[int] = []
    try:
        for record in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if record:
                widths.append(len(record))
            if len(widths) >= _SAMPLE_RECORDS:
                break
    except csv.Error:
        pass  # judged by the records before it; reading the whole file will name the place
    return widths


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


def _header(data: bytes, delimiter: str) -> tuple[list[str], int, int]:
    """Return the names, the offset of the first byte after the header, and the header's number of lines."""
    end = 0

    def lines() -> Iterator[str]:
        nonlocal end
        for line in _LINE.finditer(data):
            end = line.end()
            yield line[0].decode()

    reader = _reader(lines(), delimiter)
    try:
        record = next(reader)
    except csv.Error as error:
        raise InvalidTable(f"the CSV header cannot be read: {_in_words(error)}") from None
    names = [name.strip(BLANKS) for name in record]
    unnamed = int(len(names) > 1 and not names[0])
    check_names(names[unnamed:], "CSV header", start=unnamed)
    return names, end, reader.line_num


def _reader(lines: Iterable[str], delimiter: str) -> Reader:
    csv.field_size_limit(_LONGEST_CELL)
    return csv.reader(lines, delimiter=delimiter, strict=True)


def _in_words(error: csv.Error) -> str:
    """Put an error of the csv module into words."""
    said = str(error)
    if "expected after" in said:
        return (
            'a quoted cell goes on after its closing quote; a quote inside a quoted cell must be doubled (""), '
            "a backslash before it does not count"
        )
    if said.startswith("field larger"):
        return f"a cell has more than {_LONGEST_CELL:,} characters; a quote may not be closed"
    return "a quoted cell has no closing quote" if said == "unexpected end of data" else said


def _records(body: bytes, names: list[str], delimiter: str, line: int) -> Iterator[list[str]]:
    """Yield the records. A blank line is an empty list, or the missing cell of a single column.

    `line` lines of the file are before the body. Raises InvalidTable if any record has too few or too many cells.
    """
    reader = _reader(io.TextIOWrapper(io.BytesIO(body), "utf-8", newline=""), delimiter)
    wrong: list[FieldError] = []
    row = ended = 0
    try:
        for found in reader:
            blank = not found or (len(found) == 1 and not found[0].strip(BLANKS))
            if blank and len(names) > 1:
                ended = reader.line_num
                yield []
                continue
            record = [""] if blank else found
            if len(record) != len(names):
                place = _place(row, line + ended + 1, line + reader.line_num)
                message = f"{place} has {cell_count(len(record))}, the header has {len(names)}"
                wrong.append(FieldError(("X", row), message, len(record)))
                if len(wrong) >= MAX_FIELD_ERRORS:
                    break
            row += 1
            ended = reader.line_num
            yield record
    except csv.Error as error:
        place = _place(row, line + ended + 1, line + reader.line_num)
        raise InvalidTable(f"the CSV cannot be read at {place}: {_in_words(error)}") from None
    if wrong:
        raise InvalidTable.of(wrong)


def _place(row: int, first_line: int, last_line: int) -> str:
    lines = f"line {first_line}" if first_line == last_line else f"lines {first_line} to {last_line}"
    return f"row {row} ({lines})"


def _without_blank_lines(frame: pl.DataFrame, body: bytes, names: list[str], delimiter: str, line: int) -> pl.DataFrame:
    """Check every row's width, and drop the rows that polars made of blank lines."""
    filled = [bool(record) for record in _records(body, names, delimiter, line)]
    if len(filled) != frame.height:
        return _read_exactly(body, names, delimiter, line)
    return frame if all(filled) else frame.filter(pl.Series(filled, dtype=pl.Boolean))


def _read_exactly(body: bytes, names: list[str], delimiter: str, line: int) -> pl.DataFrame:
    """Read with the csv module alone: slower, for files that polars refuses."""
    rows = [record for record in _records(body, names, delimiter, line) if record]
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    series = [pl.Series(name, column, dtype=pl.String) for name, column in zip(names, columns, strict=True)]
    return pl.DataFrame([column.set(column == "", None) for column in series])
