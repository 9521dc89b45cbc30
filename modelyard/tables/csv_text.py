"""CSV: the delimiter found out, the header checked, all cells kept as text.

Polars reads fast but lets through what must be refused: it pads short rows, renames columns of one name and keeps blank
lines. So the header is read by the csv module, and so are the rows where polars' result leaves a doubt.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import polars as pl

from modelyard.errors import MAX_FIELD_ERRORS, FieldError, InvalidTable
from modelyard.tables.forms import cell_count, check_names
from modelyard.tables.missing import BLANKS

DELIMITERS = ",;\t|"
_SAMPLE_BYTES = 64 * 1024
_SAMPLE_RECORDS = 50


def read_csv(data: bytes, *, prefer: str | None = None) -> pl.DataFrame:
    """Read UTF-8 CSV into text columns, null where a cell is empty.

    Blank lines are skipped; after the header of a single column they are its missing cells, as writers of CSV mean
    them. `prefer` is the delimiter where several would do. Raises InvalidTable.
    """
    if b"\n" not in data and b"\r" in data:
        data = data.replace(b"\r", b"\n")  # line ends of the old Macintosh, which Excel still offers
    data = data.lstrip(b"\r\n")
    delimiter = find_delimiter(data, prefer)
    names, body_start, line = _header(data, delimiter)
    body = data[body_start:]
    schema = dict.fromkeys(names, pl.String())
    try:
        frame = pl.read_csv(body, has_header=False, schema=schema, separator=delimiter)
    except pl.exceptions.PolarsError:
        return _read_exactly(body, names, delimiter, line)
    if frame.height == 0 or not frame[:, -1].has_nulls():
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


def _header(data: bytes, delimiter: str) -> tuple[list[str], int, int]:
    """Return the names, the offset of the first byte after the header, and the header's number of lines."""
    source = io.BytesIO(data)
    reader = csv.reader((line.decode() for line in source), delimiter=delimiter, strict=True)
    try:
        record = next(reader)
    except csv.Error as error:
        raise InvalidTable(f"the CSV header cannot be read: {error}") from None
    names = [name.strip(BLANKS) for name in record]
    check_names(names, "CSV header")
    return names, source.tell(), reader.line_num


def _records(body: bytes, names: list[str], delimiter: str, line: int) -> Iterator[list[str]]:
    """Yield the records, a blank line as an empty list or, in a single column, as a missing cell.

    Raises InvalidTable if any record has too few or too many cells.
    """
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(body), "utf-8", newline=""), delimiter=delimiter, strict=True)
    wrong: list[FieldError] = []
    row = 0
    try:
        for found in reader:
            blank = not found or (len(found) == 1 and not found[0].strip(BLANKS))
            if blank and len(names) > 1:
                yield []
                continue
            record = [""] if blank else found
            if len(record) != len(names):
                place = f"row {row} (line {line + reader.line_num})"
                message = f"{place} has {cell_count(len(record))}, the header has {len(names)}"
                wrong.append(FieldError(("X", row), message, len(record)))
                if len(wrong) >= MAX_FIELD_ERRORS:
                    break
            row += 1
            yield record
    except csv.Error as error:
        raise InvalidTable(f"the CSV cannot be read at row {row} (line {line + reader.line_num}): {error}") from None
    if wrong:
        raise InvalidTable.of(wrong)


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
