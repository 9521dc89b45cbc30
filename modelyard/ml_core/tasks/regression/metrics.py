"""How far predicted numbers are from the true ones: scikit-learn's metrics under this project's names.

A metric that does not apply is None, never NaN; nothing warns.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from modelyard.ml_core.tasks.base import Metrics, Scores, Truth, Weights


def rmse(truth: Truth, scores: Scores, weights: Weights | None = None) -> float | None:
    """Return the root of the mean squared error."""
    from sklearn.metrics import root_mean_squared_error

    with np.errstate(over="ignore"):
        return _number(root_mean_squared_error(truth, scores[:, 0], sample_weight=weights))


def metrics_of(truth: Truth, scores: Scores, weights: Weights | None = None) -> Metrics:
    """Measure predictions of shape (n, 1) against n true numbers.

    R² is None if all true numbers are equal (a single row, too), the mean absolute percentage error if one is 0. Rows
    count by their weights; those of weight 0 are as if they were not there.
    """
    from sklearn import metrics

    if weights is not None:
        truth, scores, weights = truth[weights > 0], scores[weights > 0], weights[weights > 0]
    predicted = scores[:, 0]
    with np.errstate(over="ignore"):
        values = {
            "rmse": rmse(truth, scores, weights),
            "mae": metrics.mean_absolute_error(truth, predicted, sample_weight=weights),
            "r2": metrics.r2_score(truth, predicted, sample_weight=weights) if truth.min() < truth.max() else None,
            "median_absolute_error": metrics.median_absolute_error(truth, predicted, sample_weight=weights),
            "mape": metrics.mean_absolute_percentage_error(truth, predicted, sample_weight=weights)
            if truth.all()
            else None,
        }
    return {name: _number(value) for name, value in values.items()}


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
