"""The report of a training: what its evaluation showed, ready for JSON and for drawing.

Everything in it is computed elsewhere (`metrics`, `curves`, the model class, `tables`); here it is put together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.ml_core.tasks.classification.curves import calibration_curves, precision_recall_curves, roc_curves
from modelyard.ml_core.tasks.classification.metrics import Codes, Metrics, Probabilities, per_class, predicted_codes
from modelyard.ml_core.training.evaluation import Validation
from modelyard.schemas import ConfusionMatrix, Label, LearningCurve, ModelWarning, Report


def build_report(
    *,
    metrics: Metrics,
    validation: Validation | None,
    classes: Sequence[Label],
    learning_curve: LearningCurve | None,
    feature_importances: Mapping[str, float] | None,
    columns: Mapping[str, dict[str, Any]],
    rows: Mapping[str, int],
    warnings: Sequence[ModelWarning],
) -> Report:
    """Build the report; without a validation its matrix, curves and per-class table are null."""
    judged = _judged(validation.codes, validation.probabilities, classes) if validation else {}
    return Report(
        metrics=metrics,
        **judged,
        learning_curve=learning_curve,
        feature_importances=_finite(feature_importances),
        columns=dict(columns),
        rows=dict(rows),
        warnings=list(warnings),
    )


def _judged(codes: Codes, probabilities: Probabilities, classes: Sequence[Label]) -> dict[str, Any]:
    return {
        "confusion_matrix": confusion(codes, probabilities, classes),
        "roc_curves": roc_curves(codes, probabilities, classes) or None,
        "precision_recall_curves": precision_recall_curves(codes, probabilities, classes) or None,
        "calibration_curve": calibration_curves(codes, probabilities, classes) or None,
        "per_class": per_class(codes, probabilities, classes),
    }


def confusion(codes: Codes, probabilities: Probabilities, classes: Sequence[Label]) -> ConfusionMatrix:
    """Count the rows of each class by the class predicted for them."""
    from sklearn.metrics import confusion_matrix

    matrix = confusion_matrix(codes, predicted_codes(probabilities), labels=range(len(classes)))
    return ConfusionMatrix(labels=list(classes), matrix=matrix.tolist())


def _finite(importances: Mapping[str, float] | None) -> dict[str, float] | None:
    """Return importances as plain floats; None if they broke down, for a ranking with holes says nothing."""
    if importances is None or not all(map(math.isfinite, importances.values())):
        return None
    return {name: float(value) for name, value in importances.items()}
