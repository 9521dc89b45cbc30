"""Requests from messages, predictions into messages. Tables are in `table_messages`, metadata in `messages`."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeVar

import orjson
import polars as pl

from modelyard import models_registry
from modelyard.errors import FieldError, InvalidRequest, InvalidTable
from modelyard.grpc_server import messages
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.table_messages import Sent, read_table
from modelyard.grpc_server.values import NoValue, read_value, write_values
from modelyard.models_registry import hyperparams
from modelyard.models_registry.base import ModelClass
from modelyard.schemas import (
    AUTO,
    AuditQuery,
    CheckRequest,
    Decision,
    DriftQuery,
    EvaluateRequest,
    EvaluationQuery,
    ExplainRequest,
    Explanations,
    JobQuery,
    ModelClassInfo,
    ModelMetadata,
    ModelQuery,
    Predictions,
    PredictRequest,
    ResolvedDecision,
    RetrainRequest,
    SearchRequest,
    ServingRequest,
    TableRequest,
    TrainRequest,
    UpdateRequest,
    parse,
    plain_key,
)

GetModel = Callable[[str], ModelMetadata]
TrainingT = TypeVar("TrainingT", TrainRequest, RetrainRequest)
ServingT = TypeVar("ServingT", bound=ServingRequest)


def read_train(message: pb.TrainRequest, sent: Sent, y: Iterable[pb.Value]) -> TrainRequest:
    """Read a request to train on a table that was read before. Raises InvalidRequest, InvalidHyperparams."""
    fields = _training_fields(message, sent, y)
    fields |= _given(
        model_class_key=message.model_class_key, name=message.name, tags=list(message.tags), task=message.task
    )
    fields |= _given(hyperparams=dict(sorted(message.hyperparams.items())))
    request = parse(TrainRequest, fields)
    if plain_key(request.model_class_key) == AUTO:  # it has no hyperparams, which the core says of any
        return request
    return _with_typed_hyperparams(request, models_registry.model_class(request.model_class_key))


def read_search(message: pb.SearchRequest, sent: Sent, y: Iterable[pb.Value]) -> SearchRequest:
    """Read a request to search on a table that was read before. Raises InvalidRequest, InvalidTable."""
    fields = _training_fields(message, sent, y) | _given(
        name=message.name,
        tags=list(message.tags),
        task=message.task,
        model_classes=list(message.model_classes),
        metric=message.metric,
    )
    for name in ("trials", "max_seconds", "seed"):
        if message.HasField(name):
            fields[name] = getattr(message, name)
    return parse(SearchRequest, fields)


def read_retrain(message: pb.RetrainRequest, sent: Sent, y: Iterable[pb.Value], get_model: GetModel) -> RetrainRequest:
    """Read a request to retrain; hyperparams mean what the parent's model class says. Raises ModelNotFound, too."""
    fields = _training_fields(message, sent, y) | _given(
        model_id=message.model_id, hyperparams=dict(sorted(message.hyperparams.items()))
    )
    if message.HasField("tags"):
        fields["tags"] = list(message.tags.values)
    request = parse(RetrainRequest, fields)
    if not request.hyperparams:
        return request
    parent = get_model(request.model_id)
    return _with_typed_hyperparams(request, models_registry.class_of_model(parent.model_class_key, parent.hyperparams))


def read_check(message: pb.CheckTableRequest, sent: Sent, y: Iterable[pb.Value]) -> CheckRequest:
    """Read a request to check a table that was read before. Raises InvalidRequest, InvalidTable."""
    asked = _given(model_class_key=message.model_class_key, task=message.task)
    return parse(CheckRequest, _table_fields(message, sent, y) | asked)


def read_predict(message: pb.PredictRequest, sent: Sent) -> PredictRequest:
    """Read a request to predict for a table that was read before. Raises InvalidRequest."""
    return _read_serving(PredictRequest, message, sent)


def read_explain(message: pb.ExplainRequest, sent: Sent) -> ExplainRequest:
    """Read a request to explain a table that was read before. Raises InvalidRequest."""
    return _read_serving(ExplainRequest, message, sent)


def _read_serving(kind: type[ServingT], message: pb.PredictRequest | pb.ExplainRequest, sent: Sent) -> ServingT:
    fields: dict[str, Any] = {
        field.name: value for field, value in message.ListFields()
    }  # quicker than to ask for each
    fields["X"] = sent.X
    if names := sent.feature_names or fields.get("feature_names"):
        fields["feature_names"] = list(names)
    if "names" in fields:
        fields["names"] = list(fields["names"].values)
    if "decision" in fields:
        fields["decision"] = messages.read_fields(fields["decision"])
    return parse(kind, fields)


