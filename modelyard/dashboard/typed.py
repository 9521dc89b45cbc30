"""A row of a table as a form holds it: numbers, moments and categories by the types of a model's columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from modelyard.dashboard.formats import label
from modelyard.schemas import ModelMetadata

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MARKERS = ("", "?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "<NA>")
"""The server's defaults, for models of releases that did not keep theirs."""


def typed_row(
    model: ModelMetadata, cells: Mapping[str, Any], said: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return the cells of the model's columns, None for a missing one, and the columns whose cell cannot be read.

    `said` is what was said of how the table is read; else its numbers are written as in training.
    """
    row: dict[str, Any] = {}
    unread: list[str] = []
    for name in model.feature_names:
        cell = cells.get(name)
        row[name] = None
        if cell is None or (isinstance(cell, str) and cell.strip() in _markers(model)):
            continue
        row[name] = _typed(model, name, cell, said)
        if row[name] is None:
            unread.append(name)
    return row, unread


def _markers(model: ModelMetadata) -> tuple[str, ...]:
    return _MARKERS if model.reading is None else tuple(model.reading.missing_markers)


def _typed(model: ModelMetadata, name: str, cell: Any, said: Mapping[str, Any]) -> float | datetime | str | None:
    kind = model.feature_types[name]
    if kind == "numeric":
        return _number(model, cell, said)
    if kind == "datetime":
        return _moment(cell)
    whole = isinstance(cell, float) and cell.is_integer()
    return str(int(cell)) if whole else cell if isinstance(cell, str) else label(cell)


def _number(model: ModelMetadata, cell: Any, said: Mapping[str, Any]) -> float | None:
    if not isinstance(cell, str):
        return float(cell) if isinstance(cell, int | float) else None
    usual = model.reading
    decimal = said.get("decimal") or (None if usual is None else usual.decimal)
    thousands = said.get("thousands") or (None if usual is None else usual.thousands) or ""
    text = cell.strip().rstrip("% ").replace("\N{MINUS SIGN}", "-").replace(thousands, "")
    for mark in (".", ",") if decimal is None else (decimal,):
        plain = text.replace(mark, ".") if mark == "," else text
        if _NUMBER.fullmatch(plain):
            return float(plain)
    return None


def _moment(cell: Any) -> datetime | None:
    """Return a date or a moment to the minute, in UTC without a zone as forms hold it; None if it is none."""
    try:
        found = datetime.fromisoformat(cell.strip()) if isinstance(cell, str) else cell
    except ValueError:
        return None
    if not isinstance(found, datetime):
        return datetime.combine(found, time.min) if isinstance(found, date) else None
    if found.tzinfo is not None:
        found = found.astimezone(UTC).replace(tzinfo=None)
    return found.replace(second=0, microsecond=0)
