"""How far predicted numbers are from the true ones: scikit-learn's metrics under this project's names.

A metric that does not apply is None, never NaN; nothing warns.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from modelyard.ml_core.tasks.base import Metrics, Scores, Truth


def rmse(truth: Truth, scores: Scores) -> float | None:
    """Return the root of the mean squared error."""
    from sklearn.metrics import root_mean_squared_error

    with np.errstate(over="ignore"):
        return _number(root_mean_squared_error(truth, scores[:, 0]))


def validation_metrics(truth: Truth, scores: Scores) -> Metrics:
    """Measure predictions of shape (n, 1) against n true numbers.

    R² is None if all true numbers are equal (a single row, too), the mean absolute percentage error if one is 0.
    """
    from sklearn import metrics

    predicted = scores[:, 0]
    with np.errstate(over="ignore"):
        values = {
            "rmse": rmse(truth, scores),
            "mae": metrics.mean_absolute_error(truth, predicted),
            "r2": metrics.r2_score(truth, predicted) if truth.min() < truth.max() else None,
            "median_absolute_error": metrics.median_absolute_error(truth, predicted),
            "mape": metrics.mean_absolute_percentage_error(truth, predicted) if truth.all() else None,
        }
    return {f"validation_{name}": _number(value) for name, value in values.items()}


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
