"""The metrics of many resamples at once: those of `metrics.metrics_of`."""

from __future__ import annotations

import numpy as np

from modelyard.ml_core.resampling import Floats, Measure, means, medians
from modelyard.ml_core.tasks.base import Scores, Truth

_MEDIAN = "median_absolute_error"


def measure(truth: Truth, scores: Scores, only: str | None = None) -> Measure:
    """Return what measures resamples of n rows with true numbers, shape (n,), and predicted ones, shape (n, 1).

    Unless it is the `only` metric needed, the median, which takes longer than all others, is left out.
    """
    missed = np.abs(truth - scores[:, 0])
    shares = missed / np.maximum(np.abs(truth), np.finfo(np.float64).eps)
    spread = truth - truth.mean()
    with np.errstate(over="ignore"):
        losses = means(np.column_stack((missed**2, missed, shares, spread, spread**2)))
    median = medians(missed) if only in (None, _MEDIAN) else None

    def measured(weights: Floats) -> dict[str, Floats]:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            squared, absolute, share, mean, square = losses(weights).T
            variance = square - mean**2
            varied = variance > 1e-12 * square  # else all rows drawn have one number
            return {
                "rmse": np.sqrt(squared),
                "mae": absolute,
                "r2": np.where(varied, 1 - squared / variance, np.nan),
                **({} if median is None else {_MEDIAN: median(weights)}),
                "mape": share,
            }

    return measured
