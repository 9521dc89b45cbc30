"""What one cell means: missing, a number, or a category.

These are the definitions. `columns` applies them to whole columns, `rows` to a few rows; both must agree with what is
written here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from modelyard.errors import FieldError
from modelyard.schemas.showing import shown
from modelyard.tables.contract import MISSING_CATEGORY, CategorySource, escape_category

Kind = Literal["missing", "number", "boolean", "text", "time", "other"]

BLANKS = " \t\r\n"
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_LEADING_ZERO = re.compile(r"[+-]?0[0-9]")
_KINDS: tuple[tuple[tuple[type, ...], Kind], ...] = (
    ((type(None),), "missing"),
    ((bool, np.bool_), "boolean"),
    ((int, float, Decimal, np.integer, np.floating), "number"),
    ((str,), "text"),
    ((date, datetime, time), "time"),
)


def _kind_of(cell_type: type) -> Kind:
    return next((kind for types, kind in _KINDS if issubclass(cell_type, types)), "other")


kind_of: Callable[[type], Kind] = lru_cache(maxsize=1024)(_kind_of)
"""Tell what cells of a Python (or numpy) type are. NaN is still a number here; see `is_missing`."""


def marker_set(markers: Iterable[str]) -> frozenset[str]:
    """Return the missing markers as `is_missing` wants them: without surrounding blanks, which never matter."""
    return frozenset(marker.strip(BLANKS) for marker in markers)


def is_missing(cell: Any, markers: frozenset[str]) -> bool:
    """Tell whether a cell is None, NaN, or text that is a missing marker."""
    kind = kind_of(type(cell))
    if kind == "text":
        return str(cell).strip(BLANKS) in markers
    return kind == "missing" or (kind == "number" and bool(cell != cell))


def looks_like_number(text: str) -> bool:
    """Tell whether text without surrounding blanks is written as a number: `1`, `+.5`, `5.`, `1e5`, but not `007`."""
    return NUMBER.fullmatch(text) is not None and _LEADING_ZERO.match(text) is None


def number(cell: Any, markers: frozenset[str], *, text_cells: bool) -> float | None:
    """Return a numeric column's cell, None where it is missing; `text_cells`: numbers come as text (CSV).

    Raises ValueError saying what the cell must be.
    """
    if is_missing(cell, markers):
        return None
    kind = kind_of(type(cell))
    if kind == "number":
        return _finite(cell)
    if kind == "text" and text_cells:
        text = str(cell).strip(BLANKS)
        if NUMBER.fullmatch(text) or text.lstrip("+-").lower() in ("inf", "infinity"):
            return _finite(text)
    if kind == "boolean":
        raise ValueError("must be a number (booleans belong in a categorical column)")
    raise ValueError("must be a number")


def category(cell: Any, source: CategorySource, markers: frozenset[str]) -> str:
    """Return a categorical column's cell as estimators see it; `source` decides how text is read.

    Raises ValueError saying what the cell must be.
    """
    if is_missing(cell, markers):
        return MISSING_CATEGORY
    kind = kind_of(type(cell))
    if kind == "text":
        return _text_category(str(cell), source)
    if kind == "number":
        return _number_category(cell)
    if kind == "boolean":
        return "true" if cell else "false"
    if kind == "time":
        return str(cell.isoformat())
    raise ValueError("must be text, a number or a boolean")


def shortest_float(value: np.float32) -> float:
    """Return the double that is written like a single-precision number: 0.1, not 0.10000000149011612."""
    return float(str(value))


def wrong_cell(column: str, row: int, problem: str, cell: Any) -> FieldError:
    """Build the error for one cell; rows count from 0."""
    return FieldError(("X", row, column), f"column {column!r}, row {row}: {problem}, got {shown(cell)}", plain(cell))


def plain(cell: Any) -> str | int | float | bool | None:
    """Return a cell as JSON can carry it; what JSON cannot, and what is long, as it is shown."""
    if cell is None or isinstance(cell, bool):
        return cell
    if isinstance(cell, str) and len(cell) <= 80 and cell.isprintable():
        return cell
    if type(cell) is int and abs(cell) < 2**63:
        return cell
    if type(cell) is float and math.isfinite(cell):
        return cell
    return shown(cell)


def _text_category(text: str, source: CategorySource) -> str:
    stripped = text.strip(BLANKS)
    if source == "numbers" and looks_like_number(stripped):
        whole = _INTEGER.fullmatch(stripped) and math.isfinite(float(stripped))
        return _number_category(int(stripped) if whole else float(stripped))
    if source == "booleans" and stripped.lower() in ("true", "false"):
        return stripped.lower()
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("must be valid Unicode text")
    return escape_category(text)


def _number_category(cell: Any) -> str:
    value = _finite(cell)
    if isinstance(cell, (int, np.integer)):
        return str(int(cell))
    if isinstance(cell, np.float32):
        value = shortest_float(cell)
    return str(int(value)) if value.is_integer() else repr(value)


def _finite(cell: Any) -> float:
    try:
        value = float(cell)
    except OverflowError:
        value = math.inf
    if math.isinf(value):
        raise ValueError("must be a finite number, at most about 1.8e308")
    return value
