"""What models say of the rows of a labelled table, and which of these rows all of them are judged by.

A model that was trained on the very table is judged by the rows held out of its training, as they were answered then.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.errors import FailedPrecondition
from modelyard.ml_core.evaluating.labelled import Labelled, read_labelled
from modelyard.ml_core.row_hashes import RowHashes, load_hashes
from modelyard.ml_core.serving.loaded import LoadedModel
from modelyard.ml_core.serving.predicting import is_training_table
from modelyard.ml_core.tasks.base import Rows, Scores, Task, Truth
from modelyard.ml_core.validation_predictions import load_validation
from modelyard.schemas import EvaluateRequest, ModelWarning
from modelyard.storage import ModelStore
from modelyard.tables import Contract, advice


@dataclass(frozen=True, slots=True)
class Answered:
    """A model's scores of n rows beside the truth as it knows it; `frame` is the checked table.

    `rows` are those of a training table that were held out, ascending; only their scores are numbers. None: all count.
    `learned` says of each row whether it equals one that the model was fitted to; None if that is not known.
    """

    task: Task
    contract: Contract
    truth: Truth
    scores: Scores
    frame: pl.DataFrame
    warnings: tuple[ModelWarning, ...]
    rows: Rows | None = None
    learned: npt.NDArray[np.bool_] | None = None


def answer(store: ModelStore, model: LoadedModel, request: EvaluateRequest, target: str | None) -> Answered:
    """Read the table of a request for a model of the store, and score it. Raises InvalidTable, PayloadTooLarge."""
    record = store.get(model.model_id)
    labelled = read_labelled(model, request, target, record.metadata.reading)
    table, n = labelled.table, labelled.table.frame.height
    found = Answered(model.task, model.contract, labelled.truth, np.empty((0, 0)), table.frame, table.warnings)
    is_own, kept = is_training_table(model, table), None
    if is_own:
        with suppress(FailedPrecondition):  # it keeps nothing
            kept = load_validation(store, record, model.contract)
    if kept is None:
        scores = model.predictor.many(table.frame if model.model_class.reads_enums else table.text_frame)
        if is_own:
            return replace(found, scores=scores, warnings=(*table.warnings, advice.training_table(n)))
        return replace(found, scores=scores, learned=_learned(load_hashes(store, record), labelled, model.contract))
    scores = _placed(kept.scores, kept.rows, n)
    told = (advice.held_out_of_training_table(n, len(kept.rows)),)
    return replace(found, scores=scores, warnings=(*table.warnings, *told), rows=kept.rows)


def _learned(hashes: RowHashes | None, labelled: Labelled, contract: Contract) -> npt.NDArray[np.bool_] | None:
    if hashes is None:
        return None
    truth, frame = labelled.truth, labelled.table.frame
    known = truth < len(contract.classes) if contract.classes else np.ones(len(truth), dtype=bool)
    learned = np.zeros(len(truth), dtype=bool)
    learned[known] = hashes.hold(frame.filter(known), truth[known], contract.classes)
    return learned


def learned_from(answered: Answered) -> tuple[ModelWarning, ...]:
    """Warn of rows that the model was fitted to."""
    return () if answered.learned is None else advice.learned_rows(int(answered.learned.sum()), len(answered.learned))


def recall(store: ModelStore, model: LoadedModel) -> Answered:
    """Return what a model keeps of the rows held out of its training, without their table: `frame` numbers them.

    Raises FailedPrecondition if it keeps nothing.
    """
    kept, n = load_validation(store, store.get(model.model_id), model.contract), model.n_rows
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
        replace(
            one,
            truth=one.truth[rows],
            scores=one.scores[rows],
            frame=one.frame[rows],
            rows=rows,
            learned=None if one.learned is None else one.learned[rows],
        )
        for one in answered
    ]
