"""Pings: a connection on which nothing goes but them stays open, with and without calls."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from modelyard import errors
from modelyard.grpc_server import server
from modelyard.settings import Settings
from tests.test_grpc_server import Refusing, serving
from tests.waiting import PATIENCE_S

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
        with serving(Refusing(errors.Unavailable("not yet")), Settings(grpc_port=0)) as target:
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


def test_the_docs_promise_what_the_server_permits() -> None:
    said = (Path(__file__).parents[1] / "docs" / "grpc.md").read_text()
    assert "every 5 s" in said
    assert server.LEAST_PING_MS < 5_000
