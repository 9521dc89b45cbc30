"""What models say of the rows of a labelled table, and which of these rows all of them are judged by.

A model that was trained on the very table is judged by the rows held out of its training, as they were answered then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.errors import FailedPrecondition
from modelyard.ml_core.evaluating.labelled import read_labelled
from modelyard.ml_core.serving.loaded import LoadedModel
from modelyard.ml_core.serving.predicting import is_training_table
from modelyard.ml_core.tasks.base import Rows, Scores, Task, Truth
from modelyard.ml_core.validation_predictions import ValidationPredictions
from modelyard.schemas import EvaluateRequest, ModelMetadata, ModelWarning
from modelyard.tables import Contract, advice


@dataclass(frozen=True, slots=True)
class Answered:
    """A model's scores of n rows beside the truth as it knows it; `frame` is the checked table.

    `rows` are those of a training table that were held out, ascending; only their scores are numbers. None: all count.
    """

    task: Task
    contract: Contract
    truth: Truth
    scores: Scores
    frame: pl.DataFrame
    warnings: tuple[ModelWarning, ...]
    rows: Rows | None = None


def answer(
    model: LoadedModel,
    metadata: ModelMetadata,
    request: EvaluateRequest,
    target: str | None,
    held_out: Callable[[LoadedModel], ValidationPredictions],
) -> Answered:
    """Read the table of a request for a model, and score it. Raises InvalidTable, PayloadTooLarge."""
    labelled = read_labelled(model, request, target, metadata.reading)
    table, n = labelled.table, labelled.table.frame.height
    found = Answered(model.task, model.contract, labelled.truth, np.empty((0, 0)), table.frame, table.warnings)
    is_own, kept = is_training_table(model, table), None
    if is_own:
        with suppress(FailedPrecondition):  # it keeps nothing
            kept = held_out(model)
    if kept is None:
        scores = model.predictor.many(table.frame if model.model_class.reads_enums else table.text_frame)
        told = (advice.training_table(n),) if is_own else ()
        return replace(found, scores=scores, warnings=(*table.warnings, *told))
    scores = _placed(kept.scores, kept.rows, n)
    told = (advice.held_out_of_training_table(n, len(kept.rows)),)
    return replace(found, scores=scores, warnings=(*table.warnings, *told), rows=kept.rows)


def recall(model: LoadedModel, kept: ValidationPredictions) -> Answered:
    """Return what a model keeps of the rows held out of its training, without their table: `frame` numbers them."""
    n = model.n_rows
    truth, scores = _placed(kept.truth, kept.rows, n), _placed(kept.scores, kept.rows, n)
    frame = pl.int_range(n, eager=True).to_frame("row")
    return Answered(model.task, model.contract, truth, scores, frame, (), kept.rows)


def _placed(values: npt.NDArray[Any], rows: Rows, n: int) -> npt.NDArray[Any]:
    """Return values at their rows of n; the others are not numbers, or 0 among codes."""
    placed = np.full((n, *values.shape[1:]), np.nan if values.dtype.kind == "f" else 0, values.dtype)
    placed[rows] = values
    return placed


def on_shared_rows(answered: Sequence[Answered]) -> list[Answered]:
    """Leave each model the rows that all can be judged by. Raises FailedPrecondition if there are none."""
    held_out = [one.rows for one in answered if one.rows is not None]
    if not held_out:
        return list(answered)
    rows = reduce(np.intersect1d, held_out)
    if not len(rows):
        raise FailedPrecondition(
            "the models were trained on this very table, and no row of it was held out by all of them; "
            "judge them by another table, or retrain them with evaluation 'cv'"
        )
    return [
        replace(one, truth=one.truth[rows], scores=one.scores[rows], frame=one.frame[rows], rows=rows)
        for one in answered
    ]
