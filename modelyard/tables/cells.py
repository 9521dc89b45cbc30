"""What one cell means: missing, a number, a moment, or a category.

These are the definitions. `columns` applies them to whole columns and `reading` to a few rows, and both must agree with
them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from modelyard.errors import FieldError
from modelyard.schemas.showing import shown
from modelyard.tables.contract import MISSING_CATEGORY, CellReading, escape_category
from modelyard.tables.missing import BLANKS, Markers
from modelyard.tables.moments import MOMENT_DUE, as_python, moment_of, written
from modelyard.tables.spelling import MINUS, PLAIN, Spelling

Kind = Literal["missing", "number", "boolean", "text", "moment", "time", "other"]

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
EXACT_INTEGERS = 2.0**53
"""Beyond it two integers may be the same float."""

_INTEGER = re.compile(r"[+-]?[0-9]+")
_LEADING_ZERO = re.compile(r"[+-]?0[0-9]")
_CELL_DUE = "must be text, a number or a boolean"
_KINDS: tuple[tuple[tuple[type, ...], Kind], ...] = (
    ((np.timedelta64,), "other"),  # to numpy an integer
    ((type(None),), "missing"),
    ((bool, np.bool_), "boolean"),
    ((int, float, Decimal, np.integer, np.floating), "number"),
    ((str,), "text"),
    ((date, np.datetime64), "moment"),
    ((time,), "time"),
)


def _kind_of(cell_type: type) -> Kind:
    return next((kind for types, kind in _KINDS if issubclass(cell_type, types)), "other")


kind_of: Callable[[type], Kind] = lru_cache(maxsize=1024)(_kind_of)
"""Return the kind of cells of a Python (or numpy) type. NaN counts as a number here, NaT as a moment."""


def is_missing(cell: Any, markers: Markers) -> bool:
    """Whether a cell is None, NaN, NaT, a text that is a missing marker, or a number that a marker is."""
    kind = kind_of(type(cell))
    if kind == "text":
        return str(cell).strip(BLANKS) in markers
    if kind == "number":
        return is_nan(cell) or (bool(markers.numbers) and cell in markers.numbers)
    return kind == "missing" or (kind == "moment" and bool(cell != cell))  # NaT


def is_nan(number: Any) -> bool:
    """Whether a number is NaN; a decimal's signaling NaN can be neither compared, hashed nor made a float."""
    return number.is_nan() if isinstance(number, Decimal) else bool(number != number)


def looks_like_number(text: str) -> bool:
    """Whether a text without outer blanks is written as a number: `1`, `+.5`, `5.`, `1e5`, but not `007`."""
    return NUMBER.fullmatch(text) is not None and _LEADING_ZERO.match(text) is None


def number(cell: Any, reading: CellReading, *, text_cells: bool) -> float | None:
    """Return a cell of a numeric column, None if it is missing. `text_cells`: numbers come as text (CSV).

    Raises ValueError saying what the cell must be.
    """
    if is_missing(cell, reading.markers):
        return None
    kind = kind_of(type(cell))
    if kind == "number":
        return finite(cell)
    if kind == "text" and text_cells:
        return _written_number(str(cell).strip(BLANKS), reading)
    if kind == "boolean":
        raise ValueError("must be a number (booleans belong in a categorical column)")
    raise ValueError("must be a number")


def moment(cell: Any, reading: CellReading) -> datetime | None:
    """Return a cell of a datetime column, None if it is missing. Raises ValueError saying what the cell must be."""
    if is_missing(cell, reading.markers):
        return None
    found = moment_of(cell)
    if found is None:
        raise ValueError(MOMENT_DUE)
    return None if found in missing_moments(reading.markers) else found


@lru_cache(maxsize=256)
def missing_moments(markers: Markers) -> frozenset[datetime]:
    """Return the moments that missing markers tell, which are missing however they are written: `1900-01-01`."""
    return frozenset(found for text in markers.texts if (found := moment_of(text)) is not None)


def category(cell: Any, reading: CellReading) -> str:
    """Return a cell of a categorical column as estimators see it. `reading.source` says how text is read.

    Raises ValueError saying what the cell must be.
    """
    if is_missing(cell, reading.markers):
        return MISSING_CATEGORY
    kind = kind_of(type(cell))
    if kind == "text":
        return _text_category(str(cell), reading)
    if kind == "number":
        return _number_category(cell, exact=reading.edition > 1)
    if kind == "boolean":
        return "true" if cell else "false"
    if kind == "moment":
        return _moment_category(cell, reading)
    if kind == "time":
        return str(cell.isoformat())
    raise ValueError(_CELL_DUE)


