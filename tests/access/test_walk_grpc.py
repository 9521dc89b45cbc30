"""Every method of gRPC, called by every role and with every kind of key that is not valid."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import grpc
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from modelyard.grpc_server.open_inference.service import DESCRIPTOR as INFERENCE_SERVICE
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.server import SERVICE
from modelyard.schemas import Role
from tests.access.callers import Caller, Served, may
from tests.access.who_may import INFERENCE, NAME_NOBODY, OF_ALL_MODELS, OPEN, REFLECTION, RPCS
from tests.waiting import PATIENCE_S


def test_the_table_knows_every_rpc() -> None:
    assert {rpc.removesuffix(" for good") for rpc in RPCS} == {method.name for method in SERVICE.methods}
    assert set(INFERENCE) == {method.name for method in INFERENCE_SERVICE.methods}


def call(target: str, path: str, caller: Caller, message: bytes, *, streaming: bool) -> grpc.StatusCode:
    """Make a call by gRPC; with `streaming`, its caller says nothing until it is answered."""
    answered = threading.Event()

    def requests() -> Iterator[bytes]:
        if message:
            yield message
        else:
            answered.wait(PATIENCE_S)

    with grpc.insecure_channel(target) as channel:
        multi = channel.stream_stream(path) if streaming else channel.unary_stream(path)
        under_way = multi(
            requests() if streaming else message, metadata=tuple(caller.headers.items()), timeout=PATIENCE_S
        )
        under_way.add_done_callback(lambda _: answered.set())
        try:
            next(under_way, None)
            code: grpc.StatusCode = grpc.StatusCode.OK
        except grpc.RpcError as error:
            code = error.code()
        under_way.cancel()
    return code


def test_each_role_may_call_the_rpcs_that_the_table_gives_it_and_no_others(served: Served, caller: Caller) -> None:
    found, due = {}, {}
    for rpc, needed in RPCS.items():
        method = SERVICE.methods_by_name[rpc.removesuffix(" for good")]
        due[rpc] = due_code(caller, needed)
        if caller.name == "limited admin" and (rpc in NAME_NOBODY or any(word in rpc for word in OF_ALL_MODELS)):
            due[rpc] = "PERMISSION_DENIED"
        message = pb.DeleteModelRequest(model_id="mine", hard=True) if "for good" in rpc else None
        streaming, sent = method.client_streaming, b"" if message is None else message.SerializeToString()
        if streaming and due[rpc] == "let in":
            sent = pb.TrainStreamRequest().SerializeToString() or b"\x7a\x00"  # a field that no message has
        found[rpc] = shown(call(served.grpc, f"/{SERVICE.full_name}/{method.name}", caller, sent, streaming=streaming))
    assert found == due


def test_each_role_may_call_the_inference_that_the_table_gives_it_and_no_other(served: Served, caller: Caller) -> None:
    paths = {rpc: f"/{INFERENCE_SERVICE.full_name}/{rpc}" for rpc in INFERENCE}
    found = {rpc: shown(call(served.grpc, path, caller, b"", streaming=False)) for rpc, path in paths.items()}
    assert found == {rpc: due_code(caller, needed) for rpc, needed in INFERENCE.items()}


def due_code(caller: Caller, needed: Role | None) -> str:
    if caller.role is None and (needed is not OPEN or caller.key is not None):
        return "UNAUTHENTICATED"
    return "let in" if may(caller.role, needed) else "PERMISSION_DENIED"


def shown(code: grpc.StatusCode) -> str:
    refusals = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
    return str(code.name) if code in refusals else "let in"


def test_reflection_is_for_holders_of_a_key_and_the_standard_health_for_everybody(
    served: Served, caller: Caller
) -> None:
    asked = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
    for path, needed in REFLECTION.items():
        code = call(served.grpc, path, caller, asked, streaming=True)
        assert shown(code) == due_code(caller, needed)
        assert (code is grpc.StatusCode.OK) == (caller.role is not None)
    asked = health_pb2.HealthCheckRequest().SerializeToString()
    for method in ("Check", "Watch"):
        assert call(served.grpc, f"/grpc.health.v1.Health/{method}", caller, asked, streaming=False) is (
            grpc.StatusCode.OK
        )
