"""Where the table in a CSV begins, and by which delimiter its cells are parted."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from modelyard.errors import InvalidTable
from modelyard.tables.missing import BLANKS
from modelyard.tables.sources.options import FileOptions

COMMENTS = ("#", "%")
"""How lines before a header may begin; some headers begin so as well."""

DELIMITERS = ",;\t|"
_SAMPLE_BYTES = 64 * 1024
_SAMPLE_RECORDS = 50
_SEP = re.compile(rb'"?sep=([\t !#-/:-@\[-`{-~])"?[ \t]*(?:\r\n|\r|\n|\Z)', re.IGNORECASE)
"""The line by which Excel is told the delimiter, the first of a file."""

LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_BLANK_LINES = re.compile(rb"(?:[,;\t| ]*(?:\r\n?|\n))+")
_YEAR = re.compile(r"(?:19|20)[0-9]{2}")


class Start(NamedTuple):
    """Where the table begins, and its delimiter.

    `offset` is that of the header, which is behind blank lines, bare delimiters and a line `sep=;`; `blank` that of the
    blank lines, which are rows of a table without a header.
    """

    offset: int
    blank: int
    delimiter: str


class _Record(NamedTuple):
    line: int
    cells: list[str]


def find_start(data: bytes, options: FileOptions, prefer: str | None = None) -> Start:
    """Find the header. `prefer` is the delimiter to take if several would do and nothing names it.

    The options may name it, or a line `sep=`. Raises InvalidTable if no line is left of those that the options skip.
    """
    blank = _skipped(data, options.skip_rows)
    offset = _blank_lines_end(data, blank)
    if (said := _SEP.match(data, offset)) is not None:
        return Start(_blank_lines_end(data, said.end()), said.end(), options.delimiter or said[1].decode())
    return Start(offset, blank, options.delimiter or find_delimiter(_sample(data, offset), prefer))


def find_delimiter(text: str, prefer: str | None = None) -> str:
    """Return the delimiter that splits most of the first records as it splits the header; `,` for a single column."""
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
    """Say what is wrong with the header, and what to do; empty if nothing seems wrong.

    Titles or comments may be before it, and then it is said in which line the table seems to begin. `line` lines of the
    file are before the data.
    """
    text, found = _sample(data), {}
    for delimiter in DELIMITERS:
        records = list(_records(text, delimiter))
        if _lacks_a_name(records):
            return (
                "each row has one cell more; if the first ones are the names of rows, as of R's write.table, "
                "write them with col.names=NA"
            )
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


def _skipped(data: bytes, lines: int) -> int:
    """Return where the first lines of a file end. Raises InvalidTable if nothing comes after them."""
    end = 0
    for _ in range(lines):
        line = LINE.match(data, end)
        end = line.end() if line else end
    if lines and not data[end:].strip():
        raise InvalidTable(f"skip_rows is {lines}, but the file has only {len(data.splitlines())} lines")
    return end


def _blank_lines_end(data: bytes, start: int) -> int:
    found = _BLANK_LINES.match(data, start)
    return start if found is None else found.end()


def _header_among(records: Sequence[_Record]) -> int | None:
    """Return the first record after the first that may be the header of all after it; None if the first may be, too.

    A header has as many cells as its longest row, if empty cells at the end do not count.
    """
    widths = list(map(_width, records))
    comments = next(
        (place for place, record in enumerate(records) if not record.cells[0].startswith(COMMENTS)), len(records)
    )
    if len(records) < 3 or (not comments and widths[0] == Counter(widths).most_common(1)[0][0]):
        return None
    fitting = (
        place
        for place in range(comments, len(records) - 1)
        if widths[place] > 1 and widths[place] == max(widths[place + 1 :]) and _may_be_header(records[place:])
    )
    return next(fitting, None) or None


def _may_be_header(records: Sequence[_Record]) -> bool:
    """Whether the first record holds different names with letters, or years, above all columns that hold anything.

    The first name may be empty, as above pandas' index.
    """
    names = [cell.strip(BLANKS) for cell in records[0].cells]
    named = list(filter(None, names))
    nameless = [place for place, name in enumerate(names) if place and not name]
    return (
        len(set(named)) == len(named)
        and all(_YEAR.fullmatch(name) or any(map(str.isalpha, name)) for name in named)
        and not any("".join(record.cells[place : place + 1]).strip(BLANKS) for record in records for place in nameless)
    )


def _lacks_a_name(records: Sequence[_Record]) -> bool:
    """Whether there is no name above the last column only, and the cells of the first one all differ."""
    names, *rows = (record.cells for record in records) if records else [[]]
    return (
        len(rows) > 1
        and len(names) > 1
        and all(map(str.strip, names))
        and all(len(row) == len(names) + 1 for row in rows)
        and len({row[0] for row in rows}) == len(rows)
    )


def _width(record: _Record) -> int:
    return max((place for place, cell in enumerate(record.cells, 1) if cell.strip(BLANKS)), default=0)


def _sample(data: bytes, start: int = 0) -> str:
    """Return the first whole lines from `start` on, or the beginning of a line that is longer."""
    sample = data[start : start + _SAMPLE_BYTES]
    if start + len(sample) < len(data):
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