def iso_text(cell: Any) -> str:
    """Return a date or a datetime as it is written. Raises ValueError if it is not of the years 1 to 9999."""
    told = as_python(cell)
    if told is None:
        raise ValueError(MOMENT_DUE)
    return told.isoformat()


def unfit(cell: Any) -> str | None:
    """Say what a cell must be that no column may hold, whatever its type; None if some column may hold it."""
    kind = kind_of(type(cell))
    try:
        if kind == "number":
            finite(cell)
        elif kind == "text":
            require_unicode(str(cell))
    except ValueError as problem:
        return str(problem)
    return _CELL_DUE if kind == "other" else None


def finite(cell: Any) -> float:
    """Return a number as a float. Raises ValueError if it is infinite or too large for one."""
    try:
        value = float(cell)
    except OverflowError:
        value = math.inf
    if math.isinf(value):
        raise ValueError("must be a finite number, at most about 1.8e308")
    return value


def require_unicode(text: str) -> str:
    """Return a text. Raises ValueError if it is not valid Unicode."""
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("must be valid Unicode text")
    return text


def shortest_float(value: np.float32) -> float:
    """Return the double that is written like a single-precision number: 0.1, not 0.10000000149011612."""
    return float(str(value))


def wrong_cell(column: str, row: int, problem: str, cell: Any) -> FieldError:
    """Build the error for one cell; rows count from 0."""
    return FieldError(("X", row, column), f"column {column!r}, row {row}: {problem}, got {shown(cell)}", plain(cell))


def plain(cell: Any) -> str | int | float | bool | None:
    """Return a cell as JSON can carry it. Other cells, and long texts, become the text that shows them."""
    if cell is None or isinstance(cell, bool):
        return cell
    if isinstance(cell, str) and len(cell) <= 80 and cell.isprintable():
        return cell
    if type(cell) is int and abs(cell) < 2**63:
        return cell
    if type(cell) is float and math.isfinite(cell):
        return cell
    return shown(cell)


def _written_number(text: str, reading: CellReading) -> float | None:
    plain = text.replace(MINUS, "-") if reading.spelling == PLAIN else reading.spelling.plain(text)
    if plain is not None and NUMBER.fullmatch(plain):
        value = finite(plain)
        return None if value in reading.markers.numbers else value
    if text.lstrip("+-").lower() in ("inf", "infinity"):
        return finite(text)
    if reading.spelling != PLAIN:
        raise ValueError(f"must be a number written as in training, like {reading.spelling.example()}")
    if Spelling(",").plain(text) is not None:
        raise ValueError(
            "must be a number written with a decimal point (or say how it is written: decimal and thousands)"
        )
    raise ValueError("must be a number")


def _text_category(text: str, reading: CellReading) -> str:
    stripped = text.strip(BLANKS)
    if reading.source == "numbers" and looks_like_number(stripped):
        whole = _INTEGER.fullmatch(stripped) and math.isfinite(float(stripped))
        return _number_category(int(stripped) if whole else float(stripped), exact=False)
    if reading.source == "booleans" and stripped.lower() in ("true", "false"):
        return stripped.lower()
    if reading.source == "datetimes" and moment_of(stripped) is not None:
        return _moment_category(stripped, reading)
    require_unicode(text)
    return escape_category(text if reading.edition == 1 else stripped)


def _moment_category(cell: Any, reading: CellReading) -> str:
    if reading.source != "datetimes":
        return iso_text(cell)
    found = moment(cell, reading)
    return MISSING_CATEGORY if found is None else written(found)


def _number_category(cell: Any, *, exact: bool) -> str:
    """Return a number as a category; `exact`: refuse a float so large that it may stand for another integer."""
    value = finite(cell)
    if isinstance(cell, (int, np.integer)):
        return str(int(cell))
    if exact and abs(value) > EXACT_INTEGERS:
        raise ValueError("must be text, since integers beyond 2**53 cannot be told apart once they are floats")
    if isinstance(cell, np.float32):
        value = shortest_float(cell)
    return str(int(value)) if value.is_integer() else repr(value)
