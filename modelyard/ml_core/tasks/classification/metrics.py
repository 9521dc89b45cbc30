"""How good probabilities are against the truth: scikit-learn's metrics under this project's names.

Classes are codes 0 to k-1 here, labels play no part. A metric that does not apply is None, never NaN; nothing warns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from modelyard.ml_core.tasks.base import Metrics, Weights
from modelyard.schemas import Label

Codes = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]


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
    from sklearn import metrics

    if weights is not None:
        codes, probabilities, weights = codes[weights > 0], probabilities[weights > 0], weights[weights > 0]
    k = probabilities.shape[1]
    predicted = predicted_codes(probabilities)
    present = np.unique(codes)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        codes, predicted, average="macro", zero_division=0, sample_weight=weights
    )
    # The mean recall of the classes that occur is balanced_accuracy_score, which warns if others are predicted.
    balanced = metrics.recall_score(
        codes, predicted, labels=present, average="macro", zero_division=0, sample_weight=weights
    )
    all_classes = np.arange(k)
    rankings = _rankings(codes, probabilities, weights) if len(present) == k else (None, None)
    values = {
        "accuracy": metrics.accuracy_score(codes, predicted, sample_weight=weights),
        "balanced_accuracy": balanced,
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "roc_auc": rankings[0],
        "average_precision": rankings[1],
        "log_loss": metrics.log_loss(codes, y_proba=probabilities, labels=all_classes, sample_weight=weights),
        "brier": metrics.brier_score_loss(codes, y_proba=probabilities, labels=all_classes, sample_weight=weights),
    }
    return {name: _number(value) for name, value in values.items()}


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


def _rankings(codes: Codes, probabilities: Probabilities, weights: Weights | None) -> tuple[float, float]:
    """Return ROC AUC and average precision; every class must occur."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    scores = probabilities[:, 1] if probabilities.shape[1] == 2 else probabilities
    return (
        roc_auc_score(codes, scores, multi_class="ovr", sample_weight=weights),
        average_precision_score(codes, scores, sample_weight=weights),
    )


def per_class(
    codes: Codes, probabilities: Probabilities, classes: Sequence[Label], weights: Weights | None = None
) -> list[dict[str, Any]]:
    """Return for each class its label, precision, recall, F1 and support; a class without rows has only its support.

    The support is the number of rows, with weights their sum.
    """
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(
        codes, predicted_codes(probabilities), labels=np.arange(len(classes)), zero_division=0, sample_weight=weights
    )
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


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
