"""Requests whose table has labels, from messages: to train, to search, to retrain, to check and to evaluate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

import polars as pl

from modelyard import models_registry
from modelyard.errors import FieldError, InvalidRequest, InvalidTable
from modelyard.grpc_server import messages
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.table_messages import Sent, read_table
from modelyard.grpc_server.values import NoValue, read_value
from modelyard.models_registry import hyperparams
from modelyard.models_registry.base import ModelClass
from modelyard.schemas import (
    AUTO,
    CheckRequest,
    EvaluateRequest,
    ModelMetadata,
    RetrainRequest,
    SearchRequest,
    TableRequest,
    TrainRequest,
    parse,
    plain_key,
)

GetModel = Callable[[str], ModelMetadata]
Order: TypeAlias = pb.TrainRequest | pb.SearchRequest | pb.RetrainRequest
Labelled: TypeAlias = Order | pb.EvaluateRequest | pb.CheckTableRequest
TrainingT = TypeVar("TrainingT", TrainRequest, RetrainRequest)


def read_labelled(
    message: Labelled, sent: Sent, y: Iterable[pb.Value], get_model: GetModel
) -> TrainRequest | SearchRequest | RetrainRequest | EvaluateRequest | CheckRequest:
    """Read a request whose table was read before. Raises InvalidRequest, InvalidTable, InvalidHyperparams.

    For a request to retrain `get_model` returns the parent; that raises ModelNotFound, too.
    """
    if isinstance(message, pb.CheckTableRequest):
        return _read_check(message, sent, y)
    if isinstance(message, pb.EvaluateRequest):
        return _read_evaluate(message, sent, y)
    if isinstance(message, pb.TrainRequest):
        return _read_train(message, sent, y)
    if isinstance(message, pb.SearchRequest):
        return _read_search(message, sent, y)
    return _read_retrain(message, sent, y, get_model)


def _read_train(message: pb.TrainRequest, sent: Sent, y: Iterable[pb.Value]) -> TrainRequest:
    fields = _training_fields(message, sent, y)
    fields |= _given(
        model_class_key=message.model_class_key, name=message.name, tags=list(message.tags), task=message.task
    )
    fields |= _given(hyperparams=dict(sorted(message.hyperparams.items())))
    request = parse(TrainRequest, fields)
    if plain_key(request.model_class_key) == AUTO:  # it has no hyperparams, which the core says of any
        return request
    return _with_typed_hyperparams(request, models_registry.model_class(request.model_class_key))


def _read_search(message: pb.SearchRequest, sent: Sent, y: Iterable[pb.Value]) -> SearchRequest:
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


def _read_retrain(message: pb.RetrainRequest, sent: Sent, y: Iterable[pb.Value], get_model: GetModel) -> RetrainRequest:
    """Read a request to retrain; hyperparams mean what the parent's model class says."""
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


def _read_check(message: pb.CheckTableRequest, sent: Sent, y: Iterable[pb.Value]) -> CheckRequest:
    asked = _given(model_class_key=message.model_class_key, task=message.task)
    return parse(CheckRequest, _table_fields(message, sent, y) | asked)


def _read_evaluate(message: pb.EvaluateRequest, sent: Sent, y: Iterable[pb.Value]) -> EvaluateRequest:
    fields: dict[str, Any] = {"X": sent.X, "model_ids": list(message.model_ids)} | _given(
        y=_read_labels(y),
        target=message.target,
        label=message.label,
        weaknesses=message.weaknesses,
        feature_names=list(sent.feature_names or message.feature_names),
    )
    return parse(EvaluateRequest, fields | reading(message))


def _training_fields(message: Order, sent: Sent, y: Iterable[pb.Value]) -> dict[str, Any]:
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
    message: Order | pb.CheckTableRequest,
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
    message: Labelled | pb.AddOutcomesRequest,
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
