"""Excel workbooks (.xlsx): one sheet becomes columns of typed cells, read by calamine.

Calamine believes what a file says, and has no word for the errors of formulas. `workbook_archive` unpacks and marks
what it is given.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, TypeVar

from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, load_workbook

from modelyard.errors import FieldError, InvalidTable
from modelyard.tables.missing import BLANKS
from modelyard.tables.sources.options import FileOptions
from modelyard.tables.sources.raw import check_names
from modelyard.tables.sources.workbook_archive import ERROR_MARK, column_letters, unpacked_workbook

_T = TypeVar("_T")

Row = tuple[int, list[Any]]
"""A row's number in its sheet, and its cells."""


@dataclass(frozen=True, slots=True)
class ErrorCell:
    """A cell whose formula has failed: what Excel shows in it, and where it is. No column may hold it."""

    shown: str
    place: str

    def __repr__(self) -> str:
        return f"Excel's error {self.shown} in cell {self.place}"


@dataclass(frozen=True, slots=True)
class Sheets:
    """The names of a workbook's sheets, and of the one that is read."""

    names: tuple[str, ...]
    read: str


def sheets_in(data: bytes, label: str, options: FileOptions) -> Sheets:
    """Return a workbook's sheets; the one read is the one that the options name, even if it is not there.

    Raises InvalidTable, and PayloadTooLarge if too much comes out of the file.
    """
    bare = unpacked_workbook(data, label, options.max_bytes, cells=False)
    names = _by_calamine(lambda: tuple(_names(load_workbook(io.BytesIO(bare)))), label)
    if options.sheet is not None or len(names) == 1:
        return Sheets(names, options.sheet or names[0])
    archive = unpacked_workbook(data, label, options.max_bytes)  # its cells tell which is the first that is not empty
    return Sheets(names, _by_calamine(lambda: _sheet(load_workbook(io.BytesIO(archive)), label, options)[0], label))


def read_workbook(data: bytes, label: str, options: FileOptions) -> dict[str, list[Any]]:
    """Return the columns of a sheet by name: the one that the options name, else the first that is not empty.

    Rows without a filled cell are skipped; `skip_rows` counts from the sheet's first row. The first of several columns
    may have no name, because pandas writes its index so. `label` names the file in messages. Raises InvalidTable, and
    PayloadTooLarge if too much comes out of the file.
    """
    archive = unpacked_workbook(data, label, options.max_bytes)
    sheet, rows = _by_calamine(lambda: _sheet(load_workbook(io.BytesIO(archive)), label, options), label)
    where = f"{label}, sheet {sheet!r}"
    if not rows:
        below = f" below its first {options.skip_rows} rows (skip_rows)" if options.skip_rows else ""
        raise InvalidTable(f"{where}: no cell{below} is filled")
    filled = [
        place
        for place, column in enumerate(zip(*(cells for _, cells in rows), strict=True))
        if any(map(_is_filled, column))
    ]
    places = range(filled[0], filled[-1] + 1)
    if not options.header:
        names = dict(zip(places, options.named(len(places), len(places)), strict=True))
        return {name: _column(rows, place, sheet) for place, name in names.items()}
    (_, header), *rows = rows
    names = {place: _name(header[place]) for place in places if place in set(filled)}
    unnamed = int(len(names) > 1 and not names[places[0]])
    check_names(list(names.values())[unnamed:], f"{where}, header", start=unnamed)
    return {name: _column(rows, place, sheet) for place, name in names.items()}


def _by_calamine(read: Callable[[], _T], label: str) -> _T:
    try:
        return read()
    except CalamineError as error:
        why = str(error)[:200]
    except BaseException as error:  # a panic of Rust's is no Exception, and its class cannot be imported
        if type(error).__name__ != "PanicException":
            raise
        why = "it is damaged"
    raise InvalidTable(f"{label}: not a readable Excel workbook: {why}")


def _names(book: CalamineWorkbook) -> list[str]:
    return [sheet.name for sheet in book.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]


def _sheet(book: CalamineWorkbook, label: str, options: FileOptions) -> tuple[str, list[Row]]:
    """Return the name of the sheet to read, and its rows that are not blank, all of one length."""
    names = _names(book)
    if options.sheet is not None and options.sheet not in names:
        message = f"{label} has no sheet {options.sheet!r}; it has {', '.join(map(repr, names[:50]))}"
        raise InvalidTable.of([FieldError(("sheet",), message, options.sheet)])
    rows: list[Row] = []
    for name in names if options.sheet is None else [options.sheet]:
        grid = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
        numbered = enumerate(grid[options.skip_rows :], options.skip_rows + 1)
        rows = [(number, cells) for number, cells in numbered if any(map(_is_filled, cells))]
        if rows:
            return name, rows
    return options.sheet or ", ".join(names[:50]), rows


def _is_filled(cell: Any) -> bool:
    return cell.strip(BLANKS) != "" if type(cell) is str else cell is not None


def _name(cell: Any) -> str:
    """Return a cell of the header as a column's name."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell.isoformat() if isinstance(cell, (date, time)) else str(cell).strip(BLANKS)


def _column(rows: Sequence[Row], place: int, sheet: str) -> list[Any]:
    """Return the cells of a column, None if empty. Days among times are midnights."""
    cells = [None if cells[place] == "" else cells[place] for _, cells in rows]
    kinds = set(map(type, cells))
    if {date, datetime} <= kinds:
        return [datetime.combine(cell, time()) if type(cell) is date else cell for cell in cells]
    if str not in kinds:
        return cells
    return [
        ErrorCell(cell.removeprefix(ERROR_MARK), f"{column_letters(place)}{number} of sheet {sheet!r}")
        if type(cell) is str and cell.startswith(ERROR_MARK)
        else cell
        for cell, (number, _) in zip(cells, rows, strict=True)
    ]
