"""A key that is limited to some names learns by gRPC of other models what it learns of none."""

from __future__ import annotations

from functools import partial
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from modelyard.grpc_server.open_inference.service import DESCRIPTOR as INFERENCE_SERVICE
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.server import SERVICE
from tests.access.foreign import ALIAS, FOREIGN, NEVER_ID, NEVER_NAME, OWN, Foreign, X, Y, masked, pairs
from tests.waiting import PATIENCE_S


def table_of(records: list[dict[str, Any]]) -> pb.Table:
    return pb.Table(rows=pb.Rows(names=["age", "job"], rows=[row_of(row) for row in records]))


def row_of(row: dict[str, Any]) -> pb.Row:
    return pb.Row(values=[pb.Value(int64_value=row["age"]), pb.Value(string_value=row["job"])])


def labels_of(labels: list[str]) -> list[pb.Value]:
    return [pb.Value(string_value=label) for label in labels]


def messages_about(method: MethodDescriptor, reference: str) -> list[bytes] | None:
    """Return what a caller of a method sends who means a model, None if the method takes no reference."""
    rows, labels = table_of(X), labels_of(Y)
    message: Any = GetMessageClass(method.input_type)()
    fields = method.input_type.fields_by_name
    if method.name == "PredictStream":
        header = pb.PredictStreamRequest(predict=pb.PredictRequest(model_id=reference))
        return [header.SerializeToString(), pb.PredictStreamRequest(chunk=rows).SerializeToString()]
    if method.name == "TrainStream":
        chunk = pb.TrainStreamRequest(chunk=pb.TrainChunk(X=rows, y=labels))
        first = pb.TrainStreamRequest(retrain=pb.RetrainRequest(model_id=reference))
        return [first.SerializeToString(), chunk.SerializeToString()]
    if "model_ids" in fields:
        message.model_ids.extend([OWN, reference])
    elif "model_id" in fields:
        message.model_id = reference
    else:
        return None
    if "X" in fields:
        message.X.CopyFrom(rows)
    if "y" in fields:
        message.y.extend(labels)
    if "decision" in fields and method.name == "SetDecision":
        message.decision.rule = "most_probable"
    return [message.SerializeToString()]


def call(target: str, key: str, method: MethodDescriptor, sent: list[bytes], hidden: str) -> tuple[str, bytes]:
    """Return the code of a call, and all that was said, with the reference left out."""
    metadata = (("authorization", f"Bearer {key}"), ("x-request-id", "the-same"))
    with grpc.insecure_channel(target) as channel:
        under_way = channel.stream_stream(f"/{method.containing_service.full_name}/{method.name}")(
            iter(sent), metadata=metadata, timeout=PATIENCE_S
        )
        try:
            answers = b"".join(under_way)
        except grpc.RpcError:
            answers = b""
        said = answers + under_way.details().encode() + repr(under_way.trailing_metadata()).encode()
        return under_way.code().name, masked(said, hidden)


@pytest.mark.parametrize("method", list(SERVICE.methods), ids=lambda method: method.name)
def test_grpc_says_of_a_foreign_model_what_it_says_of_none(
    target: str, foreign: Foreign, method: MethodDescriptor
) -> None:
    if messages_about(method, "") is None:
        assert not {"model_id", "reference"} & set(method.input_type.fields_by_name)
        assert method.name in ABOUT_NAMES or method.name in ABOUT_NO_MODEL
        return
    for reference, nothing, status in pairs(foreign):
        sent, other = messages_about(method, reference), messages_about(method, nothing)
        assert sent is not None
        assert other is not None
        heard = call(target, foreign.limited, method, sent, reference)
        assert heard == call(target, foreign.limited, method, other, nothing)
        assert heard[0] == {404: "NOT_FOUND", 403: "PERMISSION_DENIED"}[status]


@pytest.mark.parametrize("name", ["GetJob", "CancelJob", "WatchJob"])
def test_grpc_says_of_a_foreign_job_what_it_says_of_none(target: str, foreign: Foreign, name: str) -> None:
    method = SERVICE.methods_by_name[name]
    kind = GetMessageClass(method.input_type)
    for job_id in foreign.jobs.values():
        asked = (job_id, NEVER_ID)
        heard = [call(target, foreign.limited, method, [kind(job_id=one).SerializeToString()], one) for one in asked]
        assert heard[0] == heard[1]
        assert heard[0][0] == "NOT_FOUND"


ABOUT_NAMES: dict[str, Any] = {
    "ListAliases": pb.ListAliasesRequest,
    "GetAliasHistory": partial(pb.GetAliasHistoryRequest, alias=ALIAS),
    "SetAlias": partial(pb.SetAliasRequest, alias=ALIAS, version=1),
    "DeleteAlias": partial(pb.DeleteAliasRequest, alias=ALIAS),
    "SetKeepAnswers": partial(pb.SetKeepAnswersRequest, keep=True),
    "ListTrainedModels": pb.ListTrainedModelsRequest,
    "Train": partial(pb.TrainRequest, model_class_key="logistic_regression", X=table_of(X), y=labels_of(Y)),
    "Search": partial(pb.SearchRequest, X=table_of(X), y=labels_of(Y)),
}
"""The methods that take a model's name and no reference, and their messages but for the name."""

ABOUT_NO_MODEL = {
    *("GetJob", "ListJobs", "CancelJob", "WatchJob", "ListAvailableModels", "CheckTable", "HealthCheck", "Whoami"),
    *("CreateKey", "ListKeys", "RevokeKey", "RotateKey", "GetDefaultAlias", "SetDefaultAlias", "ListAudit"),
    "ListNames",
}


@pytest.mark.parametrize("name", ABOUT_NAMES)
def test_grpc_refuses_a_foreign_name_whether_it_exists_or_not(target: str, foreign: Foreign, name: str) -> None:
    heard = [
        call(target, foreign.limited, SERVICE.methods_by_name[name], [asked.SerializeToString()], asked.name)
        for asked in (ABOUT_NAMES[name](name=one) for one in (FOREIGN, NEVER_NAME))
    ]
    assert heard[0] == heard[1]
    assert heard[0][0] == "PERMISSION_DENIED"


INPUTS = [
    {"name": "age", "datatype": "INT64", "shape": [1], "contents": {"int64_contents": [3]}},
    {"name": "job", "datatype": "BYTES", "shape": [1], "contents": {"bytes_contents": [b"a"]}},
]


@pytest.mark.parametrize("method", list(INFERENCE_SERVICE.methods), ids=lambda method: method.name)
def test_the_open_inference_protocol_says_of_a_foreign_model_what_it_says_of_none(
    target: str, foreign: Foreign, method: MethodDescriptor
) -> None:
    kind: Any = GetMessageClass(method.input_type)
    (field,) = [field for field in ("name", "model_name") if field in method.input_type.fields_by_name] or [""]
    if not field:
        assert method.name.startswith("Server")
        return
    asked: dict[str, Any] = {"inputs": INPUTS} if method.name == "ModelInfer" else {}
    for reference, nothing, status in pairs(foreign):
        sent = [kind(**{field: one}, **asked).SerializeToString() for one in (reference, nothing)]
        heard = call(target, foreign.limited, method, sent[:1], reference)
        assert heard == call(target, foreign.limited, method, sent[1:], nothing)
        assert heard[0] == {404: "NOT_FOUND", 403: "PERMISSION_DENIED"}[status]
