"""Requests to train and retrain onto the wire; their tables are written by `tables_out`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from modelyard.errors import InvalidTable
from modelyard.grpc_server import codec
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.values import NoValue, write_value
from modelyard.references import parse_reference
from modelyard.schemas import PredictRequest, RetrainRequest, TrainRequest, not_unicode
from modelyard.tables.cells import kind_of
from modelyard.tables.forms import read_form
from modelyard.tables.labels import label_column, read_labels
from modelyard.tables.missing import label_markers

_LABELS_A_MESSAGE = 50_000


def training_message(request: TrainRequest | RetrainRequest) -> pb.TrainRequest | pb.RetrainRequest:
    """Return a request without its table and labels as a message. Raises what the core raises for broken text."""
    texts = codec.hyperparams_as_text(request.hyperparams)
    check_unicode(
        hyperparams=texts,
        target=request.target,
        feature_names=request.feature_names,
        feature_types=request.feature_types,
        tags=request.tags,
    )
    message: pb.TrainRequest | pb.RetrainRequest
    if isinstance(request, TrainRequest):
        check_unicode(model_class_key=request.model_class_key, name=request.name)
        message = pb.TrainRequest(model_class_key=request.model_class_key, name=request.name or "", tags=request.tags)
    else:
        parse_reference(request.model_id)
        message = pb.RetrainRequest(model_id=request.model_id)
        if request.tags is not None:
            message.tags.CopyFrom(pb.Tags(values=request.tags))
    message.hyperparams.update(texts)
    message.target = request.target or ""
    message.feature_names.extend(request.feature_names or ())
    if isinstance(request.feature_types, dict):
        message.feature_types.update(request.feature_types)
    elif request.feature_types is not None:
        message.feature_type_list.CopyFrom(pb.FeatureTypeList(values=request.feature_types))
    if request.missing_markers is not None:
        check_unicode(missing_markers=request.missing_markers)
        message.missing_markers.CopyFrom(pb.MissingMarkers(values=request.missing_markers))
    write_marks(message, request)
    if request.evaluation is not None and "evaluation" in request.model_fields_set:
        message.evaluation.CopyFrom(pb.Evaluation(**request.evaluation.model_dump(exclude_unset=True)))
    return message


def write_marks(
    message: pb.TrainRequest | pb.RetrainRequest | pb.PredictRequest,
    request: TrainRequest | RetrainRequest | PredictRequest,
) -> None:
    """Write how the numbers of a CSV are written, as far as the request says it."""
    if request.decimal is not None:
        message.decimal = request.decimal
    if request.thousands is not None:
        message.thousands = request.thousands


def check_unicode(**fields: object) -> None:
    """Refuse fields that hold text which cannot be sent, with the core's class of error for each."""
    for name, value in fields.items():
        try:
            orjson.dumps(value)
        except orjson.JSONEncodeError:
            raise not_unicode(name, value) from None


def check_target(request: TrainRequest | RetrainRequest) -> None:
    """Refuse a target column of dates or times, which as cells go as texts and would be taken for labels.

    Raises InvalidTable.
    """
    if request.y is not None or request.target is None or isinstance(request.X, Path):
        return
    column = read_form(request.X, request.feature_names, None).columns.get(request.target)
    if column is None:
        return  # the server says what columns there are
    given = column.to_list() if isinstance(column, pl.Series) else column
    if _hold_no_labels(given):
        raise _no_labels(given, f"target {request.target!r}")


def training_parts(
    header: pb.TrainRequest | pb.RetrainRequest, chunks: Iterable[tuple[pb.Table, int]], y: Any
) -> Iterator[pb.TrainStreamRequest]:
    """Yield the messages of a stream: the header, each chunk with the labels of its rows, the labels that are left."""
    if isinstance(header, pb.TrainRequest):
        yield pb.TrainStreamRequest(train=header)
    else:
        yield pb.TrainStreamRequest(retrain=header)
    left = labels(y)
    for table, rows in chunks:
        yield pb.TrainStreamRequest(chunk=pb.TrainChunk(X=table, y=islice(left, rows)))
    while more := list(islice(left, _LABELS_A_MESSAGE)):
        yield pb.TrainStreamRequest(chunk=pb.TrainChunk(y=more))


def labels(y: Any) -> Iterator[pb.Value]:
    """Return labels as Values, one at a time. Raises InvalidTable for what can be none."""
    if y is None:
        return iter(())
    column = label_column(y)
    given = column.to_list() if isinstance(column, pl.Series) else column
    if _hold_no_labels(given):
        raise _no_labels(given, "y")
    return _written(given)


def _written(given: list[Any] | tuple[Any, ...]) -> Iterator[pb.Value]:
    for row, label in enumerate(given):
        try:
            yield write_value(label)
        except NoValue as error:
            raise _no_labels(given, "y", f"row {row}: {error}") from None


def _hold_no_labels(given: Iterable[Any]) -> bool:
    return not {"time", "other"}.isdisjoint(map(kind_of, set(map(type, given))))


def _no_labels(
    given: list[Any] | tuple[Any, ...], label: str, reason: str = "it holds what is no label"
) -> InvalidTable:
    """Return the error of the core's own reader, which names every row."""
    try:
        read_labels(given, label, label_markers(()))
    except InvalidTable as error:
        return error
    return InvalidTable(f"{label}: {reason}")
