"""Requests from messages, predictions into messages. Tables are in `table_messages`, metadata in `messages`."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, TypeVar

import orjson

from modelyard.grpc_server import messages
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.table_messages import Sent
from modelyard.grpc_server.values import write_values
from modelyard.schemas import (
    AuditQuery,
    Decision,
    DriftQuery,
    EvaluationQuery,
    ExplainRequest,
    Explanations,
    JobQuery,
    ModelClassInfo,
    ModelQuery,
    NameQuery,
    Predictions,
    PredictRequest,
    ResolvedDecision,
    ServingRequest,
    UpdateRequest,
    parse,
)

ServingT = TypeVar("ServingT", bound=ServingRequest)


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


def read_name_query(message: pb.ListNamesRequest) -> NameQuery:
    """Read which names to list. Raises InvalidRequest."""
    return parse(NameQuery, {name: value for name, value in messages.read_fields(message).items() if value != ""})


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
    for row, probabilities in zip(rows, found.probabilities or (), strict=False):
        row.probabilities.extend(probabilities)
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
