"""What a verb did, in a sentence: the `message` of the model that it answers with."""

from __future__ import annotations

from collections.abc import Callable

from modelyard import calls
from modelyard.schemas import Job, ModelMetadata, headline, is_loss


def say(model: ModelMetadata, sentence: str) -> ModelMetadata:
    """Return the model with a sentence, in which `{}` is its name and version."""
    return model.model_copy(update={"message": sentence.format(f"{model.name!r} version {model.version}")})


def model_of(ordered: Job, ended: Job, get_model: Callable[[str], ModelMetadata]) -> ModelMetadata:
    """Return the model of a job, given as it was when it was ordered and at its end. Raises why there is no model."""
    if ended.model_id is None:
        assert ended.error is not None
        raise ended.error.exception()
    calls.note(model_id=ended.model_id)
    model = get_model(ended.model_id)
    if ordered.status == "succeeded":
        return say(model, "{} was trained by an earlier request of the same key")
    return say_trained(model)


def say_trained(model: ModelMetadata) -> ModelMetadata:
    """Return the model with the sentence that it was trained, and how good it is."""
    return say(model, "trained {}" + _how_good(model))


def _how_good(model: ModelMetadata) -> str:
    measured = headline(model.task, model.metrics) or ""
    value = model.metrics.get(measured)
    if value is None:
        return ""
    digits = ".6g" if is_loss(measured) else ".3f"  # a loss has the unit of its target, and any size
    return f" with {measured.replace('_', ' ')} {value:{digits}}"
