"""Judging a table in which rows may have labels that are none of the model's k classes: their code is k.

Such a row counts as wrong in what is measured of the answers. What is measured of probabilities leaves it out, because
the model says no probability of its label.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from modelyard.errors import InvalidTable
from modelyard.ml_core.resampling import Floats, Measure
from modelyard.ml_core.tasks.base import MAX_NAMED, Metrics
from modelyard.ml_core.tasks.classification.metrics import Codes, Probabilities, measure, metrics_of
from modelyard.schemas import Label, ModelWarning

_OF_ANSWERS = ("accuracy", "balanced_accuracy", "precision", "recall", "f1")


def metrics_and_measure(codes: Codes, probabilities: Probabilities) -> tuple[Metrics, Measure]:
    """Return the metrics of n rows, at least one of them known, and what measures resamples of all n rows."""
    known = codes < probabilities.shape[1]
    metrics = metrics_of(codes[known], probabilities[known])
    of_known = measure(codes[known], probabilities[known])
    if known.all():
        return metrics, of_known
    wider = np.column_stack([probabilities, np.zeros(len(codes))])
    answers = metrics_of(codes, wider)
    of_all = measure(codes, wider)

    def measured(weights: Floats) -> dict[str, Floats]:
        found = of_all(weights)
        return {**of_known(weights[:, known]), **{name: found[name] for name in _OF_ANSWERS}}

    return {**metrics, **{name: answers[name] for name in _OF_ANSWERS}}, measured


def warn_of_unknown(known: npt.NDArray[np.bool_], classes: Sequence[Label]) -> tuple[ModelWarning, ...]:
    """Warn of rows whose label is none of the classes. Raises InvalidTable if all are such rows."""
    count = int(len(known) - known.sum())
    named = ", ".join(map(repr, classes[:MAX_NAMED])) + (", ..." if len(classes) > MAX_NAMED else "")
    if count == len(known):
        raise InvalidTable(f"no row has a label that the model knows; its classes are {named}")
    if not count:
        return ()
    message = (
        f"{count} rows have labels that the model does not know (its classes are {named}): they count as wrong, and "
        "not at all in roc_auc, average_precision, log_loss, brier, curves and the confusion matrix"
    )
    return (ModelWarning(code="unknown_labels", message=message, count=count),)
