"""A CSV as Python's csv module reads it in strict mode, record by record: exact, and slower than polars."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from modelyard.errors import MAX_FIELD_ERRORS, FieldError, InvalidTable
from modelyard.tables.missing import BLANKS
from modelyard.tables.sources.raw import cell_count

if TYPE_CHECKING:
    from _csv import Reader

_LONGEST_CELL = 2**24
"""The csv module stops at so many characters, so that a quote that is never closed does not fill the memory."""


class Width(NamedTuple):
    """How many cells a record has: as many as the header, or fewer if the last ones of the header have no name.

    `named` is the number of cells up to the last name, `header` that of all cells of the header.
    """

    named: int
    header: int


def strict_reader(lines: Iterable[str], delimiter: str) -> Reader:
    """Return the csv module's reader in strict mode."""
    csv.field_size_limit(_LONGEST_CELL)
    return csv.reader(lines, delimiter=delimiter, strict=True)


def in_words(error: csv.Error) -> str:
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


def read_records(body: bytes, width: Width, delimiter: str, line: int) -> Iterator[list[str] | None]:
    """Yield the records, each with as many cells as the header.

    A blank line is an empty list, or the missing cell of a single column. A record of nothing but delimiters is None.
    Empty cells beyond the header do not count. `line` lines of the file are before the body. Raises InvalidTable if any
    record has too few or too many cells.
    """
    reader = strict_reader(io.TextIOWrapper(io.BytesIO(body), "utf-8", newline=""), delimiter)
    wrong: list[FieldError] = []
    row = ended = 0
    try:
        for found in reader:
            first, ended = ended + 1, reader.line_num
            blank = not found or (len(found) == 1 and not found[0].strip(BLANKS))
            if width.header > 1 and (blank or not any(found)):
                yield [] if blank else None
                continue
            record = _fitted([""] if blank else found, width)
            if record is None:
                due = width.header if len(found) > width.header else width.named
                message = (
                    f"{_place(row, line + first, line + ended)} has {cell_count(len(found))}, the header has {due}"
                )
                wrong.append(FieldError(("X", row), message, len(found)))
                if len(wrong) >= MAX_FIELD_ERRORS:
                    break
            row += 1
            yield record
    except csv.Error as error:
        place = _place(row, line + ended + 1, line + reader.line_num)
        raise InvalidTable(f"the CSV cannot be read at {place}: {in_words(error)}") from None
    if wrong:
        raise InvalidTable.of(wrong)


def _fitted(record: list[str], width: Width) -> list[str] | None:
    """Return a record with as many cells as the header; None if it lacks a named one or has one too many."""
    if len(record) == width.header:
        return record
    if len(record) < width.named or any(cell.strip(BLANKS) for cell in record[width.header :]):
        return None
    return (record + [""] * width.header)[: width.header]


def _place(row: int, first_line: int, last_line: int) -> str:
    lines = f"line {first_line}" if first_line == last_line else f"lines {first_line} to {last_line}"
    return f"row {row} ({lines})"
