"""The metrics of many resamples at once: those of `metrics.metrics_of`."""

from __future__ import annotations

import numpy as np

from modelyard.ml_core.resampling import Confusion, Floats, Measure, Ranking, means
from modelyard.ml_core.tasks.classification.metrics import Codes, Probabilities, predicted_codes

_MEANS = ("accuracy", "log_loss", "brier")
_AREAS = ("roc_auc", "average_precision")


def measure(codes: Codes, probabilities: Probabilities, only: str | None = None) -> Measure:
    """Return what measures resamples of n rows with true codes, shape (n,), and probabilities, shape (n, k).

    A mean over classes is of those that a resample has. `only` names a metric without which nothing is needed: those
    that come of other sums are left out then.
    """
    predicted = predicted_codes(probabilities)
    parts: list[Measure] = []
    if only in (None, *_MEANS):
        parts.append(_means(_losses(codes, probabilities, predicted)))
    if only in (None, *_AREAS):
        parts.append(_areas(codes, probabilities))
    if only not in (*_MEANS, *_AREAS):
        parts.append(Confusion(codes, predicted, probabilities.shape[1]).measure)
    return lambda weights: {name: values for part in parts for name, values in part(weights).items()}


def _means(losses: Floats) -> Measure:
    measured = means(losses)
    return lambda weights: dict(zip(_MEANS, measured(weights).T, strict=True))


def _areas(codes: Codes, probabilities: Probabilities) -> Measure:
    k = probabilities.shape[1]
    rankings = [Ranking(codes == code, probabilities[:, code]) for code in ([1] if k == 2 else range(k))]

    def measured(weights: Floats) -> dict[str, Floats]:
        each = np.array([ranking.measure(weights) for ranking in rankings]).swapaxes(0, 1)
        return dict(zip(_AREAS, map(_mean_of_known, each), strict=True))

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
