"""Cells, labels and hyperparams that JSON has no word for, as RestClient sends them.

Numbers of other types, dates and times go as what the core takes them for; what it refuses goes as a stand-in.

Two numbers lose what JSON cannot hold: a single-precision one is sent as it is written (0.1), an integer of more than
64 bits as the nearest float. In a polars DataFrame, or as columns that are all polars Series, both stay what they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from modelyard.rest_api.stand_ins import is_unicode, of_container, stand_in
from modelyard.schemas.showing import shown, shown_instead
from modelyard.tables.cells import kind_of, shortest_float
from modelyard.tables.forms import check_names
from modelyard.tables.labels import label_column

Writer = Callable[[Any], Any]

_INT64 = range(-(2**63), 2**63)


def frame(X: Any) -> pl.DataFrame | None:
    """Return X as a DataFrame that can be sent as Arrow where it is one, or columns that are all Series; else None."""
    if isinstance(X, dict):
        if not X or not all(isinstance(name, str) and isinstance(column, pl.Series) for name, column in X.items()):
            return None
        if len(set(map(len, X.values()))) > 1:
            return None
        X = pl.DataFrame([column.rename(name) for name, column in X.items()])
    if not isinstance(X, pl.DataFrame) or any("Object" in str(dtype) for dtype in X.dtypes):
        return None
    return X


def table(X: Any, *, training: bool) -> Any:
    """Return a table as orjson writes it. Raises InvalidTable for column names that are no text."""
    if isinstance(X, pl.DataFrame):
        X = {name: X[name] for name in X.columns}
    if isinstance(X, dict):
        check_names(X, "X")
        return {name: _column(column) for name, column in X.items()}
    if not isinstance(X, (list, tuple)):
        return _outer(X)
    if training and X and isinstance(X[0], dict):
        check_names(X[0], "X")
    return [_row(row) for row in X]


def labels(y: Any) -> list[Any]:
    """Return labels as orjson writes them. Raises InvalidTable where they are no column."""
    column = label_column(y)
    return [_label(label) for label in column]


def hyperparam(value: Any) -> Any:
    """Return the value of a hyperparam as orjson writes it."""
    if isinstance(value, (bool, str)):
        return value if isinstance(value, bool) or is_unicode(value) else stand_in("text", shown(value))
    if isinstance(value, (int, float)):
        written = _integer(value) if isinstance(value, int) else float(value)
        if isinstance(written, int) or (isinstance(written, float) and math.isfinite(written)):
            return written
    return stand_in("object", shown(value))


def _row(row: Any) -> Any:
    if isinstance(row, dict):
        return {_key(key, place): _cell(cell) for place, (key, cell) in enumerate(row.items())}
    return [_cell(cell) for cell in row] if isinstance(row, (list, tuple)) else _outer(row)


def _key(key: Any, place: int) -> str:
    """Return a record's key; for what is no text a blank one, which no column may have for a name."""
    return str(key) if isinstance(key, str) and is_unicode(key) else " " * (place + 1)


def _column(column: Any) -> Any:
    if isinstance(column, pl.Series):
        single = column.dtype == pl.Float32
        return [_cell(np.float32(cell) if single and cell is not None else cell) for cell in column.to_list()]
    if isinstance(column, np.ndarray) and column.ndim == 1:
        column = column.tolist()
    return [_cell(cell) for cell in column] if isinstance(column, (list, tuple)) else _outer(column)


def _outer(value: Any) -> Any:
    """Stand in for what is where a table, a row or a column is due: a text, since objects and lists are such."""
    kind = type(value)
    if value is None or kind is bool or (kind is int and value in _INT64) or (kind is str and is_unicode(value)):
        return value
    if kind is float and math.isfinite(value):
        return value
    return of_container(shown_instead(value))


def _cell(cell: Any) -> Any:
    return _writer(type(cell))(cell)


def _writer_of(kind: type) -> Writer:
    meaning = kind_of(kind)
    if meaning == "number":
        return _integer if issubclass(kind, (int, np.integer)) else _single if issubclass(kind, np.float32) else _float
    return _WRITERS[meaning]


_writer: Callable[[type], Writer] = lru_cache(maxsize=1024)(_writer_of)


def _label(label: Any) -> Any:
    if isinstance(label, Decimal) and label.is_finite() and label == int(label):
        return _integer(int(label))
    return stand_in("object", shown(label)) if kind_of(type(label)) == "time" else _cell(label)


def _integer(cell: Any) -> Any:
    whole = int(cell)
    if whole in _INT64:
        return whole
    try:
        return float(whole)
    except OverflowError:
        return stand_in("number", shown(cell))


def _float(cell: Any) -> Any:
    try:
        value = float(cell)
    except ValueError:  # a Decimal's signalling NaN
        return stand_in("object", shown(cell))
    return stand_in("number", shown(cell)) if math.isinf(value) else value


def _single(cell: np.float32) -> Any:
    return stand_in("number", shown(cell)) if np.isinf(cell) else shortest_float(cell)


def _text(cell: Any) -> Any:
    text = str(cell)
    return text if is_unicode(text) else stand_in("text", shown(text))


_WRITERS: dict[str, Writer] = {
    "missing": lambda _: None,
    "boolean": bool,
    "text": _text,
    "time": lambda cell: str(cell.isoformat()),
    "other": lambda cell: stand_in("object", shown(cell)),
}
