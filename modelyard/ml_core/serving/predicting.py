"""From a table and a loaded model to its answer. Few rows go as plain Python values, many as columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelyard.ml_core.serving.batching import MicroBatches
from modelyard.ml_core.serving.loaded import LoadedModel
from modelyard.schemas import ModelWarning, Predictions, PredictRequest
from modelyard.tables import FewRows, FileContent, Table


def predict(model: LoadedModel, request: PredictRequest) -> Predictions:
    """Predict for each row of a request, as the model's task answers.

    Raises InvalidTable naming the rows and columns that break the model's contract.
    """
    checked = _checked(model, request)
    if not isinstance(checked, FewRows):
        return _predict_many(model, checked, request)
    scores = model.predictor.few(checked.rows)
    return _answer(model, scores, checked.warnings, probabilities=request.probabilities)


async def predict_batched(model: LoadedModel, request: PredictRequest, batches: MicroBatches) -> Predictions:
    """Predict as `predict` does; models that gain by it score the rows of all who ask in the same turn of the loop."""
    checked = _checked(model, request)
    if not isinstance(checked, FewRows):
        return _predict_many(model, checked, request)
    few = model.predictor.few
    scores = await batches.score(model, checked.rows) if model.gains_by_batching else few(checked.rows)
    return _answer(model, scores, checked.warnings, probabilities=request.probabilities)


def _checked(model: LoadedModel, request: PredictRequest) -> FewRows | Table:
    reader, X = model.reader, request.X
    file = reader.usual.told(request) if isinstance(X, (Path, FileContent)) else None
    return reader.read(X, request.feature_names, request.decimal, request.thousands, file)


def _predict_many(model: LoadedModel, table: Table, request: PredictRequest) -> Predictions:
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