def read_evaluate(message: pb.EvaluateRequest, sent: Sent, y: Iterable[pb.Value]) -> EvaluateRequest:
    """Read a request to judge models by a table that was read before. Raises InvalidRequest, InvalidTable."""
    fields: dict[str, Any] = {"X": sent.X, "model_ids": list(message.model_ids)} | _given(
        y=_read_labels(y),
        target=message.target,
        label=message.label,
        feature_names=list(sent.feature_names or message.feature_names),
    )
    return parse(EvaluateRequest, fields | reading(message))


def read_update(message: pb.UpdateModelRequest) -> UpdateRequest:
    """Read what shall be said of a model. Raises InvalidRequest."""
    fields = messages.read_fields(message)
    return parse(UpdateRequest, {name: value for name, value in fields.items() if name != "model_id"})


def read_decision(message: pb.SetDecisionRequest) -> Decision:
    """Read the decision that a model is to obey. Raises InvalidRequest."""
    return parse(Decision, messages.read_fields(message.decision))


def read_query(message: pb.ListTrainedModelsRequest) -> ModelQuery:
    """Read which models to list. Raises InvalidRequest."""
    return parse(ModelQuery, {name: value for name, value in messages.read_fields(message).items() if value != ""})


def read_job_query(message: pb.ListJobsRequest) -> JobQuery:
    """Read which jobs to list. Raises InvalidRequest."""
    return parse(JobQuery, {name: value for name, value in messages.read_fields(message).items() if value != ""})


def read_audit_query(message: pb.ListAuditRequest) -> AuditQuery:
    """Read which entries of the audit to list. Raises InvalidRequest."""
    return parse(AuditQuery, {name: value for name, value in messages.read_fields(message).items() if value != ""})


def read_evaluation_query(message: pb.ListEvaluationsRequest) -> EvaluationQuery:
    """Read which evaluations to list. Raises InvalidRequest."""
    fields = {name: value for name, value in messages.read_fields(message).items() if value != ""}
    return parse(EvaluationQuery, {name: value for name, value in fields.items() if name != "model_id"})


def read_drift_query(message: pb.GetDriftRequest) -> DriftQuery:
    """Read how far to look back. Raises InvalidRequest."""
    return parse(DriftQuery, {"hours": message.hours} if message.HasField("hours") else {})


def write_predictions(found: Predictions) -> bytes:
    """Write predictions as a serialized PredictResponse.

    Protocol buffers may be concatenated: what a model always says and each of its labels are written once, and their
    bytes are put together for every answer, which takes a tenth of the time that as many messages take.
    """
    if found.classes is None:
        parts = [pb.PredictResponse(model_id=found.model_id).SerializeToString(), *_numbers(found.predictions)]
    else:
        head, pieces = _of_model(found.model_id, tuple(found.classes), type(found.classes[0]).__name__)
        parts = [head, *map(pieces.__getitem__, found.predictions)]
    if found.probabilities is not None:
        parts += _probabilities(found.probabilities, len(found.classes or ()))
    if found.ids is not None:
        parts.append(pb.PredictResponse(ids=write_values(found.ids), id_column=found.id_column).SerializeToString())
    if found.intervals is not None:
        parts += _intervals(found.intervals)
    if found.warnings:
        warnings = [messages.write(pb.Warning, warning) for warning in found.warnings]
        parts.append(pb.PredictResponse(warnings=warnings).SerializeToString())
    if found.decision is not None:
        parts.append(_decision(found.decision.json_text))
    if found.prediction_id is not None:
        parts.append(pb.PredictResponse(prediction_id=found.prediction_id).SerializeToString())
    return b"".join(parts)


def write_explanations(found: Explanations) -> bytes:
    """Write explanations as a serialized ExplainResponse."""
    rows = [
        pb.RowContributions(outputs=[pb.OutputContributions(values=shares) for shares in row])
        for row in found.contributions
    ]
    for row, other in zip(rows, found.other or (), strict=False):
        row.other.extend(other)
    return pb.ExplainResponse(
        model_id=found.model_id,
        unit=found.unit,
        outputs=write_values(found.outputs),
        feature_names=found.feature_names,
        base=found.base,
        contributions=rows,
        predictions=write_values(found.predictions),
        warnings=[messages.write(pb.Warning, warning) for warning in found.warnings],
        ids=write_values(found.ids or ()),
        id_column=found.id_column,
    ).SerializeToString()


@lru_cache(maxsize=256)
def _decision(json_text: bytes) -> bytes:
    """Return the bytes of a decision in an answer."""
    decision = messages.write(pb.Decision, ResolvedDecision.model_validate_json(json_text))
    return pb.PredictResponse(decision=decision).SerializeToString()


@lru_cache(maxsize=256)
def _of_model(model_id: str, classes: tuple[bool | int | str, ...], _label_type: str) -> tuple[bytes, dict[Any, bytes]]:
    """Return the bytes of a model's id and classes, and of each class as a prediction.

    The labels' type is part of what is remembered by: True equals 1.
    """
    values = write_values(classes)
    head = pb.PredictResponse(model_id=model_id, classes=values).SerializeToString()
    pieces = [pb.PredictResponse(predictions=[value]).SerializeToString() for value in values]
    return head, dict(zip(classes, pieces, strict=True))


