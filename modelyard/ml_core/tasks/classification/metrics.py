"""How good probabilities are against the truth: the numbers of scikit-learn's metrics, of many resamples at once, too.

Classes are codes 0 to k-1 here, labels play no part. A metric that does not apply is None, never NaN; nothing warns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from modelyard.ml_core.resampling import Confusion, Floats, Measure, Ranking, means
from modelyard.ml_core.resampling.measures import ratio
from modelyard.ml_core.tasks.base import Metrics, Weights
from modelyard.schemas import Label
from modelyard.schemas.metrics import MEASURES

Codes = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]

_MEANS = ("accuracy", "log_loss", "brier")
_AREAS = ("roc_auc", "average_precision")


def accuracy(codes: Codes, probabilities: Probabilities, weights: Weights | None = None) -> float:
    """Return the share of rows whose most probable class is the true one."""
    return float(np.average(predicted_codes(probabilities) == codes, weights=weights))


def predicted_codes(probabilities: Probabilities) -> Codes:
    """Return the most probable class of each row; of equals the first, as scikit-learn does."""
    if probabilities.shape[1] == 2:  # in a tenth of the time
        return (probabilities[:, 1] > probabilities[:, 0]).astype(np.int64)
    codes: Codes = probabilities.argmax(axis=1)
    return codes


def metrics_of(codes: Codes, probabilities: Probabilities, weights: Weights | None = None) -> Metrics:
    """Measure probabilities of shape (n, k) against n true codes.

    Precision, recall and F1 are means over the classes that occur, with 0 if a class is never predicted. ROC AUC and
    average precision are of the second class for two classes, else one-vs-rest means, and None if a class has no rows.
    The Brier score is in [0, 1] for two classes, else in [0, 2]. Rows count by their weights; those of weight 0 are as
    if they were not there.
    """
    if weights is None:
        weights = np.ones(len(codes))
    counted = weights > 0
    codes, probabilities, weights = codes[counted], probabilities[counted], weights[counted]
    found = measure(codes, probabilities)(weights[None] / weights.max())  # products of large ones would overflow
    undefined = _AREAS if len(np.unique(codes)) < probabilities.shape[1] else ()
    return {name: None if name in undefined else float(found[name][0]) for name in MEASURES["classification"]}


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


def baseline(
    fitted: Codes, codes: Codes, k: int, fitted_weights: Weights | None = None, weights: Weights | None = None
) -> Metrics:
    """Measure, by n true codes, what knows nothing but the k classes' shares of the rows fitted."""
    shares = np.bincount(fitted, fitted_weights, minlength=k)
    shares = shares / shares.sum()
    losses = -np.log(np.maximum(shares, np.finfo(np.float64).eps))
    return {
        "baseline_accuracy": float(np.average(codes == shares.argmax(), weights=weights)),
        "baseline_log_loss": float(np.average(losses[codes], weights=weights)),
    }


def per_class(
    codes: Codes, probabilities: Probabilities, classes: Sequence[Label], weights: Weights | None = None
) -> list[dict[str, Any]]:
    """Return for each class its label, precision, recall, F1 and support; a class without rows has only its support.

    The support is the number of rows, with weights their sum.
    """
    predicted, counts = predicted_codes(probabilities), np.ones(len(codes)) if weights is None else weights
    true, answered, hits = (
        np.bincount(those, counted, len(classes)).astype(np.float64)
        for those, counted in ((codes, counts), (predicted, counts), (codes, counts * (codes == predicted)))
    )
    columns = (ratio(hits, answered, 0.0), ratio(hits, true, 0.0), ratio(2 * hits, true + answered, 0.0), true)
    return [
        {
            "label": label,
            "precision": float(precision) if support else None,
            "recall": float(recall) if support else None,
            "f1": float(f1) if support else None,
            "support": int(support) if weights is None else float(support),
        }
        for label, precision, recall, f1, support in zip(classes, *columns, strict=True)
    ]
