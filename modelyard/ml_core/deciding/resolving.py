"""From a decision that is asked for to one that can be obeyed: its threshold is found on the validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from modelyard.errors import FailedPrecondition
from modelyard.ml_core.deciding import costs
from modelyard.ml_core.deciding.checks import check_decision, class_code
from modelyard.ml_core.deciding.cuts import METRICS, Cuts, precise, within
from modelyard.ml_core.deciding.deciders import Codes, Floats, cost_matrix, decider
from modelyard.ml_core.deciding.halves import first_half, only
from modelyard.ml_core.validation_predictions import ValidationPredictions
from modelyard.schemas import MOST_PROBABLE, Decision, Label, ResolvedDecision
from modelyard.schemas.showing import label_text

Load = Callable[[], ValidationPredictions]
"""Returns a model's validation predictions. Raises FailedPrecondition, saying why, if there are none."""


def resolve(
    decision: Decision, classes: Sequence[Label], load: Load, place: tuple[str, ...] = ("decision",)
) -> ResolvedDecision:
    """Return the decision with its threshold, as a model with these classes obeys it.

    `load` is called if a threshold is to be found. Raises InvalidRequest, naming the `place` in the request, for what
    does not go with the classes; FailedPrecondition without a validation to find a threshold on, or if no threshold
    does what is asked for. Costs need no validation.
    """
    if isinstance(decision, ResolvedDecision):
        return decision
    check_decision(decision, classes, place)
    if decision.rule == "most_probable":
        return MOST_PROBABLE
    code, threshold = 1, None
    if decision.costs is not None:
        threshold = _by_costs(cost_matrix(decision.costs, classes), load)
    else:
        code, threshold = class_code(decision, classes), decision.threshold
        if threshold is None:
            threshold = _found(decision, code, load(), classes[code])
    fields = decision.model_dump(exclude_none=True)
    if threshold is not None:
        fields |= {"class": label_text(classes[code]), "threshold": threshold}
    return ResolvedDecision.model_validate(fields)


def answered(decision: ResolvedDecision, classes: Sequence[Label], scores: Floats) -> Codes:
    """Return the codes that a decision answers for probabilities of shape (n, k)."""
    obeys = decider(decision, classes)
    codes: Codes = scores.argmax(axis=1) if obeys is None else obeys.many(scores)
    return codes


def is_found(decision: ResolvedDecision, classes: Sequence[Label]) -> bool:
    """Whether a decision's threshold was found on the validation."""
    if decision.costs is None:
        return decision.is_derived
    return decision.threshold != costs.by_formula(cost_matrix(decision.costs, classes))


def crossed(decision: ResolvedDecision, classes: Sequence[Label], validation: ValidationPredictions) -> Codes:
    """Return the codes answered for all rows, each by a threshold that was found on the other half of the rows."""
    codes = np.empty(len(validation.truth), dtype=np.int64)
    first = first_half(validation)
    for half in (first, ~first):
        try:
            found = resolve(decision.asked, classes, partial(only, validation, ~half))
        except FailedPrecondition:
            found = MOST_PROBABLE  # that half has no such threshold
        codes[half] = answered(found, classes, validation.scores[half])
    return codes


def _by_costs(matrix: Floats, load: Load) -> float | None:
    formula = costs.by_formula(matrix)
    if formula is None:
        return None
    try:
        validation = load()
    except FailedPrecondition:
        return formula
    return costs.by_validation(formula, matrix, validation)


def _found(decision: Decision, code: int, validation: ValidationPredictions, label: Label) -> float:
    """Return the threshold that does what is asked for. Raises FailedPrecondition if none does."""
    cuts = Cuts(validation.truth == code, validation.scores[:, code], validation.weights)
    if decision.share is not None:
        return within(cuts, decision.share)[0]
    rows = f"the {len(validation.truth):,} rows of the validation"
    if not 0 < cuts.positives < cuts.total:
        raise FailedPrecondition(f"no threshold can be found for class {label!r}: {rows} are all of it, or none is")
    if decision.min_precision is None:
        return cuts.best(METRICS[str(decision.metric)](cuts))
    threshold = precise(cuts, decision.min_precision)
    if threshold is None:
        most = float((cuts.found / np.maximum(cuts.reached, np.finfo(np.float64).tiny)).max())
        wanted = f"min_precision {decision.min_precision:g} of class {label!r}"
        raise FailedPrecondition(f"{wanted} is reached by no threshold on {rows}; the highest precision is {most:.3g}")
    return threshold
