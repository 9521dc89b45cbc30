"""How far predicted numbers are from the true ones: the numbers of scikit-learn's metrics, of many resamples, too.

A metric that does not apply is None, never NaN; nothing warns.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from modelyard.ml_core.resampling import Floats, Measure, means, medians
from modelyard.ml_core.tasks.base import Metrics, Scores, Truth, Weights

_MEDIAN = "median_absolute_error"


def rmse(truth: Truth, scores: Scores, weights: Weights | None = None) -> float | None:
    """Return the root of the mean squared error."""
    with np.errstate(over="ignore"):
        return _number(np.sqrt(np.average((truth - scores[:, 0]) ** 2, weights=weights)))


def metrics_of(truth: Truth, scores: Scores, weights: Weights | None = None) -> Metrics:
    """Measure predictions of shape (n, 1) against n true numbers.

    R² is None if all true numbers are equal (a single row, too), the mean absolute percentage error if one is 0. Rows
    count by their weights; those of weight 0 are as if they were not there.
    """
    if weights is None:
        weights = np.ones(len(truth))
    truth, scores, weights = truth[weights > 0], scores[weights > 0], weights[weights > 0]
    missed, varies = np.abs(truth - scores[:, 0]), truth.min() < truth.max()
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        spread = (truth - np.average(truth, weights=weights)) ** 2
        squared, variance = np.average(missed**2, weights=weights), np.average(spread, weights=weights)
        values = {
            "rmse": np.sqrt(squared),
            "mae": np.average(missed, weights=weights),
            "r2": 1 - squared / variance if varies else None,
            _MEDIAN: medians(missed)(weights[None])[0],
            "mape": np.average(_shares(missed, truth), weights=weights) if truth.all() else None,
        }
    return {name: _number(value) for name, value in values.items()}


def measure(truth: Truth, scores: Scores, only: str | None = None) -> Measure:
    """Return what measures resamples of n rows with true numbers, shape (n,), and predicted ones, shape (n, 1).

    Unless it is the `only` metric needed, the median, which takes longer than all others, is left out.
    """
    missed = np.abs(truth - scores[:, 0])
    spread = truth - truth.mean()
    with np.errstate(over="ignore"):
        losses = means(np.column_stack((missed**2, missed, _shares(missed, truth), spread, spread**2)))
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


def _shares(missed: Truth, truth: Truth) -> Floats:
    shares: Floats = missed / np.maximum(np.abs(truth), np.finfo(np.float64).eps)
    return shares


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
