"""The decision that a model begins with: checked when the training is ordered, resolved when it has its validation."""

from __future__ import annotations

from collections.abc import Sequence

from modelyard.errors import FailedPrecondition, FieldError, InvalidRequest
from modelyard.ml_core.deciding import check_decision, resolve
from modelyard.ml_core.validation_predictions import ValidationPredictions
from modelyard.schemas import Decision, Evaluation, Label, ModelMetadata, ModelWarning, ResolvedDecision

_NOT_KEPT = "decision_not_kept"
_KEPT = "decision_kept"


def ordered_decision(
    asked: Decision | None, evaluation: Evaluation, classes: Sequence[Label], parent: ModelMetadata | None
) -> tuple[Decision | None, tuple[ModelWarning, ...]]:
    """Return the decision asked for, or the one that a parent model hands on, and what is doubtful about it.

    Raises InvalidRequest for one that goes neither with the classes nor with the evaluation. What is handed on is never
    refused: if it does not fit, the most probable class is answered, with a warning.
    """
    if asked is not None:
        check_decision(asked, classes)
        if evaluation.method == "none" and _needs_validation(asked):
            message = (
                f"rule {asked.rule!r} finds its threshold on rows held out, which evaluation method 'none' has not; "
                "choose 'holdout' or 'cv', or give a threshold"
            )
            raise InvalidRequest.of([FieldError(("decision",), message)])
        return asked, ()
    if parent is None or parent.decision is None:
        return None, ()
    inherited = parent.decision.asked
    try:
        check_decision(inherited, classes)
    except InvalidRequest as error:
        return None, (_not_kept(error.detail),)
    if inherited.threshold is None:
        return inherited, ()
    message = (
        f"the parent's decision was kept, whose threshold {inherited.threshold:g} was given and not found; "
        "see whether it still suits the new model"
    )
    return inherited, (ModelWarning(code=_KEPT, message=message),)


def first_decision(
    asked: Decision | None, classes: Sequence[Label], validation: ValidationPredictions | None
) -> tuple[ResolvedDecision | None, tuple[ModelWarning, ...]]:
    """Resolve the decision of a new model; if that cannot be done there is a warning instead, and the model is kept."""
    if asked is None:
        return None, ()
    try:
        return resolve(asked, classes, lambda: _there(validation)), ()
    except FailedPrecondition as error:
        return None, (_not_kept(error.detail),)


def _needs_validation(decision: Decision) -> bool:
    return decision.share is not None or decision.metric is not None or decision.min_precision is not None


def _there(validation: ValidationPredictions | None) -> ValidationPredictions:
    if validation is None:
        raise FailedPrecondition("the model has no validation predictions to find a threshold on")
    return validation


def _not_kept(why: str) -> ModelWarning:
    return ModelWarning(code=_NOT_KEPT, message=f"the most probable class is answered, because {why}")
