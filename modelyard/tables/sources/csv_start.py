"""Where the table in a CSV begins, and by which delimiter its cells are parted."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from modelyard.tables.missing import BLANKS

DELIMITERS = ",;\t|"
_SAMPLE_BYTES = 64 * 1024
_SAMPLE_RECORDS = 50
_SEP = re.compile(rb'"?sep=([\t !#-/:-@\[-`{-~])"?[ \t]*(?:\r\n|\r|\n|\Z)', re.IGNORECASE)
"""The line by which Excel is told the delimiter, the first of a file."""


_BLANK_LINES = re.compile(rb"(?:[,;\t| ]*(?:\r\n?|\n))+")
_YEAR = re.compile(r"(?:19|20)[0-9]{2}")


class Start(NamedTuple):
    """The offset of the header, which is behind blank lines, bare delimiters and a line `sep=;`, and the delimiter."""

    offset: int
    delimiter: str


class _Record(NamedTuple):
    line: int
    cells: list[str]


def find_start(data: bytes, prefer: str | None = None) -> Start:
    """Find the header. `prefer` is the delimiter to take if several would do and no line `sep=` names it."""
    offset = _blank_lines_end(data, 0)
    if (said := _SEP.match(data, offset)) is not None:
        return Start(_blank_lines_end(data, said.end()), said[1].decode())
    return Start(offset, find_delimiter(data[offset:], prefer))


def find_delimiter(data: bytes, prefer: str | None = None) -> str:
    """Return the delimiter that splits most of the first records as it splits the header; `,` for a single column."""
    text = _sample(data)
    candidates = sorted(DELIMITERS, key=lambda delimiter: delimiter != prefer)
    best, best_score = ",", (0.0, 1)
    for delimiter in candidates:
        widths = [len(record.cells) for record in _records(text, delimiter)]
        if widths and widths[0] > 1:
            score = (sum(width == widths[0] for width in widths) / len(widths), widths[0])
            if score > best_score:
                best, best_score = delimiter, score
    return best


def later_start(data: bytes, line: int) -> str:
    """Say in which line the table seems to begin, if titles or comments are before it; empty if it seems not so.

    `line` lines of the file are before the data.
    """
    text, found = _sample(data), {}
    for delimiter in DELIMITERS:
        records = list(_records(text, delimiter))
        place = _header_among(records)
        if place is not None:
            found[line + records[place].line] = (len(records) - place, _width(records[place]))
    if not found:
        return ""
    start = max(found, key=found.__getitem__)
    return (
        f"the table seems to begin in line {start}, with {found[start][1]} columns; "
        f"leave the lines before it out with skip_rows={start - 1}"
    )


def _blank_lines_end(data: bytes, start: int) -> int:
    found = _BLANK_LINES.match(data, start)
    return start if found is None else found.end()


def _header_among(records: Sequence[_Record]) -> int | None:
    """Return the first record after the first that may be the header of all after it; None if the first may be, too.

    A header has as many cells as its longest row, if empty cells at the end do not count.
    """
    widths = list(map(_width, records))
    if len(records) < 3 or widths[0] == Counter(widths).most_common(1)[0][0]:
        return None
    fitting = (
        place
        for place, width in enumerate(widths[:-1])
        if width > 1 and max(widths[place + 1 :]) == width and _may_be_header(records[place].cells[:width])
    )
    return next(fitting, None) or None


def _may_be_header(cells: Sequence[str]) -> bool:
    """Whether cells are different names with letters, or years; the first may be empty, as above pandas' index."""
    names = [cell.strip(BLANKS) for cell in cells]
    named = names if names[0] else names[1:]
    return len(set(named)) == len(named) and all(_YEAR.fullmatch(name) or any(map(str.isalpha, name)) for name in named)


def _width(record: _Record) -> int:
    return max((place for place, cell in enumerate(record.cells, 1) if cell.strip(BLANKS)), default=0)


def _sample(data: bytes) -> str:
    sample = data[:_SAMPLE_BYTES]
    if len(sample) < len(data):
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    return sample.decode("utf-8", errors="replace")


def _records(text: str, delimiter: str) -> Iterator[_Record]:
    """Yield the first records that are not blank, each with its first line, which counts from 1."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    seen = ended = 0
    try:
        for cells in reader:
            if cells:
                yield _Record(ended + 1, cells)
                seen += 1
            ended = reader.line_num
            if seen >= _SAMPLE_RECORDS:
                return
    except csv.Error:
        return  # judged by the records before it; reading the whole file will name the place
