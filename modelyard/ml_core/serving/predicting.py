"""From a checked table and a loaded model to labels. Few rows go as plain Python values, many as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from modelyard.ml_core.serving.batching import MicroBatches
from modelyard.ml_core.serving.loaded import LoadedModel
from modelyard.schemas import ModelWarning, Predictions, PredictRequest
from modelyard.tables import JsonTable, ReadingOptions, read_prediction


def predict(model: LoadedModel, request: PredictRequest) -> Predictions:
    """Predict the label of each row: the class of the highest probability, the first of equals.

    Raises InvalidTable naming the rows and columns that break the model's contract.
    """
    X, names = request.X, request.feature_names
    if isinstance(X, JsonTable):
        X = model.json_tables.read(X, names)
    few = model.rows.read(X) if names is None else None
    if few is not None:
        rows, warnings = few
        return _answer(model, model.predictor.few(rows), warnings, probabilities=request.probabilities)
    return _predict_many(model, X, request)


async def predict_batched(model: LoadedModel, request: PredictRequest, batches: MicroBatches) -> Predictions:
    """Predict as `predict` does; models that gain by it score the rows of all who ask in the same turn of the loop."""
    few = model.rows.read(request.X) if request.feature_names is None else None
    if few is None:
        return _predict_many(model, request.X, request)
    rows, warnings = few
    scores = await batches.score(model, rows) if model.gains_by_batching else model.predictor.few(rows)
    return _answer(model, scores, warnings, probabilities=request.probabilities)


def _predict_many(model: LoadedModel, X: Any, request: PredictRequest) -> Predictions:
    told = ReadingOptions((), request.decimal, request.thousands).told
    table = read_prediction(X, model.contract, feature_names=request.feature_names, spelling=told)
    reads_enums = getattr(model.predictor, "reads_enums", False)
    scores = model.predictor.many(table.frame if reads_enums else table.text_frame)
    classes = model.contract.classes
    labels = np.array(classes, dtype=object)
    return Predictions(
        model_id=model.model_id,
        predictions=labels[_best(scores)].tolist(),
        classes=list(classes),
        probabilities=scores.tolist() if request.probabilities else None,
        warnings=list(table.warnings),
    )


def _best(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return where the highest probability of each row stands, the first of equals."""
    if scores.shape[1] == 2:  # in a tenth of the time
        return (scores[:, 1] > scores[:, 0]).astype(np.intp)
    best: npt.NDArray[np.intp] = scores.argmax(axis=1)
    return best


def _answer(
    model: LoadedModel, scores: list[list[float]], warnings: Sequence[ModelWarning], *, probabilities: bool
) -> Predictions:
    classes = model.contract.classes
    return Predictions(
        model_id=model.model_id,
        predictions=[classes[row.index(max(row))] for row in scores],
        classes=list(classes),
        probabilities=scores if probabilities else None,
        warnings=list(warnings),
    )
