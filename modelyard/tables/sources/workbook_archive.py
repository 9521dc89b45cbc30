"""The archive that an .xlsx is, made safe for calamine: unpacked up to a bound, its cells counted, its errors marked.

Calamine unpacks whatever comes, makes every cell between the first one and the last one of a sheet (two cells far apart
take gigabytes and end the process), and leaves the cell of a failed formula empty.
"""

from __future__ import annotations

import io
import re
import secrets
import zipfile
import zlib

from modelyard.errors import InvalidTable
from modelyard.tables.sources.packed import too_large

ERROR_MARK = f"error {secrets.token_hex(16)} "
"""Begins the text of a cell that holds an error; no text of a caller's can begin so."""

_MAGIC = b"PK\x03\x04"
_WORKBOOK, _TYPES, _RELATIONS = "xl/workbook.xml", "[Content_Types].xml", "_rels/.rels"
_FORMULAS = "calcchain.xml"
_CELLS = ("xl/worksheets/", "xl/sharedStrings.xml")
_EMPTY_CELLS, _CELLS_A_FILLED_ONE, _BYTES_A_CELL = 2**20, 64, 8
"""A sheet may have so many cells in any case, so many for each that is filled, one for so many bytes of the bound."""

_REFERENCE = re.compile(rb"\br\s*=\s*[\"']([A-Za-z]{0,7}[0-9]{1,10})[\"']")
_ROW = re.compile(rb"<(?:\w{1,20}:)?row\b")
_CELL = re.compile(rb"<(?:\w{1,20}:)?c\b")
_ERROR = re.compile(
    rb"(<(?:\w{1,20}:)?c\b[^<>]*?\bt=)[\"']e[\"']([^<>]*>(?:(?!</?(?:\w{1,20}:)?c\b).)*?<(?:\w{1,20}:)?v>)", re.DOTALL
)
_DIGITS, _LETTERS = b"0123456789", b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def is_workbook(data: bytes) -> bool:
    """Whether a file is an .xlsx."""
    if not data.startswith(_MAGIC):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return any(_part(name) == _WORKBOOK for name in archive.namelist())
    except (zipfile.BadZipFile, ValueError, OSError):
        return False


def unpacked_workbook(data: bytes, label: str, max_bytes: int, *, cells: bool = True) -> bytes:
    """Return a workbook as an archive that is not compressed, and whose errors are texts that begin with ERROR_MARK.

    Without `cells` it tells the names of its sheets and no more. `label` names the file in messages. Raises
    InvalidTable if it is damaged, PayloadTooLarge if more than `max_bytes` come out of it or a sheet has too many
    cells.
    """
    room = max_bytes
    copy = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(copy, "w") as plain:
            for name in dict.fromkeys(archive.namelist()):
                if not _is_needed(_part(name)) or (not cells and _part(name).startswith(_CELLS)):
                    continue
                with archive.open(name) as file:
                    content = file.read(room + 1)
                room -= len(content)
                if room < 0:
                    raise too_large(label, max_bytes)
                _check_cells(content, label, max_bytes)
                plain.writestr(_part(name), _ERROR.sub(rb'\1"str"\2' + ERROR_MARK.encode(), content))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise InvalidTable(f"{label}: not a readable Excel workbook: {str(error)[:200]}") from None
    return copy.getvalue()


def column_letters(place: int) -> str:
    """Return the name of a sheet's column, counted from 0: A, B, ..., Z, AA, ..."""
    letters = ""
    while place >= 0:
        place, letter = divmod(place, 26)
        letters = chr(ord("A") + letter) + letters
        place -= 1
    return letters


def _part(name: str) -> str:
    return name.replace("\\", "/").lstrip("/")


def _is_needed(part: str) -> bool:
    """Whether calamine may want a part; the list of a workbook's formulas it does not, and it looks like a sheet."""
    return part in (_TYPES, _RELATIONS) or (
        part.startswith("xl/") and part.endswith((".xml", ".rels")) and not part.lower().endswith(_FORMULAS)
    )


def _check_cells(content: bytes, label: str, max_bytes: int) -> None:
    """Refuse a sheet in which cells are far apart, and markup that could hide where they are.

    A cell is where its reference says; without one it comes after the one before it. So the highest reference and the
    number of cells together bound where the last one is.
    """
    in_rows = [len(_CELL.findall(row)) for row in _ROW.split(content)]
    if b"\x00" in content or (b"<!" in content and any(in_rows)):
        raise InvalidTable(f"{label}: not a readable Excel workbook: it is not UTF-8, or has comments or declarations")
    references = b" ".join(_REFERENCE.findall(content))
    rows, columns = references.translate(None, _LETTERS).split(), references.translate(None, _DIGITS).split()
    height = max(map(int, set(rows)), default=0) + len(in_rows)
    width = max(map(_column_number, set(columns)), default=0) + max(in_rows)
    if height * width > max(_EMPTY_CELLS, min(max_bytes // _BYTES_A_CELL, _CELLS_A_FILLED_ONE * sum(in_rows))):
        message = (
            "a sheet's cells are so far apart that too many empty ones lie between; delete what is no part of the table"
        )
        raise InvalidTable(f"{label}: {message}")


def _column_number(letters: bytes) -> int:
    """Return which column, counted from 1, has a name."""
    number = 0
    for letter in letters.upper():
        number = 26 * number + letter - ord("A") + 1
    return number
