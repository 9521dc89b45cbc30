"""What a decision does on the validation, beside the most probable class and beside every other threshold.

Intervals are of 90 %, by the bootstrap of the rows, or of the groups if there are any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modelyard.ml_core.deciding.checks import class_code, doubtful_costs
from modelyard.ml_core.deciding.confusion import confusion
from modelyard.ml_core.deciding.cost_curve import cost_curve, cost_interval
from modelyard.ml_core.deciding.deciders import Codes, Floats, cost_matrix
from modelyard.ml_core.deciding.pools import Pools
from modelyard.ml_core.deciding.resolving import answered, crossed, is_found
from modelyard.ml_core.deciding.savings import saving
from modelyard.ml_core.validation_predictions import ValidationPredictions
from modelyard.schemas import MOST_PROBABLE, DecisionMetrics, Label, ModelWarning, ResolvedDecision
from modelyard.schemas.showing import label_text


def judge(
    decision: ResolvedDecision,
    classes: Sequence[Label],
    validation: ValidationPredictions | None,
    label: str | None = None,
) -> dict[str, Any]:
    """Return the fields of a DecisionReport beyond the model and its decision; `label` is the class that it is about.

    Left out, it is the decision's, or the second of two. Without a validation they are the warnings that the costs
    alone give.
    """
    matrix = 1 - np.eye(len(classes)) if decision.costs is None else cost_matrix(decision.costs, classes)
    warnings = doubtful_costs(matrix, classes)
    if validation is None:
        return {"warnings": list(warnings)}
    truth, scores, found = validation.truth, validation.scores, is_found(decision, classes)
    plain = answered(MOST_PROBABLE, classes, scores)
    codes = crossed(decision, classes, validation) if found else answered(decision, classes, scores)
    about = decision if label is None else decision.model_copy(update={"label": label})
    code = class_code(about, classes) if about.label is not None or len(classes) == 2 else None
    own = decision.threshold if about.label == decision.label else None
    pools = Pools(validation)
    weights = pools.weights
    resampled = pools.means(np.stack([pools.add(matrix[truth, answers]) for answers in (codes, plain)], axis=1)).T
    metrics, others = (
        DecisionMetrics(
            **_of_class(answers, truth, weights, code),
            accuracy=float(np.average(answers == truth, weights=weights)),
            **_cost(matrix[truth, answers], weights, drawn),
        )
        for answers, drawn in zip((codes, plain), resampled, strict=True)
    )
    return {
        "label": None if code is None else label_text(classes[code]),
        "curve": [] if code is None else cost_curve(validation, matrix, code, own, pools),
        "metrics": metrics,
        "most_probable": others,
        "confusion_matrix": confusion(validation.truth, codes, classes, validation.weights),
        "cross_fitted": found,
        "n_rows": len(truth),
        "warnings": [*warnings, *_over_capacity(decision, classes, scores, weights)],
        **({} if decision.rule == "most_probable" else saving(decision, metrics.cost, others.cost, *resampled)),
    }


def _of_class(codes: Codes, truth: Codes, weights: Floats, code: int | None) -> dict[str, float | None]:
    """Return precision, recall and share of a class."""
    if code is None:
        return {}
    answered, own = weights[codes == code].sum(), weights[truth == code].sum()
    hits = weights[(codes == code) & (truth == code)].sum()
    return {
        "precision": float(hits / answered) if answered else None,
        "recall": float(hits / own) if own else None,
        "share": float(answered / weights.sum()),
    }


def _cost(costs: Floats, weights: Floats, resampled: Floats) -> dict[str, float]:
    cost = float(np.average(costs, weights=weights))
    return {"cost": cost, **cost_interval(cost, resampled)}


def _over_capacity(
    decision: ResolvedDecision, classes: Sequence[Label], scores: Floats, weights: Floats
) -> tuple[ModelWarning, ...]:
    """Warn if more rows reach the threshold of a capacity than there is room for: they have equal probabilities."""
    if decision.share is None:
        return ()
    reached = weights[answered(decision, classes, scores) == class_code(decision, classes)].sum() / weights.sum()
    if reached <= decision.share + 1e-9:
        return ()
    message = (
        f"{reached:.3g} of the validation's rows have the highest probability of {decision.label!r} alone, "
        f"which is more than the share of {decision.share:g}"
    )
    return (ModelWarning(code="over_capacity", message=message),)
