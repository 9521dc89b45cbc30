"""From a table and a loaded model to its answer. Few rows go as plain Python values, many as columns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from modelyard.ml_core.serving.loaded import LoadedModel
from modelyard.schemas import Predictions, PredictRequest
from modelyard.tables import FewRows, FileContent, Table, advice
from modelyard.tables.contract import features_fingerprint


def predict(model: LoadedModel, request: PredictRequest) -> Predictions:
    """Predict for each row of a request, as the model's task answers.

    Raises InvalidTable naming the rows and columns that break the model's contract.
    """
    checked = check(model, request)
    if isinstance(checked, FewRows):
        return answer_few(model, model.predictor.few(checked.rows), checked, request)
    return predict_many(model, checked, request)


def check(model: LoadedModel, request: PredictRequest) -> FewRows | Table:
    """Check the table of a request against the model's contract. Raises InvalidTable."""
    reader, X = model.reader, request.X
    file = reader.usual.told(request) if isinstance(X, (Path, FileContent)) else None
    checked = reader.read(X, request.feature_names, request.decimal, request.thousands, file)
    n = len(checked.rows) if isinstance(checked, FewRows) else checked.frame.height
    if n == model.n_rows and _is_training_table(model, checked):
        return replace(checked, warnings=(*checked.warnings, advice.training_table(n)))
    return checked


def _is_training_table(model: LoadedModel, checked: FewRows | Table) -> bool:
    frame = checked.frame(model.contract) if isinstance(checked, FewRows) else checked.frame
    return model.features_fingerprint == features_fingerprint(frame)


def predict_many(model: LoadedModel, table: Table, request: PredictRequest) -> Predictions:
    """Predict for each row of a checked table."""
    scores = model.predictor.many(table.frame if model.reads_enums else table.text_frame)
    return Predictions(
        model_id=model.model_id,
        predictions=model.task.many_answers(scores, model.contract, model.deciding.decider),
        classes=list(model.contract.classes) or None,
        probabilities=scores.tolist() if request.probabilities and model.contract.classes else None,
        warnings=list(table.warnings),
        decision=model.deciding.decision,
    )


def answer_few(model: LoadedModel, scores: list[list[float]], checked: FewRows, request: PredictRequest) -> Predictions:
    """Return the answer for checked rows and their scores."""
    classes = model.contract.classes
    return Predictions(
        model_id=model.model_id,
        predictions=model.task.answers(scores, model.contract, model.deciding.decider),
        classes=list(classes) or None,
        probabilities=scores if request.probabilities and classes else None,
        warnings=list(checked.warnings),
        decision=model.deciding.decision,
    )
