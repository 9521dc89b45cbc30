"""From a table and a loaded model to its answer. Few rows go as plain Python values, many as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelyard.ml_core.serving.batching import MicroBatches
from modelyard.ml_core.serving.loaded import LoadedModel
from modelyard.schemas import ModelWarning, Predictions, PredictRequest
from modelyard.tables import JsonTable, ReadingOptions, read_prediction


def predict(model: LoadedModel, request: PredictRequest) -> Predictions:
    """Predict for each row of a request, as the model's task answers.

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
    scores = model.predictor.many(table.frame if model.reads_enums else table.text_frame)
    return Predictions(
        model_id=model.model_id,
        predictions=model.task.many_answers(scores, model.contract),
        classes=list(model.contract.classes),
        probabilities=scores.tolist() if request.probabilities and model.contract.classes else None,
        warnings=list(table.warnings),
    )


def _answer(
    model: LoadedModel, scores: list[list[float]], warnings: Sequence[ModelWarning], *, probabilities: bool
) -> Predictions:
    classes = model.contract.classes
    return Predictions(
        model_id=model.model_id,
        predictions=model.task.answers(scores, model.contract),
        classes=list(classes),
        probabilities=scores if probabilities and classes else None,
        warnings=list(warnings),
    )
