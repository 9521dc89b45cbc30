"""Tables that JSON has no word for, as RestClient sends them: as Arrow, or with each cell as a plain value.

Two numbers lose what JSON cannot hold: a single-precision one is sent as it is written (0.1), an integer of more than
64 bits as the nearest float. In a polars DataFrame, or as columns that are all polars Series, both stay what they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from modelyard.tables.cells import finite
from modelyard.tables.sources.forms import cells_of, check_form
from modelyard.tables.wire import Plain, keys_of, plain_cell, wrong_cells

_INT64 = range(-(2**63), 2**63)


def frame(X: Any) -> pl.DataFrame | None:
    """Return X as a DataFrame to be sent as Arrow if it is one, or columns that are all Series; else None."""
    if isinstance(X, dict):
        if not X or not all(isinstance(name, str) and isinstance(column, pl.Series) for name, column in X.items()):
            return None
        if len(set(map(len, X.values()))) > 1:
            return None
        X = pl.DataFrame([column.rename(name) for name, column in X.items()])
    if not isinstance(X, pl.DataFrame) or any("Object" in str(dtype) for dtype in X.dtypes):
        return None
    return X


def table(X: Any, feature_names: list[str] | None) -> dict[str, Any] | list[Any]:
    """Return a table as orjson writes it. Raises InvalidTable for what is no table or holds what JSON cannot."""
    check_form(X)
    try:
        if isinstance(X, pl.DataFrame):
            return {column.name: _column(column) for column in X}
        if isinstance(X, dict):
            return {str(name): _column(column) for name, column in X.items()}
        if X and isinstance(X[0], dict):
            keys_of(X)
            return [{str(key): _cell(cell) for key, cell in record.items()} for record in X]
        return [list(map(_cell, row)) for row in X]
    except ValueError:
        raise wrong_cells(X, feature_names, _cell) from None


def _column(column: Any) -> list[Plain]:
    cells = cells_of(column)
    if isinstance(cells, pl.Series) and cells.dtype == pl.Float32:
        cells = [None if cell is None else np.float32(cell) for cell in cells.to_list()]
    return list(map(_cell, cells))


def _cell(cell: Any) -> Plain:
    value = plain_cell(cell)
    return finite(value) if type(value) is float or (type(value) is int and value not in _INT64) else value
