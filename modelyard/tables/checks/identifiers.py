"""Columns that look like identifiers or free text: they tell the rows of training apart, and nothing of new rows."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import polars as pl

from modelyard.schemas import ModelWarning
from modelyard.tables.contract import MISSING_CATEGORY, TrainingTable

IDENTIFIER_SHARE = 0.9
IDENTIFIER_ROWS = 20


def identifier_like(table: TrainingTable) -> tuple[ModelWarning, ...]:
    """Warn of columns that nearly all differ (over 90 % of more than 20 rows), number the rows or rise with labels."""
    contract, codes = table.contract, table.codes
    if table.frame.height <= IDENTIFIER_ROWS:
        return ()
    categorical = contract.categorical
    in_blocks = np.count_nonzero(np.diff(codes)) == len(contract.classes) - 1
    found = [
        _identifier(series, categorical[series.name].categories)
        if series.name in categorical
        else _row_number(series) or (_rising_index(series) if in_blocks else None)
        for series in table.frame
        if series.name not in contract.datetimes
    ]
    return tuple(warning for warning in found if warning is not None)


def _identifier(series: pl.Series, categories: Sequence[str]) -> ModelWarning | None:
    present, distinct = len(series), len(categories)
    if MISSING_CATEGORY in categories:
        present, distinct = present - int((series == MISSING_CATEGORY).sum()), distinct - 1
    if not present or distinct / present <= IDENTIFIER_SHARE:
        return None
    return _warning(series.name, distinct, f"{distinct:,} of {present:,} values differ")


def _row_number(series: pl.Series) -> ModelWarning | None:
    low, high = series.min(), series.max()
    if series.has_nulls() or not isinstance(low, float) or not isinstance(high, float):
        return None
    if high - low != len(series) - 1 or series.n_unique() < len(series) or not (series == series.floor()).all():
        return None
    return _warning(series.name, len(series), f"its values number the rows, {low:.0f} to {high:.0f}")


def _rising_index(series: pl.Series) -> ModelWarning | None:
    """Warn of whole numbers that only rise (or only fall) in a table whose rows are sorted by their labels."""
    if series.has_nulls():
        return None
    values = series.to_numpy()
    steps = np.diff(values)
    if not (np.all(steps > 0) or np.all(steps < 0)) or not np.array_equal(values, np.floor(values)):
        return None
    return _warning(series.name, len(series), "its whole numbers only rise or fall, and so do the sorted labels")


def _warning(name: str, count: int, why: str) -> ModelWarning:
    message = (
        f"column {name!r} looks like an identifier or free text ({why}), which tells a model nothing about new rows: "
        "exclude it, or if it names the rows, say so with "
        f"column_roles {json.dumps({name: 'id'}, ensure_ascii=False)}"
    )
    return ModelWarning(code="identifier_like", message=message, column=name, count=count)
