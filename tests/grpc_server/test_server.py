"""The gRPC server: one gate for all methods, errors, limits, streams, health, reflection, and its end."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import grpc
import polars as pl
import pytest
from google.protobuf import descriptor_pool, message_factory
from google.rpc.error_details_pb2 import BadRequest, RequestInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from modelyard import calls, errors
from modelyard.access.guard import Guard
from modelyard.bootstrap import build
from modelyard.calls import Calls
from modelyard.errors import FieldError, ModelyardError
from modelyard.grpc_server import faults, server
from modelyard.grpc_server.client import GrpcClient, table_chunks
from modelyard.grpc_server.open_inference import service as inference
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.schemas import Evaluation, PredictRequest, TrainRequest
from modelyard.settings import Settings
from tests.doors import serving_grpc
from tests.waiting import PATIENCE_S, wait_until

TRAIN_HEADER = pb.TrainStreamRequest(train=pb.TrainRequest(model_class_key="logistic_regression"))
METHODS = [
    *server.SERVICE.methods,
    *(method for method in inference.DESCRIPTOR.methods if method.name != "ServerLive"),  # it asks nothing of the core
]
X = [[i % 40, ["clerk", "smith", None][i % 3]] for i in range(60)]
Y = ["yes" if row[0] > 20 else "no" for row in X]  # type: ignore[operator]


@pytest.fixture(scope="module", params=["core", "aio"])
def transport(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, transport: str) -> Iterator[str]:
    """A server with small limits, 1 MB a message and 3 MB a table, which knows the model `small`."""
    settings = Settings(
        storage_dir=tmp_path_factory.mktemp("yard") / "models_storage",
        grpc_port=0,
        grpc_transport=transport,
        grpc_max_message_mb=1,
        max_body_mb=3,
    )
    with serving_grpc(build(settings), settings) as address:
        with GrpcClient(address) as client:
            none = Evaluation(method="none")
            client.train(TrainRequest(model_class_key="logistic_regression", X=X, y=Y, name="small", evaluation=none))
        yield address


@pytest.fixture
def client(target: str) -> Iterator[GrpcClient]:
    with GrpcClient(target) as opened:
        yield opened


@pytest.fixture
def channel(target: str) -> Iterator[Any]:
    with grpc.insecure_channel(target, options=[("grpc.max_send_message_length", -1)]) as opened:
        yield opened


def call(channel: Any, method: Any, requests: Any, **options: Any) -> Any:
    """Call a method of any kind with serialized messages; return the call, at its end."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    kinds = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
        (True, True): channel.stream_stream,
    }
    made = kinds[method.client_streaming, method.server_streaming](path)
    argument = iter(requests) if method.client_streaming else requests[0]
    if method.server_streaming:
        answer = made(argument, **options)
        list(answer)
        return answer
    return made.with_call(argument, **options)[1]


def failure(channel: Any, method: Any, requests: Any, **options: Any) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, method, requests, **options)
    return caught.value


def fitting_requests(method: Any) -> list[bytes]:
    """Return requests that come as far as the core."""
    values: dict[str, Any] = {"model_id": "small", "job_id": "01", "model_class_key": "logistic_regression"}
    if method.name in {"CreateKey", "SetAlias", "DeleteAlias", "GetAliasHistory"}:
        values |= {"name": "small", "alias": "live", "version": 1, "role": "reader"}
    if method.containing_service is inference.DESCRIPTOR:
        return [fitting_inference_request(method)]
    table = pb.Table(rows=pb.Rows(rows=[pb.Row(values=[pb.Value(double_value=1.0)])]))
    if method.name == "TrainStream":
        header = pb.TrainStreamRequest(train=pb.TrainRequest(model_class_key="logistic_regression"))
        return [
            message.SerializeToString() for message in (header, pb.TrainStreamRequest(chunk=pb.TrainChunk(X=table)))
        ]
    if method.name == "PredictStream":
        header_2 = pb.PredictStreamRequest(predict=pb.PredictRequest(model_id="small"))
        return [message.SerializeToString() for message in (header_2, pb.PredictStreamRequest(chunk=table))]
    request: Any = message_factory.GetMessageClass(method.input_type)()
    for name, value in values.items():
        if name in method.input_type.fields_by_name:
            setattr(request, name, value)
    if "X" in method.input_type.fields_by_name:
        request.X.CopyFrom(table)
    if method.name == "Evaluate":
        request.model_ids.append("small")
    if method.name == "SetDecision":
        request.decision.rule = "most_probable"
    return [request.SerializeToString()]


def fitting_inference_request(method: Any) -> bytes:
    request: Any = message_factory.GetMessageClass(method.input_type)()
    for name in {"name", "model_name"} & set(method.input_type.fields_by_name):
        setattr(request, name, "small")
    if method.name == "ModelInfer":
        request.inputs.add(name="f0", datatype="FP64", shape=[1]).contents.fp64_contents.append(1.0)
    data: bytes = request.SerializeToString()
    return data


