"""Columns that hold next to nothing: one value throughout, or hardly any value at all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from modelyard.schemas import ModelWarning
from modelyard.tables.contract import MISSING_CATEGORY, TrainingTable

MOSTLY = 0.5
"""A column of which more than this share is missing is mostly missing."""


def check_columns(table: TrainingTable) -> Iterator[ModelWarning]:
    """Warn of columns that are constant or mostly missing."""
    rows = table.frame.height
    for series in table.frame:
        missing = _missing(series)
        if missing > MOSTLY * rows:
            yield _mostly_missing(series.name, missing, rows)
        elif rows > 1 and not missing and _is_constant(series):
            yield _constant(series.name, rows)


def _missing(series: pl.Series) -> int:
    if not isinstance(series.dtype, pl.Enum):
        return series.null_count()
    categories = series.dtype.categories
    if MISSING_CATEGORY not in categories:
        return 0
    return int(np.count_nonzero(series.to_physical().to_numpy() == categories.index_of(MISSING_CATEGORY)))


def _is_constant(series: pl.Series) -> bool:
    if isinstance(series.dtype, pl.Enum):
        return len(series.dtype.categories) == 1
    return series.min() == series.max()


def _mostly_missing(name: str, missing: int, rows: int) -> ModelWarning:
    message = (
        f"column {name!r} is missing in {missing:,} of {rows:,} rows ({missing / rows:.0%}): a model learns little "
        "more than whether it is there, and is wrong if it comes to be filled more often; find out why it is missing, "
        "or exclude it"
    )
    return ModelWarning(code="mostly_missing", message=message, column=name, count=missing)


def _constant(name: str, rows: int) -> ModelWarning:
    message = (
        f"column {name!r} has the same value in all {rows:,} rows, so no model can learn from it; exclude it, or find "
        "out whether its other values were lost"
    )
    return ModelWarning(code="constant", message=message, column=name, count=rows)
