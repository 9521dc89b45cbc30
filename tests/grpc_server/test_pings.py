"""Pings: a connection on which nothing goes but them stays open, with and without calls."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from modelyard import errors
from modelyard.grpc_server import server
from modelyard.grpc_server.client import GrpcClient, grpc_client
from modelyard.settings import Settings
from tests.doors import serving_grpc
from tests.grpc_server.test_server import Refusing
from tests.waiting import PATIENCE_S

_PING = 6
"""HTTP/2's type of frame."""

READY = grpc.ChannelConnectivity.READY
GRPCS_OWN_LEAST_PING_MS = 300_000
PINGING = [
    ("grpc.keepalive_time_ms", 1000),  # gRPC pings no more often
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
]


@contextmanager
def permitting(least_ping_ms: int) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "LEAST_PING_MS", least_ping_ms)
        with serving_grpc(Refusing(errors.Unavailable("not yet")), Settings(grpc_port=0)) as target:
            yield target


@contextmanager
def connected(target: str) -> Iterator[grpc.Channel]:
    """Open a channel that pings, and wait until it does."""
    with grpc.insecure_channel(target, options=PINGING) as channel:
        grpc.channel_ready_future(channel).result(PATIENCE_S)
        yield channel


def watching(channel: grpc.Channel) -> Any:
    """Begin a call that stays open and says nothing more."""
    call = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)
    next(call)
    return call


def test_a_call_outlasts_pings() -> None:
    with (
        permitting(200) as patient,
        permitting(GRPCS_OWN_LEAST_PING_MS) as strict,
        connected(patient) as kept,
        connected(strict) as lost,
    ):
        waiting = watching(kept)
        with pytest.raises(grpc.RpcError, match="Too many pings"):
            list(watching(lost))  # the other one has sent as many by then
        health_pb2_grpc.HealthStub(kept).Check(health_pb2.HealthCheckRequest())
        assert waiting.is_active()


def test_a_connection_without_calls_outlasts_pings() -> None:
    left, states = threading.Event(), list[grpc.ChannelConnectivity]()
    with (
        permitting(200) as patient,
        permitting(GRPCS_OWN_LEAST_PING_MS) as strict,
        connected(patient) as kept,
        connected(strict) as lost,
    ):
        kept.subscribe(states.append)
        lost.subscribe(lambda state: None if state is READY else left.set())
        assert left.wait(PATIENCE_S)
        health_pb2_grpc.HealthStub(kept).Check(health_pb2.HealthCheckRequest())
        assert states == [READY]


class Waiting(Refusing):
    """A core that answers when it is told to."""

    def __init__(self) -> None:
        super().__init__(errors.ModelNotFound("there is none"))
        self.told = threading.Event()

    def get_model(self, _: str) -> NoReturn:
        self.told.wait(PATIENCE_S)
        assert self.error is not None
        raise self.error


@contextmanager
def counting_pings(target: str, enough: int) -> Iterator[tuple[str, threading.Event]]:
    """Stand before a server; the event is set when a client has sent that many pings and nothing else between them."""
    reached = threading.Event()

    def pass_on(source: socket.socket, sink: socket.socket) -> None:
        while data := source.recv(2**16):
            sink.sendall(data)

    def watch(source: socket.socket, sink: socket.socket) -> None:
        with source.makefile("rb") as stream:
            sink.sendall(stream.read(len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")))
            in_a_row = 0
            while len(head := stream.read(9)) == 9:
                length, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
                sink.sendall(head + stream.read(length))
                in_a_row = in_a_row + 1 if (kind, flags) == (_PING, 0) else 0
                if in_a_row == enough:
                    reached.set()
        sink.shutdown(socket.SHUT_WR)

    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(2) as threads:
        host, _, port = target.rpartition(":")

        def serve() -> None:
            client, _ = listening.accept()
            with client, socket.create_connection((host, int(port))) as behind:
                back = threads.submit(pass_on, behind, client)
                watch(client, behind)
                back.result()

        served = threads.submit(serve)
        yield f"127.0.0.1:{listening.getsockname()[1]}", reached
        served.result(PATIENCE_S)


def test_a_waiting_client_keeps_its_connection_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert grpc_client.KEEPALIVE_MS >= server.LEAST_PING_MS
    monkeypatch.setattr(grpc_client, "KEEPALIVE_MS", 1000)
    yard = Waiting()
    with (
        serving_grpc(yard, Settings(grpc_port=0)) as target,
        counting_pings(target, enough=3) as (before, reached),
        GrpcClient(before) as client,
        ThreadPoolExecutor(1) as caller,
    ):
        answer = caller.submit(client.get_model, "any")
        try:
            assert reached.wait(PATIENCE_S)
        finally:
            yard.told.set()
        assert isinstance(answer.exception(PATIENCE_S), errors.ModelNotFound)


def test_the_docs_promise_what_the_server_permits() -> None:
    said = (Path(__file__).parents[2] / "docs" / "grpc.md").read_text()
    assert "every 5 s" in said
    assert server.LEAST_PING_MS < 5_000