def write_model_class(info: ModelClassInfo) -> pb.ModelClass:
    """Write a model class; the JSON Schema of its hyperparams stays JSON."""
    fields = info.model_dump()
    return pb.ModelClass(**{**fields, "hyperparams": orjson.dumps(fields["hyperparams"]).decode()})


def _numbers(values: Iterable[Any]) -> Iterable[bytes]:
    head = pb.PredictResponse(predictions=[pb.Value(double_value=0.0)]).SerializeToString()[:-8]  # same for every row
    pack = struct.Struct("<d").pack
    return (head + pack(value) for value in values)


def _probabilities(rows: list[list[float]], width: int) -> Iterable[bytes]:
    first = pb.PredictResponse(probabilities=[pb.Probabilities(values=[0.0] * width)]).SerializeToString()
    head = first[: len(first) - 8 * width]  # tag and length, the same for every row
    pack = struct.Struct(f"<{width}d").pack
    return (head + pack(*row) for row in rows)


def _intervals(rows: Iterable[tuple[float, float]]) -> Iterable[bytes]:
    first = pb.PredictResponse(intervals=[pb.Interval(low=0.0, high=0.0)]).SerializeToString()
    head, between = first[:-17], first[-9:-8]  # tags and length, the same for every row
    pack = struct.Struct("<dcd").pack
    return (head + pack(low, between, high) for low, high in rows)


def _training_fields(
    message: pb.TrainRequest | pb.SearchRequest | pb.RetrainRequest, sent: Sent, y: Iterable[pb.Value]
) -> dict[str, Any]:
    fields = _table_fields(message, sent, y) | _given(
        monotone=dict(sorted(message.monotone.items())),
        calibrate=message.calibrate,
        description=message.description,
    )
    if message.HasField("evaluation"):
        fields["evaluation"] = messages.read_fields(message.evaluation)
    if message.HasField("decision"):
        fields["decision"] = messages.read_fields(message.decision)
    if message.HasField("promote"):
        fields["promote"] = _promote(message.promote)
    return fields


def _promote(message: pb.Promote) -> dict[str, Any]:
    """Return what is asked of an alias, its table in the plain values of JSON. Raises InvalidRequest, InvalidTable."""
    fields: dict[str, Any] = {field.name: value for field, value in message.ListFields()}
    if message.HasField("on"):
        on = message.on
        if on.X.WhichOneof("data") not in ("rows", "columns"):
            raise InvalidRequest.of([FieldError(("promote", "on", "X"), "promote.on.X must be rows or columns")])
        X = read_table(on.X).X
        if isinstance(X, dict):
            X = {name: column.to_list() if isinstance(column, pl.Series) else column for name, column in X.items()}
        fields["on"] = {"X": X, **_given(y=_read_labels(on.y), target=on.target)}
    return fields


def _table_fields(
    message: pb.TrainRequest | pb.SearchRequest | pb.RetrainRequest | pb.CheckTableRequest,
    sent: Sent,
    y: Iterable[pb.Value],
) -> dict[str, Any]:
    fields: dict[str, Any] = {"X": sent.X} | _given(
        y=_read_labels(y),
        target=message.target,
        feature_types=dict(sorted(message.feature_types.items())),
        feature_names=list(sent.feature_names or message.feature_names),
        column_roles=dict(sorted(message.column_roles.items())),
    )
    if message.HasField("feature_type_list"):
        fields["feature_types"] = list(message.feature_type_list.values)
    for name in ("missing_markers", "exclude"):
        if message.HasField(name):
            fields[name] = list(getattr(message, name).values)
    return fields | reading(message)


def reading(
    message: pb.TrainRequest
    | pb.SearchRequest
    | pb.RetrainRequest
    | pb.EvaluateRequest
    | pb.CheckTableRequest
    | pb.AddOutcomesRequest,
) -> dict[str, Any]:
    """Return what was said of how the table is read."""
    said = (name for name in TableRequest.model_fields if message.HasField(name))  # type: ignore[arg-type]
    given = {name: getattr(message, name) for name in said}
    return given | {"names": list(message.names.values)} if "names" in given else given


def _read_labels(y: Iterable[pb.Value]) -> list[Any]:
    try:
        return list(map(read_value, y))
    except NoValue:
        wrong = [
            FieldError(("y", row), f"y, row {row}: a value of no kind") for row, v in enumerate(y) if not v.ByteSize()
        ]
        raise InvalidTable.of(wrong) from None


def _given(**fields: Any) -> dict[str, Any]:
    """Leave out what is empty: in proto3 that is how a field is left out."""
    return {name: value for name, value in fields.items() if value}


def _with_typed_hyperparams(request: TrainingT, model_class: ModelClass) -> TrainingT:
    typed = hyperparams.from_text(model_class.hyperparams, request.hyperparams)
    return request.model_copy(update={"hyperparams": typed})
