"""What the difference between two models on the same rows says of one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from modelyard.schemas import USUAL_LOSSES, PairDifference, meaning

Verdict = Literal["better", "worse", "no_difference"]


def by_usual_loss(pairs: Sequence[PairDifference], task: str) -> list[PairDifference]:
    """Return the differences in the loss that tells most of a task."""
    return [pair for pair in pairs if meaning(pair.metric).measure == USUAL_LOSSES[task]]


def verdict(pair: PairDifference, model_id: str) -> Verdict:
    """Tell how one model of a pair does beside the other; no difference if the interval holds 0."""
    if pair.low <= 0 <= pair.high:
        return "no_difference"
    above = pair.difference if pair.a == model_id else -pair.difference
    worse = above > 0 if meaning(pair.metric).is_loss else above < 0
    return "worse" if worse else "better"
