"""A report as its model answers now: by its decision, where the evaluation counted the most probable class.

Ranks and probabilities (ROC AUC, log loss, curves) are the same by any decision.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from modelyard.schemas import ConfusionMatrix, DecisionReport, ModelMetadata, NameSummary, Report, meaning
from modelyard.verbs import Verbs

_COUNTED = ("accuracy", "balanced_accuracy", "precision", "recall", "f1")
"""The measures that follow from a confusion matrix."""


def is_decided(model: ModelMetadata | NameSummary) -> bool:
    """Whether a model, or the newest version of a name, answers otherwise than by the most probable class."""
    return model.decision is not None and model.decision.rule != "most_probable"


def decided_by(yard: Verbs, model: ModelMetadata) -> DecisionReport | None:
    """Return what a model's decision does; None, and nothing is asked, if it answers the most probable class."""
    return yard.get_decision(model.model_id) if is_decided(model) else None


def as_decided(report: Report, decided: DecisionReport | None) -> Report:
    """Return a report with the confusion matrix of a decision, and with the classes and metrics that follow from it.

    Their intervals and deviations between folds are left out, but for the interval of an accuracy that is no matter of
    costs. Without a decision, or if the model keeps no predictions to count anew, the report is as it was.
    """
    if decided is None or decided.confusion_matrix is None:
        return report
    per_class = list(_per_class(decided.confusion_matrix))
    counted = {f"validation_{name}": value for name, value in _metrics(decided.confusion_matrix, per_class).items()}
    if decided.metrics is not None and decided.decision.costs is None:  # an error costs 1
        low, high = 1 - decided.metrics.cost_high, 1 - decided.metrics.cost_low
        counted |= {"validation_accuracy_low": low, "validation_accuracy_high": high}
    metrics = {
        name: counted.get(name, value)
        for name, value in report.metrics.items()
        if name in counted or not _is_counted(name)
    }
    changed = {"metrics": metrics, "confusion_matrix": decided.confusion_matrix, "per_class": per_class}
    return report.model_copy(update=changed)


def _is_counted(metric: str) -> bool:
    named = meaning(metric)
    return named.rows == "validation" and named.measure in _COUNTED


def _per_class(matrix: ConfusionMatrix) -> Iterator[dict[str, Any]]:
    """Yield the rows of a report's table of classes; a class without rows has only its support."""
    counts = np.array(matrix.matrix)
    for code, label in enumerate(matrix.labels):
        hits, support, called = counts[code, code], counts[code].sum(), counts[:, code].sum()
        shares = (
            {
                "precision": float(hits / called) if called else 0.0,
                "recall": float(hits / support),
                "f1": float(2 * hits / (support + called)),
            }
            if support
            else dict.fromkeys(("precision", "recall", "f1"))
        )
        yield {"label": label, **shares, "support": support.item()}


def _metrics(matrix: ConfusionMatrix, per_class: list[dict[str, Any]]) -> dict[str, float]:
    """Return the metrics of a matrix; means go over the classes that occur, in the rows or among the answers."""
    counts: npt.NDArray[Any] = np.array(matrix.matrix)
    occurring = np.count_nonzero(counts.sum(axis=0) + counts.sum(axis=1))
    held_out = [row for row in per_class if row["support"]]
    means = {name: sum(row[name] for row in held_out) / occurring for name in ("precision", "recall", "f1")}
    balanced = sum(row["recall"] for row in held_out) / len(held_out)
    return {"accuracy": float(np.trace(counts) / counts.sum()), "balanced_accuracy": balanced, **means}