class Refusing:
    """A core of which every verb raises one error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls = Calls()
        self.guard = Guard(None)

    @property
    def loaded(self) -> Refusing:
        return self

    jobs = loaded

    def __getattr__(self, name: str) -> Any:
        def refuse(*_: Any, **__: Any) -> NoReturn:
            assert self.error is not None
            raise self.error

        return refuse

    def serve(self) -> None: ...
    def warm_up(self) -> None: ...
    def leave(self) -> None: ...
    def drain(self) -> None: ...
    def close(self) -> None: ...


@pytest.fixture(scope="module")
def refusing(transport: str) -> Iterator[tuple[Refusing, str]]:
    yard = Refusing(errors.Unavailable("not yet"))
    with serving_grpc(yard, Settings(grpc_port=0, grpc_transport=transport)) as address:
        yield yard, address


@pytest.mark.parametrize("digits", ["9" * 4301, "9" * 7, "1", "0", "many", "-1"])
def test_every_error_is_answered_however_many_bytes_its_caller_has_for_it(
    refusing: tuple[Refusing, str], digits: str
) -> None:
    yard, address = refusing
    yard.error = errors.NotFound("there is none")
    with grpc.insecure_channel(address) as channel:
        for method in METHODS:
            caught = failure(channel, method, fitting_requests(method), metadata=(("x-error-bytes", digits),))
            assert caught.code() is grpc.StatusCode.NOT_FOUND, method.name


def test_an_error_that_cannot_be_written_is_answered_as_unexpected(
    refusing: tuple[Refusing, str], caplog: pytest.LogCaptureFixture
) -> None:
    yard, address = refusing
    yard.error = errors.NotFound("there is none", errors=[FieldError((object(),), "no place")])  # type: ignore[arg-type]
    method = next(method for method in METHODS if method.name == "Predict")
    with grpc.insecure_channel(address) as channel:
        caught = failure(channel, method, fitting_requests(method))
    assert (caught.code(), caught.details()) == (grpc.StatusCode.INTERNAL, calls.UNEXPECTED)
    assert "unexpected error" in caplog.text


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_error_leaves_every_method_as_its_status_with_its_details(
    refusing: tuple[Refusing, str], method: Any
) -> None:
    yard, address = refusing
    wrong = FieldError(("X", 3, "age"), "must be a number, got 'old'", "old")
    with grpc.insecure_channel(address) as channel:
        for kind in errors.tree():
            yard.error = kind("what, which value, what is allowed", errors=[wrong])
            caught = failure(channel, method, fitting_requests(method), metadata=(("x-request-id", "mine"),))
            assert caught.code() is grpc.StatusCode[kind.code]
            assert caught.details() == "what, which value, what is allowed"
            trailers = dict(caught.trailing_metadata())
            assert trailers["x-request-id"] == "mine"
            details = Status.FromString(trailers["grpc-status-details-bin"]).details
            places, about = BadRequest(), RequestInfo()
            assert details[0].Unpack(places)
            assert details[2].Unpack(about)
            assert [(place.field, place.description) for place in places.field_violations] == [
                ("X[3].age", wrong.message)
            ]
            assert about.request_id == "mine"
            back = faults.from_call(caught, address)
            assert type(back) is (errors.Internal if kind is ModelyardError else kind)
            assert back.errors == (wrong,)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_what_is_not_ours_goes_to_the_log_and_not_to_the_caller(
    refusing: tuple[Refusing, str], method: Any, caplog: pytest.LogCaptureFixture
) -> None:
    yard, address = refusing
    yard.error = ZeroDivisionError("a secret of ours")
    with grpc.insecure_channel(address) as channel, caplog.at_level(logging.INFO, "modelyard.grpc"):
        caught = failure(channel, method, fitting_requests(method))
    assert caught.code() is grpc.StatusCode.INTERNAL
    assert caught.details() == calls.UNEXPECTED
    request_id = dict(caught.trailing_metadata())["x-request-id"]
    assert re.fullmatch("[0-9a-f]{16}", request_id)
    # The look at the yard's health fails now and then, too; it is no call.
    unexpected = next(record for record in caplog.records if record.exc_info and hasattr(record, "facts"))
    assert unexpected.exc_info is not None
    assert "a secret of ours" in str(unexpected.exc_info[1])
    assert unexpected.facts["request_id"] == request_id


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_bytes_that_are_no_message_are_refused(channel: Any, method: Any) -> None:
    caught = failure(channel, method, [b"\xff\xff\xff"])
    assert caught.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert method.input_type.full_name in caught.details()


def lines_of(name: str, caplog: pytest.LogCaptureFixture, count: int) -> list[logging.LogRecord]:
    """Return the lines of a method's calls, each of which is written once its answer is on its way."""

    def lines() -> list[logging.LogRecord]:
        return [record for record in caplog.records if record.getMessage() == name]

    wait_until(lambda: len(lines()) >= count)
    return lines()


