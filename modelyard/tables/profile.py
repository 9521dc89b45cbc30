"""What the columns of a training table look like, for the report: JSON-ready, without NaN."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.tables.contract import MISSING_CATEGORY, TrainingTable, as_codes, unescape_category

MAX_BINS = 20
MAX_TOP = 20


def profile_columns(table: TrainingTable) -> dict[str, dict[str, Any]]:
    """Describe each column of a table that is not expanded, by its `type`, its number of `missing` cells and the rest.

    Numbers have `min`, `max`, `mean`, `std`, `median` (null beyond the range of a float) and `histogram`; categories
    have `n_categories` and the most frequent ones as `top`; its value null is the missing category. Datetimes have
    `earliest` and `latest` as ISO texts in UTC, and a `histogram` whose edges are seconds since 1970.
    """
    return {series.name: _profile(series) for series in table.frame}


def _profile(series: pl.Series) -> dict[str, Any]:
    if series.dtype == pl.Float64:
        return _numeric(series)
    return _datetime(series) if series.dtype == pl.Datetime else _categorical(as_codes(series))


def _numeric(series: pl.Series) -> dict[str, Any]:
    values = series.drop_nulls().to_numpy()
    with np.errstate(over="ignore", invalid="ignore"):
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        mean, median = float(np.mean(values)), float(np.median(values))
    return {
        "type": "numeric",
        "missing": series.null_count(),
        "min": float(values.min()),
        "max": float(values.max()),
        "mean": _finite(mean),
        "std": _finite(spread),
        "median": _finite(median),
        "histogram": histogram(values),
    }


def _datetime(series: pl.Series) -> dict[str, Any]:
    present = series.drop_nulls()
    earliest, latest = (f"{moment.isoformat()}Z" for moment in (present.min(), present.max()))  # type: ignore[union-attr]
    return {
        "type": "datetime",
        "missing": series.null_count(),
        "earliest": earliest,
        "latest": latest,
        "histogram": histogram(present.to_physical().to_numpy() / 1e6),
    }


def histogram(values: npt.NDArray[np.float64]) -> dict[str, list[Any]]:
    """Count values in up to 20 bins of one width. Each whole number has its own bin if there are fewer."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return {"edges": [low, high], "counts": [len(values)]}
    bins = MAX_BINS
    if high - low < MAX_BINS and bool((values == np.floor(values)).all()):
        bins = int(high - low) + 1
    edges = np.linspace(low, high, bins + 1) if math.isfinite(high - low) else np.array([low, high])
    if bool((edges[1:] <= edges[:-1]).any()):  # too narrow a range for so many floats
        edges = np.array([low, high])
    counts, _ = np.histogram(values, bins=edges)
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def _categorical(series: pl.Series) -> dict[str, Any]:
    assert isinstance(series.dtype, pl.Enum)
    categories = series.dtype.categories
    counts = np.bincount(series.to_physical().to_numpy(), minlength=len(categories))
    top = np.argsort(-counts, kind="stable")[:MAX_TOP].tolist()  # of equals the first by name, as categories are sorted
    missing = int(counts[categories == MISSING_CATEGORY].sum())
    return {
        "type": "categorical",
        "missing": missing,
        "n_categories": int(np.count_nonzero(counts)),
        "top": [
            {"value": unescape_category(categories[code]), "count": int(counts[code])} for code in top if counts[code]
        ],
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
