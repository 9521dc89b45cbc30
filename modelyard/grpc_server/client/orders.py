"""Requests to train, retrain and predict onto the wire; their tables are written by `tables_out`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.values import write_value
from modelyard.schemas import PredictRequest, RetrainRequest, TableRequest, TrainRequest, check_unicode
from modelyard.tables.wire import Plain, check_target, plain_labels, send_hyperparams

_LABELS_A_MESSAGE = 50_000


def training_message(request: TrainRequest | RetrainRequest) -> pb.TrainRequest | pb.RetrainRequest:
    """Return a request without its table and labels as a message. Raises what the core raises for broken text."""
    check_unicode(
        hyperparams=list(request.hyperparams),
        target=request.target,
        feature_names=request.feature_names,
        feature_types=request.feature_types,
        tags=request.tags,
        missing_markers=request.missing_markers,
        exclude=request.exclude,
    )
    message: pb.TrainRequest | pb.RetrainRequest
    if isinstance(request, TrainRequest):
        check_unicode(model_class_key=request.model_class_key, name=request.name)
        message = pb.TrainRequest(
            model_class_key=request.model_class_key,
            name=request.name or "",
            tags=request.tags,
            task=request.task or "",
        )
    else:
        message = pb.RetrainRequest(model_id=request.model_id)
        if request.tags is not None:
            message.tags.CopyFrom(pb.Tags(values=request.tags))
    message.hyperparams.update(hyperparams_as_text(request.hyperparams))
    message.target = request.target or ""
    message.feature_names.extend(request.feature_names or ())
    if isinstance(request.feature_types, dict):
        message.feature_types.update(request.feature_types)
    elif request.feature_types is not None:
        message.feature_type_list.CopyFrom(pb.FeatureTypeList(values=request.feature_types))
    if request.missing_markers is not None:
        message.missing_markers.CopyFrom(pb.MissingMarkers(values=request.missing_markers))
    if request.exclude is not None:
        message.exclude.CopyFrom(pb.ColumnNames(values=request.exclude))
    _write_reading(message, request)
    if request.evaluation is not None and "evaluation" in request.model_fields_set:
        message.evaluation.CopyFrom(pb.Evaluation(**request.evaluation.model_dump(exclude_unset=True)))
    return message


def prediction_message(request: PredictRequest) -> pb.PredictRequest:
    """Return a request without its table as a message. Raises what the core raises for broken text."""
    check_unicode(feature_names=request.feature_names)
    message = pb.PredictRequest(
        model_id=request.model_id, probabilities=request.probabilities, feature_names=request.feature_names
    )
    _write_reading(message, request)
    return message


def training_parts(
    header: pb.TrainRequest | pb.RetrainRequest, chunks: Iterable[tuple[pb.Table, int]], y: Iterator[pb.Value]
) -> Iterator[pb.TrainStreamRequest]:
    """Yield the messages of a stream: the header, each chunk with the labels of its rows, the labels that are left."""
    if isinstance(header, pb.TrainRequest):
        yield pb.TrainStreamRequest(train=header)
    else:
        yield pb.TrainStreamRequest(retrain=header)
    for table, rows in chunks:
        yield pb.TrainStreamRequest(chunk=pb.TrainChunk(X=table, y=islice(y, rows)))
    while more := list(islice(y, _LABELS_A_MESSAGE)):
        yield pb.TrainStreamRequest(chunk=pb.TrainChunk(y=more))


def labels(request: TrainRequest | RetrainRequest) -> Iterator[pb.Value]:
    """Return a request's labels as Values, one at a time; none if a column of X holds them. Raises InvalidTable."""
    X = request.X
    if request.y is not None:
        return map(write_value, plain_labels(request.y))
    arrow = isinstance(X, pl.DataFrame) and pl.Object not in X.dtypes
    if not arrow and not isinstance(X, Path):
        check_target(X, request.target, request.feature_names)
    return iter(())


def hyperparams_as_text(given: Mapping[str, Any]) -> dict[str, str]:
    """Return hyperparams as the texts that the model class's schema reads back. Raises InvalidHyperparams."""
    return send_hyperparams(given, _as_text)


def _write_reading(message: pb.TrainRequest | pb.RetrainRequest | pb.PredictRequest, request: TableRequest) -> None:
    """Write how the table is read, as far as the request says it. Raises InvalidRequest for broken text."""
    check_unicode(names=request.names, sheet=request.sheet)
    for name in TableRequest.model_fields:
        value = getattr(request, name)
        if name == "names" and value is not None:
            message.names.CopyFrom(pb.ColumnNames(values=value))
        elif value is not None:
            setattr(message, name, value)


def _as_text(value: Plain) -> str:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)