def test_every_answer_has_a_request_id_and_every_call_a_line_in_the_log(
    channel: Any, caplog: pytest.LogCaptureFixture
) -> None:
    method = server.SERVICE.methods_by_name["GetModelInfo"]
    request = pb.GetModelInfoRequest(model_id="small").SerializeToString()
    with caplog.at_level(logging.INFO, "modelyard.grpc"):
        made = dict(call(channel, method, [request]).trailing_metadata())["x-request-id"]
        given = dict(call(channel, method, [request], metadata=(("x-request-id", "a-b.c:1"),)).trailing_metadata())
        odd = dict(call(channel, method, [request], metadata=(("x-request-id", "a b"),)).trailing_metadata())
        lines = lines_of("GetModelInfo", caplog, 3)
    assert given["x-request-id"] == "a-b.c:1"
    assert odd["x-request-id"] != "a b"
    assert [line.facts["request_id"] for line in lines] == [made, "a-b.c:1", odd["x-request-id"]]  # type: ignore[attr-defined]
    assert lines[0].facts["status"] == "OK"  # type: ignore[attr-defined]
    assert lines[0].facts["bytes_in"] == len(request)  # type: ignore[attr-defined]


def big_request(megabytes: float) -> pb.PredictRequest:
    return pb.PredictRequest(model_id="small", X=pb.Table(arrow=b"\0" * int(megabytes * 2**20)))


def test_a_message_over_the_limit_names_the_limit_and_the_stream(channel: Any) -> None:
    method = server.SERVICE.methods_by_name["Predict"]
    caught = failure(channel, method, [big_request(1.5).SerializeToString()])
    assert caught.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    for words in ("at most 1 MB", "TrainStream and PredictStream", "MODELYARD_GRPC_MAX_MESSAGE_MB"):
        assert words in caught.details()
    assert type(faults.from_call(caught, "")) is errors.PayloadTooLarge


def test_a_message_far_over_the_limit_is_not_taken_in(channel: Any, target: str) -> None:
    method = server.SERVICE.methods_by_name["Predict"]
    caught = failure(channel, method, [big_request(8).SerializeToString()])
    assert caught.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    error = faults.from_call(caught, target)
    assert type(error) is errors.PayloadTooLarge
    assert "TrainStream and PredictStream" in error.detail


def test_a_table_over_the_limit_of_all_chunks_is_refused_while_it_comes(target: str) -> None:
    wide = pl.DataFrame({"a": [float(i) for i in range(200_000)], "b": [float(-i) for i in range(200_000)]})
    with GrpcClient(target, chunk_mb=0.5) as client, pytest.raises(errors.PayloadTooLarge, match="at most 3 MB"):
        client.train(TrainRequest(model_class_key="logistic_regression", X=wide.vstack(wide), y=[0, 1] * 200_000))


def test_a_table_of_any_size_goes_by_the_streams(target: str) -> None:
    rows = X * 50
    frame = pl.DataFrame(rows, schema=["n", "job"], orient="row")
    with GrpcClient(target) as whole, GrpcClient(target, chunk_mb=0.005) as streaming:
        order = TrainRequest(model_class_key="logistic_regression", X=frame, y=Y * 50, evaluation=Evaluation(seed=3))
        first, second = whole.train(order), streaming.train(order)
        assert first.metrics == second.metrics
        assert first.warnings == second.warnings
        for model in (first, second):
            asked = frame.with_columns(job=pl.when(pl.col("n") < 3).then(pl.lit("pilot")).otherwise("job"))
            request = PredictRequest(model_id=model.model_id, X=asked, probabilities=True)
            one, other = whole.predict(request), streaming.predict(request)
            assert one == other
            assert one.warnings[0].count == asked["job"].eq("pilot").sum() > 0


def test_a_wrong_cell_in_a_stream_is_named_by_its_row_in_the_stream(target: str) -> None:
    column: list[Any] = [*range(999), "old"]
    with GrpcClient(target, chunk_mb=0.001) as client, pytest.raises(errors.InvalidTable) as caught:
        client.predict(PredictRequest(model_id="small", X=[[cell, "clerk"] for cell in column]))
    assert [wrong.loc for wrong in caught.value.errors] == [("X", 999, "f0")]


def test_an_error_while_a_stream_is_written_is_the_callers_own(target: str) -> None:
    with (
        GrpcClient(target, chunk_mb=0.001) as client,
        pytest.raises(errors.InvalidTable, match="row 999: must be text, a number or a boolean"),
    ):
        client.predict(PredictRequest(model_id="small", X=[*([1, "clerk"] for _ in range(999)), [object(), "clerk"]]))


