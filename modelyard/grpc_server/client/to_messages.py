"""Requests to train, retrain and predict onto the wire; their tables are written by `table_chunks`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from modelyard.grpc_server import messages
from modelyard.grpc_server.client import table_chunks
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.values import write_value
from modelyard.schemas import (
    AliasRequest,
    CheckRequest,
    Decision,
    EvaluateRequest,
    ExplainRequest,
    OutcomesRequest,
    PredictRequest,
    Promote,
    Request,
    RetrainRequest,
    SearchRequest,
    TableRequest,
    TrainRequest,
    check_unicode,
)
from modelyard.tables.wire import Plain, check_target, plain_labels, send_hyperparams

_LABELS_A_MESSAGE = 50_000


def training_message(
    request: TrainRequest | SearchRequest | RetrainRequest,
) -> pb.TrainRequest | pb.SearchRequest | pb.RetrainRequest:
    """Return a request without its table and labels as a message. Raises what the core raises for broken text."""
    check_unicode(
        tags=request.tags,
        description=request.description,
        monotone=request.monotone,
    )
    evaluation = request.evaluation if "evaluation" in request.model_fields_set else None
    fields: dict[str, Any] = {  # what is None stays unset
        **_table_fields(request),
        "monotone": request.monotone,
        "calibrate": request.calibrate,
        "description": request.description,
        "decision": decision(request.decision),
        "promote": _promote(request.promote),
        "evaluation": None if evaluation is None else pb.Evaluation(**evaluation.model_dump(exclude_unset=True)),
    }
    if isinstance(request, SearchRequest):
        return _search_message(request, fields)
    check_unicode(hyperparams=list(request.hyperparams))
    fields["hyperparams"] = hyperparams_as_text(request.hyperparams)
    if isinstance(request, TrainRequest):
        check_unicode(model_class_key=request.model_class_key, name=request.name)
        return pb.TrainRequest(
            model_class_key=request.model_class_key,
            name=request.name or "",
            tags=request.tags,
            task=request.task or "",
            **fields,
        )
    tags = None if request.tags is None else pb.Tags(values=request.tags)
    return pb.RetrainRequest(model_id=request.model_id, tags=tags, **fields)


def _search_message(request: SearchRequest, fields: Mapping[str, Any]) -> pb.SearchRequest:
    check_unicode(name=request.name, model_classes=request.model_classes, metric=request.metric)
    return pb.SearchRequest(
        model_classes=request.model_classes,
        trials=request.trials,
        max_seconds=request.max_seconds,
        metric=request.metric or "",
        seed=request.seed,
        name=request.name or "",
        tags=request.tags,
        task=request.task or "",
        **fields,
    )


def prediction_message(request: PredictRequest) -> pb.PredictRequest:
    """Return a request without its table as a message. Raises what the core raises for broken text."""
    check_unicode(feature_names=request.feature_names)
    return pb.PredictRequest(
        model_id=request.model_id,
        probabilities=request.probabilities,
        interval=request.interval,
        keep_answers=request.keep_answers,
        feature_names=request.feature_names,
        decision=decision(request.decision),
        **_reading(request),
    )


def explanation_message(request: ExplainRequest) -> pb.ExplainRequest:
    """Return a request without its table as a message. Raises what the core raises for broken text."""
    check_unicode(feature_names=request.feature_names)
    return pb.ExplainRequest(
        model_id=request.model_id,
        top=request.top,
        probabilities=request.probabilities,
        feature_names=request.feature_names,
        **_reading(request),
    )


def evaluation_message(request: EvaluateRequest) -> pb.EvaluateRequest:
    """Return a request without its table and labels as a message. Raises what the core raises for broken text."""
    check_unicode(target=request.target, label=request.label, feature_names=request.feature_names)
    return pb.EvaluateRequest(
        model_ids=request.model_ids,
        target=request.target or "",
        label=request.label or "",
        weaknesses=request.weaknesses,
        feature_names=request.feature_names,
        **_reading(request),
    )


def outcomes_message(request: OutcomesRequest) -> pb.AddOutcomesRequest:
    """Return a request without its table as a message. Raises what the core raises for broken text."""
    return pb.AddOutcomesRequest(model_id=request.model_id, **_reading(request))


def check_message(request: CheckRequest) -> pb.CheckTableRequest:
    """Return a request without its table and labels as a message. Raises what the core raises for broken text."""
    check_unicode(model_class_key=request.model_class_key)
    return pb.CheckTableRequest(
        model_class_key=request.model_class_key or "", task=request.task or "", **_table_fields(request)
    )


def update_message(reference: str, changes: Mapping[str, Any]) -> pb.UpdateModelRequest:
    """Return what shall be said of a model as a message."""
    tags = pb.Tags(values=changes["tags"]) if "tags" in changes else None
    return pb.UpdateModelRequest(model_id=reference, tags=tags, description=changes.get("description"))


def training_parts(
    header: pb.TrainRequest | pb.SearchRequest | pb.RetrainRequest,
    chunks: Iterable[tuple[pb.Table, int]],
    y: Iterator[pb.Value],
) -> Iterator[pb.TrainStreamRequest]:
    """Yield the messages of a stream: the header, each chunk with the labels of its rows, the labels that are left."""
    if isinstance(header, pb.TrainRequest):
        yield pb.TrainStreamRequest(train=header)
    elif isinstance(header, pb.SearchRequest):
        yield pb.TrainStreamRequest(search=header)
    else:
        yield pb.TrainStreamRequest(retrain=header)
    for table, rows in chunks:
        yield pb.TrainStreamRequest(chunk=pb.TrainChunk(X=table, y=islice(y, rows)))
    while more := list(islice(y, _LABELS_A_MESSAGE)):
        yield pb.TrainStreamRequest(chunk=pb.TrainChunk(y=more))


def decision(asked: Decision | None) -> pb.Decision | None:
    """Return a decision as a message, None for none. Raises InvalidRequest for broken text."""
    if asked is None:
        return None
    check_unicode(decision=asked.model_dump())
    return messages.write(pb.Decision, asked)


def _promote(asked: Promote | None) -> pb.Promote | None:
    """Return what is asked of an alias as a message, None for nothing. Raises what the core raises for its table."""
    if asked is None:
        return None
    said = asked.model_dump(exclude_unset=True, exclude={"on"})
    check_unicode(promote=said)
    message = pb.Promote(**said)
    if asked.on is not None:
        check_unicode(target=asked.on.target)
        message.on.CopyFrom(
            pb.PromotionTable(
                X=table_chunks.whole(asked.on.X),
                y=() if asked.on.y is None else map(write_value, plain_labels(asked.on.y)),
                target=asked.on.target or "",
            )
        )
    return message


def labels(
    request: TrainRequest | SearchRequest | RetrainRequest | EvaluateRequest | CheckRequest,
) -> Iterator[pb.Value]:
    """Return a request's labels as Values, one at a time; none if a column of X holds them. Raises InvalidTable."""
    X = request.X
    if request.y is not None:
        return map(write_value, plain_labels(request.y))
    arrow = isinstance(X, pl.DataFrame) and pl.Object not in X.dtypes
    if X is not None and not arrow and not isinstance(X, Path):
        check_target(X, request.target, request.feature_names)
    return iter(())


