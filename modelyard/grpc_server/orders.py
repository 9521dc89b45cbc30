"""Requests to train and retrain onto the wire; their tables are written by `tables_out`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import polars as pl

from modelyard.errors import InvalidTable
from modelyard.grpc_server import codec
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.values import NoValue, write_value
from modelyard.schemas import RetrainRequest, TrainRequest
from modelyard.tables.labels import label_column

_LABELS_A_MESSAGE = 50_000


def training_message(request: TrainRequest | RetrainRequest) -> pb.TrainRequest | pb.RetrainRequest:
    """Return a request without its table and labels as a message."""
    message: pb.TrainRequest | pb.RetrainRequest
    if isinstance(request, TrainRequest):
        message = pb.TrainRequest(model_class_key=request.model_class_key, name=request.name or "", tags=request.tags)
    else:
        message = pb.RetrainRequest(model_id=request.model_id)
        if request.tags is not None:
            message.tags.CopyFrom(pb.Tags(values=request.tags))
    message.hyperparams.update(codec.hyperparams_as_text(request.hyperparams))
    message.target = request.target or ""
    message.feature_names.extend(request.feature_names or ())
    if isinstance(request.feature_types, dict):
        message.feature_types.update(request.feature_types)
    elif request.feature_types is not None:
        message.feature_type_list.CopyFrom(pb.FeatureTypeList(values=request.feature_types))
    if request.evaluation is not None and "evaluation" in request.model_fields_set:
        message.evaluation.CopyFrom(pb.Evaluation(**request.evaluation.model_dump(exclude_unset=True)))
    return message


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
    """Yield labels as Values. Raises InvalidTable for what can be none."""
    if y is None:
        return
    column = label_column(y)
    for row, label in enumerate(column.to_list() if isinstance(column, pl.Series) else column):
        try:
            yield write_value(label)
        except NoValue as error:
            raise InvalidTable(f"y, row {row}: {error}") from None
