"""How closely each column goes with the target, at a glance: from 0, not at all, to 1, either tells the other.

It looks at the first rows, as the profiles do, and never decides anything: what a model makes of a column is in its
report.
"""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from modelyard.dashboard.profiles import without_missing

_BINS = 10
_MOST_LABELS = 20
_FEWEST_ROWS = 20


def link(column: pl.Series, target: pl.Series) -> float | None:
    """Return Cramér's V of two columns, corrected for its bias; None for too few rows, or nothing that differs.

    Numbers count by their tenths, texts by the most frequent ones. The correction is Bergsma's (2013), without which
    columns of many values always seem to tell something.
    """
    frame = pl.DataFrame({"x": _coarse(column), "y": _coarse(target)}).drop_nulls("y")
    if len(frame) < _FEWEST_ROWS:
        return None
    x, y = (np.unique(codes.fill_null(0), return_inverse=True)[1] for codes in frame.select(pl.all().rank("dense")))
    counts = np.zeros((x.max() + 1, y.max() + 1))
    np.add.at(counts, (x, y), 1)
    n, (r, k) = len(frame), counts.shape
    if min(r, k) < 2:
        return None
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / n
    phi = float(np.sum((counts - expected) ** 2 / expected)) / n
    phi = max(0.0, phi - (k - 1) * (r - 1) / (n - 1))
    rows, columns = r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)
    return min(1.0, math.sqrt(phi / (min(rows, columns) - 1))) if min(rows, columns) > 1 else None


def _coarse(column: pl.Series) -> pl.Series:
    """Return a few texts in the place of a column's cells; a missing cell stays missing."""
    column = column.to_physical() if column.dtype.is_temporal() else column
    present = without_missing(column)
    numbers = present.cast(pl.Float64, strict=False) if present.dtype != pl.Boolean else present.cast(pl.String)
    if numbers.dtype == pl.Float64 and not numbers.has_nulls() and numbers.n_unique() > _MOST_LABELS:
        every = column.cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
        return (every.rank("average") * _BINS / max(1, len(present))).ceil().cast(pl.String)
    texts = column.cast(pl.String, strict=False).str.strip_chars()
    texts = texts.set(~texts.is_in(present.cast(pl.String, strict=False).unique().implode()), None)
    frequent = texts.alias("text").drop_nulls().value_counts(sort=True).head(_MOST_LABELS)["text"]
    kept = pl.when(texts.is_in(frequent.implode())).then(texts).when(texts.is_not_null()).then(pl.lit(""))
    return pl.select(kept).to_series()