def hyperparams_as_text(given: Mapping[str, Any]) -> dict[str, str]:
    """Return hyperparams as the texts that the model class's schema reads back. Raises InvalidHyperparams."""
    return send_hyperparams(given, _as_text)


def _table_fields(request: TrainRequest | SearchRequest | RetrainRequest | CheckRequest) -> dict[str, Any]:
    """Return what is said of a table to train on and its columns; what is None stays unset."""
    check_unicode(
        target=request.target,
        feature_names=request.feature_names,
        feature_types=request.feature_types,
        missing_markers=request.missing_markers,
        column_roles=request.column_roles,
        exclude=request.exclude,
    )
    types, markers = request.feature_types, request.missing_markers
    return {
        "target": request.target,
        "feature_names": request.feature_names,
        "feature_types": types if isinstance(types, dict) else None,
        "feature_type_list": pb.FeatureTypeList(values=types) if isinstance(types, list) else None,
        "missing_markers": None if markers is None else pb.MissingMarkers(values=markers),
        "column_roles": request.column_roles,
        "exclude": None if request.exclude is None else pb.ColumnNames(values=request.exclude),
        **_reading(request),
    }


def _reading(request: TableRequest) -> dict[str, Any]:
    """Return how the table is read, as far as the request says it. Raises InvalidRequest for broken text."""
    check_unicode(names=request.names, sheet=request.sheet)
    fields = {name: getattr(request, name) for name in TableRequest.model_fields}
    return fields | {"names": None if request.names is None else pb.ColumnNames(values=request.names)}


def _as_text(value: Plain) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


def flat_fields(request: Request) -> dict[str, Any]:
    """Return the fields of a request whose message has the same; an alias that is expected nowhere is at version 0."""
    fields = request.model_dump(exclude_none=True)
    if isinstance(request, AliasRequest) and "expected" in request.model_fields_set:
        fields.setdefault("expected", 0)
    return fields
