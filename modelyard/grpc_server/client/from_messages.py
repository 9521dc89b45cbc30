"""Answers from messages; those to the chunks of one table are put together as the answer to the whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from typing import Any, TypeVar, cast

import orjson

from modelyard.errors import Internal
from modelyard.grpc_server import messages
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.values import read_value
from modelyard.schemas import Explanations, ModelClassInfo, ModelMetadata, ModelWarning, Predictions, ResolvedDecision
from modelyard.tables import advice

AnswerT = TypeVar("AnswerT")


def read(kind: type[AnswerT], message: Any) -> AnswerT:
    """Read an answer as a `kind`: a model, the list of model classes, or a value whose fields the message has."""
    found: Any
    if isinstance(message, pb.Model):
        found = _read_model(message)
    elif isinstance(message, pb.ListAvailableModelsResponse):
        found = list(map(_read_model_class, message.model_classes))
    else:
        found = messages.read(cast("Any", kind), message)
    return cast("AnswerT", found)


def read_predictions(message: pb.PredictResponse, *, probabilities: bool) -> Predictions:
    """Read predictions; `probabilities`: they were asked for, and are there if the model has classes."""
    classes = _labels(message.classes) or None
    return Predictions(
        model_id=message.model_id,
        predictions=_labels(message.predictions),
        classes=classes,
        probabilities=[list(row.values) for row in message.probabilities] if probabilities and classes else None,
        warnings=[messages.read(ModelWarning, warning) for warning in message.warnings],
        ids=_labels(message.ids) or None,
        id_column=message.id_column if message.HasField("id_column") else None,
        intervals=[(one.low, one.high) for one in message.intervals] or None,
        decision=messages.read(ResolvedDecision, message.decision) if message.HasField("decision") else None,
        prediction_id=message.prediction_id if message.HasField("prediction_id") else None,
    )


def read_explanations(message: pb.ExplainResponse, *, other: bool) -> Explanations:
    """Read explanations; `other`: the request named a `top`, so there is what all other columns contributed."""
    probabilities = any(row.probabilities for row in message.contributions)
    return Explanations(
        model_id=message.model_id,
        unit=cast("Any", message.unit),
        outputs=_labels(message.outputs),
        feature_names=list(message.feature_names),
        base=list(message.base),
        contributions=[[list(shares.values) for shares in row.outputs] for row in message.contributions],
        predictions=_labels(message.predictions),
        other=[list(row.other) for row in message.contributions] if other else None,
        probabilities=[list(row.probabilities) for row in message.contributions] if probabilities else None,
        warnings=[messages.read(ModelWarning, warning) for warning in message.warnings],
        ids=_labels(message.ids) or None,
        id_column=message.id_column if message.HasField("id_column") else None,
    )


def joined(answers: Iterable[Predictions]) -> Predictions:
    """Return one answer: the rows in order, the warnings counted over all chunks."""
    found = list(answers)
    if not found:
        raise Internal("the server answered no chunk of the table")
    if len(found) == 1:
        return found[0]
    rows = [one.probabilities for one in found if one.probabilities is not None]
    id_column = next((one.id_column for one in found if one.ids is not None), None)
    return replace(
        found[0],
        predictions=list(chain.from_iterable(one.predictions for one in found)),
        probabilities=list(chain.from_iterable(rows)) if rows else None,
        warnings=_joined_warnings(chain.from_iterable(one.warnings for one in found)),
        ids=None if id_column is None else [cell for one in found for cell in one.ids or [None] * len(one.predictions)],
        id_column=id_column,
        intervals=list(chain.from_iterable(one.intervals or () for one in found)) or None,
    )


def _read_model(message: pb.Model) -> ModelMetadata:
    """Read a model, its feature types in the order of the columns, which a map on the wire does not keep."""
    fields = messages.read_fields(message)
    fields["feature_types"] = {name: message.feature_types[name] for name in message.feature_names}
    return ModelMetadata.model_validate(fields)


def _read_model_class(message: pb.ModelClass) -> ModelClassInfo:
    return ModelClassInfo(**{**messages.read_fields(message), "hyperparams": orjson.loads(message.hyperparams)})


def _labels(values: Iterable[pb.Value]) -> list[Any]:
    return list(map(read_value, values))


def _joined_warnings(warnings: Iterable[ModelWarning]) -> list[ModelWarning]:
    unknown: dict[str, int] = {}
    others: dict[tuple[str, str | None], ModelWarning] = {}
    for warning in warnings:
        if warning.code == "unknown_categories" and warning.column is not None:
            unknown[warning.column] = unknown.get(warning.column, 0) + (warning.count or 0)
        else:
            others.setdefault((warning.code, warning.column), warning)
    return [*others.values(), *advice.unknown_category_warnings(unknown)]
