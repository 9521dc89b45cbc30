"""Predictions that are to be kept: what is needed of them beside the answer, and how they get into the store."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, NamedTuple

import numpy as np

from modelyard.errors import FailedPrecondition
from modelyard.ml_core.tasks.base import Scores
from modelyard.schemas import Predictions
from modelyard.schemas.showing import label_text
from modelyard.storage import NONE_KEPT, AnswerCollection, KeptAnswers, ModelStore


@dataclass(slots=True)
class KeptPredictions(Predictions):
    """Predictions of n rows that are to be kept before their caller has them.

    `scores` are those of all rows, n lists of k or shape (n, k); `asked` is the reference by which they were asked for.
    """

    scores: Sequence[Sequence[float]] | Scores = field(default_factory=list)
    asked: str = ""


class Part(NamedTuple):
    """One of several answers to a table that comes in parts: they are kept as one prediction.

    `asked` is the reference by which it was asked for, `first_row` the number of its first row in the whole.
    """

    prediction_id: str
    asked: str
    first_row: int


def new_prediction_id() -> str:
    """Make up an id. It begins with the day, where the prediction is looked for first."""
    return f"{datetime.now(UTC):%Y%m%d}-{token_hex(8)}"


def to_keep(found: Predictions, scores: Sequence[Sequence[float]] | Scores, asked: str) -> KeptPredictions:
    """Return predictions with what is to be kept of them."""
    kept = KeptPredictions(
        found.model_id,
        found.predictions,
        found.classes,
        found.probabilities,
        found.warnings,
        found.ids,
        found.id_column,
        found.intervals,
        found.decision,
        new_prediction_id(),
    )
    kept.scores, kept.asked = scores, asked
    return kept


def check_may_keep(may_keep: bool) -> None:
    """Raise FailedPrecondition if answers are to be kept and none are."""
    if not may_keep:
        raise FailedPrecondition(f"{NONE_KEPT}; leave keep_answers out")


def keep(found: KeptPredictions, answers: AnswerCollection, store: ModelStore, part: Part | None = None) -> None:
    """Keep predictions. They outlive this process from here on. Raises Unavailable."""
    first, asked = 0, found.asked
    if part is not None:
        found.prediction_id, asked, first = part
    assert found.prediction_id is not None
    scores: Any = found.scores.tolist() if isinstance(found.scores, np.ndarray) else found.scores
    codes = None
    if found.classes is not None:
        code = {label: number for number, label in enumerate(found.classes)}
        codes = [code[label] for label in found.predictions]  # type: ignore[index]  # labels are no floats
    ids = None if found.ids is None else list(map(id_text, found.ids))
    answers.keep(found.model_id, KeptAnswers(found.prediction_id, first, scores, codes, ids, store.alias_in(asked)))


def id_text(cell: Any) -> str | None:
    """Return a cell of a column of ids as a text, the same one for 7, 7.0, `7` and `7.0`; None for a missing cell."""
    if isinstance(cell, float):
        cell = None if math.isnan(cell) else int(cell) if cell.is_integer() else cell
    if cell is None:
        return None
    text = label_text(cell).strip()
    whole = text.removesuffix(".0")  # as a CSV has whole numbers of a column in which some are missing
    return whole if whole.removeprefix("-").isdecimal() else text
