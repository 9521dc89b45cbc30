"""The metrics of many resamples at once: those of `metrics.metrics_of`."""

from __future__ import annotations

import numpy as np

from modelyard.ml_core.resampling import Confusion, Floats, Measure, Ranking, means
from modelyard.ml_core.tasks.classification.metrics import Codes, Probabilities, predicted_codes


def measure(codes: Codes, probabilities: Probabilities) -> Measure:
    """Return what measures resamples of n rows with true codes, shape (n,), and probabilities, shape (n, k).

    A mean over classes is of those that a resample has.
    """
    k = probabilities.shape[1]
    predicted = predicted_codes(probabilities)
    confusion = Confusion(codes, predicted, k)
    losses = means(_losses(codes, probabilities, predicted))
    of_classes = [1] if k == 2 else range(k)
    rankings = [Ranking(codes == code, probabilities[:, code]) for code in of_classes]

    def measured(weights: Floats) -> dict[str, Floats]:
        accuracy, log_loss, brier = losses(weights).T
        areas, averages = np.array([ranking.measure(weights) for ranking in rankings]).swapaxes(0, 1)
        return {
            "accuracy": accuracy,
            **confusion.measure(weights),
            "roc_auc": _mean_of_known(areas),
            "average_precision": _mean_of_known(averages),
            "log_loss": log_loss,
            "brier": brier,
        }

    return measured


def _losses(codes: Codes, probabilities: Probabilities, predicted: Codes) -> Floats:
    """Return of each row whether it is right, its log loss and its Brier score, shape (n, 3)."""
    n, k = probabilities.shape
    own = probabilities[np.arange(n), codes]
    squares = np.einsum("ij,ij->i", probabilities, probabilities) - 2 * own + 1
    brier = squares / 2 if k == 2 else squares  # as scikit-learn scales it
    return np.column_stack((predicted == codes, -np.log(np.maximum(own, np.finfo(np.float64).eps)), brier))


def _mean_of_known(values: Floats) -> Floats:
    """Return the mean of each column's numbers, NaN without any; values have shape (classes, rounds)."""
    known = np.isfinite(values)
    found: Floats = np.where(known, values, 0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)
    return found
