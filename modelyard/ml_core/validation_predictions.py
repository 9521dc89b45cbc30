"""The validation predictions: what a model keeps of its evaluation, row by row, for all that is decided with it later.

They are the file `validation.parquet` beside the artifact, with the columns `row` (the row's number in the training
table, from 0), `label` (the true label or number), and `probabilities` (one a class of the contract) or, for
regression, `value`. If the table has them, there are `weight` (the row's weight) and `group` (a number that rows of one
group share) as well. No cell of a feature is kept.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.errors import FailedPrecondition
from modelyard.schemas import are_validated
from modelyard.storage import VALIDATION_FILE, ModelRecord, ModelStore
from modelyard.tables import Contract


@dataclass(frozen=True, slots=True)
class ValidationPredictions:
    """The n rows held out, ascending by `rows`, each scored by a fit that had not seen it.

    `truth` are n codes of the contract's classes (int64), or for regression n numbers; `scores` have shape (n, k): the
    probabilities of k classes, or one number. `weights` and `groups` are None if the table has none.
    """

    rows: npt.NDArray[np.int64]
    truth: npt.NDArray[Any]
    scores: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64] | None = None
    groups: npt.NDArray[np.int64] | None = None

    @classmethod
    def of(
        cls,
        rows: npt.NDArray[np.int64],
        truth: npt.NDArray[Any],
        scores: npt.NDArray[np.float64],
        weights: npt.NDArray[np.float64] | None = None,
        groups: npt.NDArray[np.int64] | None = None,
    ) -> Self:
        """Keep the rows of an evaluation, whatever their order."""
        order = np.argsort(rows)
        return cls(
            rows[order],
            truth[order],
            scores[order],
            None if weights is None else weights[order],
            None if groups is None else groups[order],
        )

    def to_bytes(self, contract: Contract) -> bytes:
        """Write them as the content of `validation.parquet`."""
        columns = {"row": pl.Series(self.rows, dtype=pl.UInt32), "label": pl.Series(self.truth)}
        if contract.classes:
            columns["label"] = pl.Series(contract.classes)[self.truth]
            columns["probabilities"] = pl.Series(self.scores, dtype=pl.Array(pl.Float64, self.scores.shape[1]))
        else:
            columns["value"] = pl.Series(self.scores[:, 0])
        if self.weights is not None:
            columns["weight"] = pl.Series(self.weights)
        if self.groups is not None:
            columns["group"] = pl.Series(self.groups, dtype=pl.Int64)
        file = io.BytesIO()
        pl.DataFrame(columns).write_parquet(file, statistics=False)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, contract: Contract) -> Self:
        """Read what `to_bytes` wrote."""
        frame = pl.read_parquet(io.BytesIO(content))
        rows, label = frame["row"].cast(pl.Int64).to_numpy(), frame["label"]
        weights = frame["weight"].to_numpy() if "weight" in frame.columns else None
        groups = frame["group"].to_numpy() if "group" in frame.columns else None
        if not contract.classes:
            return cls(rows, label.to_numpy(), frame["value"].to_numpy().reshape(-1, 1), weights, groups)
        codes = {known: code for code, known in enumerate(contract.classes)}
        truth = label.replace_strict(codes, return_dtype=pl.Int64).to_numpy()
        return cls(rows, truth, frame["probabilities"].to_numpy(), weights, groups)


def load_validation(store: ModelStore, record: ModelRecord, contract: Contract) -> ValidationPredictions:
    """Return what a model keeps. Raises FailedPrecondition, saying why, for a model that keeps none."""
    if VALIDATION_FILE not in record.files:
        model = record.metadata
        why = (
            "an earlier release trained it, or a repair left them out"
            if are_validated(model.metrics)
            else "its training made no validation"
        )
        raise FailedPrecondition(
            f"model {model.name}:{model.version} has no validation predictions, because {why}; "
            "retrain it with evaluation 'holdout' or 'cv'"
        )
    return ValidationPredictions.from_bytes(store.read_file(record, VALIDATION_FILE), contract)