@pytest.mark.parametrize(
    ("name", "messages", "words"),
    [
        ("TrainStream", [], "the stream is empty"),
        ("TrainStream", [pb.TrainStreamRequest(chunk=pb.TrainChunk())], "first message must be train or retrain"),
        ("TrainStream", [pb.TrainStreamRequest(train=pb.TrainRequest(y=[pb.Value()]))], "must not hold X or y"),
        ("TrainStream", [TRAIN_HEADER] * 2, "only chunks may come"),
        ("TrainStream", [TRAIN_HEADER], "no chunk of the table"),
        ("PredictStream", [], "the stream is empty"),
        ("PredictStream", [pb.PredictStreamRequest(chunk=pb.Table())], "first message must be predict"),
        (
            "PredictStream",
            [pb.PredictStreamRequest(predict=pb.PredictRequest(model_id="small", X=pb.Table()))],
            "X or y",
        ),
    ],
)
def test_a_stream_out_of_order_is_refused(channel: Any, name: str, messages: list[Any], words: str) -> None:
    method = server.SERVICE.methods_by_name[name]
    caught = failure(channel, method, [message.SerializeToString() for message in messages])
    assert caught.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert words in caught.details()


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (pb.TrainRequest(model_class_key="nix"), "there is no model class 'nix'"),
        (pb.TrainRequest(model_class_key="logistic_regression", hyperparams={"C": "much"}), "must be a finite number"),
        (pb.TrainRequest(model_class_key="logistic_regression", name="no name"), "'no name'"),
        (pb.TrainRequest(model_class_key="logistic_regression", evaluation=pb.Evaluation(folds=1)), "must be at least"),
    ],
)
def test_a_stream_is_refused_by_its_first_message_before_the_table_comes(
    channel: Any, header: pb.TrainRequest, words: str
) -> None:
    refused = threading.Event()

    def requests() -> Iterator[bytes]:
        yield pb.TrainStreamRequest(train=header).SerializeToString()
        assert refused.wait(PATIENCE_S), "the server waits for the table"

    pending = channel.stream_unary(f"/{server.SERVICE.full_name}/TrainStream").future(requests(), timeout=PATIENCE_S)
    assert words in pending.exception().details()
    refused.set()


def test_chunks_of_several_kinds_are_refused(channel: Any) -> None:
    tables = [next(table_chunks.chunks(X, 2**20))[0], next(table_chunks.chunks({"a": [1]}, 2**20))[0]]
    parts = [pb.TrainStreamRequest(train=pb.TrainRequest(model_class_key="logistic_regression"))]
    parts += [pb.TrainStreamRequest(chunk=pb.TrainChunk(X=table)) for table in tables]
    caught = failure(channel, server.SERVICE.methods_by_name["TrainStream"], [p.SerializeToString() for p in parts])
    assert "a chunk of columns came after chunks of rows" in caught.details()


def test_health_is_serving_and_says_what_the_core_says(channel: Any, client: GrpcClient) -> None:
    standard = health_pb2_grpc.HealthStub(channel)
    for name in ("", "modelyard.v1.ModelService"):
        answer = standard.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    health = client.health()
    assert (health.status, health.storage, bool(health.models)) == ("ok", "ok", True)


def test_a_generic_client_finds_its_way_by_reflection_alone(channel: Any) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    assert set(database.get_services()) == {
        "modelyard.v1.ModelService",
        "inference.GRPCInferenceService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    pool = descriptor_pool.DescriptorPool(database)
    assert "ModelInfer" in pool.FindServiceByName("inference.GRPCInferenceService").methods_by_name
    service = pool.FindServiceByName("modelyard.v1.ModelService")
    method = service.methods_by_name["GetModelInfo"]
    request = message_factory.GetMessageClass(method.input_type)(model_id="small")
    info = channel.unary_unary(
        f"/{service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
    )(request)
    assert (info.name, info.status, [label.string_value for label in info.classes]) == (
        "small",
        "active",
        ["no", "yes"],
    )


def test_no_server_is_unavailable() -> None:
    with GrpcClient("127.0.0.1:1") as client, pytest.raises(errors.Unavailable, match="no server answers"):
        client.health()


def test_a_port_that_is_taken_is_named(target: str, storage_dir: Path) -> None:
    settings = Settings(storage_dir=storage_dir, grpc_port=int(target.rpartition(":")[2]))
    yard = build(settings)

    async def serve() -> None:
        async with server.running(yard, settings):
            pass

    try:
        with pytest.raises(errors.Unavailable, match="cannot listen on"):
            asyncio.run(serve())
    finally:
        yard.close()
