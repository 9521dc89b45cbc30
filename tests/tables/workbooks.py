"""Excel workbooks for tests, written by XlsxWriter."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import xlsxwriter

FORMATS = {datetime: "yyyy-mm-dd hh:mm", date: "yyyy-mm-dd", time: "hh:mm:ss"}


class Failed(str):
    """A cell whose formula has failed with this error."""

    __slots__ = ()


def write_workbook(path: Path, sheets: Mapping[str, Any], *, at: tuple[int, int] = (0, 0)) -> Path:
    """Write sheets of rows, each from a row and a column on; None is an empty cell."""
    with xlsxwriter.Workbook(path) as book:
        formats = {kind: book.add_format({"num_format": shown}) for kind, shown in FORMATS.items()}
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for row, cells in enumerate(rows, at[0]):
                for column, cell in enumerate(cells, at[1]):
                    if isinstance(cell, Failed):
                        sheet.write_formula(row, column, "=1/0", None, str(cell))
                    else:
                        sheet.write(row, column, cell, formats.get(type(cell)))
    return path
