"""From a table and a loaded model to its answer. Few rows go as plain Python values, many as columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelyard.calls import Call
from modelyard.ml_core import baton
from modelyard.ml_core.serving.keeping import check_may_keep, to_keep
from modelyard.ml_core.serving.loaded import LoadedModel
from modelyard.schemas import Predictions, PredictRequest, ServingRequest
from modelyard.tables import FewRows, FileContent, Table, advice
from modelyard.tables.contract import features_fingerprint


def predict(model: LoadedModel, request: PredictRequest, call: Call | None = None) -> Predictions:
    """Predict for each row of a request of a call, as the model's task answers.

    Raises InvalidTable naming the rows and columns that break the model's contract.
    """
    checked = check(model, request)
    if isinstance(checked, FewRows):
        return answer_few(model, model.predictor.few(checked.rows), checked, request, call)
    return predict_many(model, checked, request, call)


def check(model: LoadedModel, request: ServingRequest) -> FewRows | Table:
    """Check the table of a request against the model's contract, and whether it can be answered as it is asked.

    Raises InvalidTable, FailedPrecondition, and what `Margins.of` raises.
    """
    if isinstance(request, PredictRequest):  # what cannot be had is refused before anything is scored
        if request.interval is not None:
            model.margins.of(request.interval)
        if request.keep_answers:
            check_may_keep(model.may_keep)
    reader, X = model.reader, request.X
    file = reader.usual.told(request) if isinstance(X, (Path, FileContent)) else None
    checked = reader.read(X, request.feature_names, request.decimal, request.thousands, file)
    if is_training_table(model, checked):
        return replace(checked, warnings=(*checked.warnings, advice.training_table(model.n_rows)))
    return checked


def is_training_table(model: LoadedModel, checked: FewRows | Table) -> bool:
    """Whether a checked table has the features that the model was fitted to, row by row."""
    n = len(checked.rows) if isinstance(checked, FewRows) else checked.frame.height
    if n != model.n_rows:
        return False
    frame = checked.frame(model.contract) if isinstance(checked, FewRows) else checked.frame
    return model.features_fingerprint == features_fingerprint(frame)


def predict_many(model: LoadedModel, table: Table, request: PredictRequest, call: Call | None = None) -> Predictions:
    """Predict for each row of a checked table; the `call` notes what its answer was found by."""
    frame = table.frame if model.model_class.reads_enums else table.text_frame
    with baton.put_down():
        scores = model.predictor.many(frame)
    predictions = model.task.many_answers(scores, model.contract, model.deciding.decider)
    found = Predictions(
        model_id=model.model_id,
        predictions=predictions,
        classes=list(model.contract.classes) or None,
        probabilities=scores.tolist() if request.probabilities and model.contract.classes else None,
        warnings=list(table.warnings),
        ids=table.ids,
        id_column=None if table.ids is None else model.reader.id_column,
        intervals=_intervals(model, request, predictions),
        decision=model.deciding.decision,
    )
    if call is not None:
        call.given = (model.watch, table, predictions, found.decision, request.decision is not None)
    return to_keep(found, scores, request.model_id) if request.keep_answers or model.keeps_answers else found


def answer_few(
    model: LoadedModel, scores: list[list[float]], checked: FewRows, request: PredictRequest, call: Call | None
) -> Predictions:
    """Return the answer for checked rows and their scores; the `call` notes what it was found by."""
    classes = model.contract.classes
    predictions = model.task.answers(scores, model.contract, model.deciding.decider)
    found = Predictions(
        model_id=model.model_id,
        predictions=predictions,
        classes=list(classes) or None,
        probabilities=scores if request.probabilities and classes else None,
        warnings=list(checked.warnings),
        ids=checked.ids,
        id_column=None if checked.ids is None else model.reader.id_column,
        intervals=_intervals(model, request, predictions),
        decision=model.deciding.decision,
    )
    if call is not None:
        call.given = (model.watch, checked, predictions, found.decision, request.decision is not None)
    return to_keep(found, scores, request.model_id) if request.keep_answers or model.keeps_answers else found


def _intervals(
    model: LoadedModel, request: PredictRequest, predictions: Iterable[Any]
) -> list[tuple[float, float]] | None:
    if request.interval is None:
        return None
    margin = model.margins.of(request.interval)
    return [(value - margin, value + margin) for value in predictions]
