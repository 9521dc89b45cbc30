"""Calls whose messages do not come are not held for ever, by both transports."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.status_pb2 import Status
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest

from modelyard.errors import RequestTimedOut
from modelyard.grpc_server import faults
from modelyard.grpc_server.client import GrpcClient
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.schemas import Evaluation, KeyRequest, PredictRequest, TrainRequest
from tests import doors
from tests.waiting import PATIENCE_S

X = [{"age": i, "job": "ab"[i % 2]} for i in range(30)]
Y = ["high" if i > 14 else "low" for i in range(30)]
OURS = "/modelyard.v1.ModelService/"
PREDICT = pb.PredictStreamRequest(predict=pb.PredictRequest(model_id="one")).SerializeToString()
TRAIN = pb.TrainStreamRequest(train=pb.TrainRequest(model_class_key="logistic_regression")).SerializeToString()
LEFT_OPEN = {
    "a request that never comes": (OURS + "Predict", []),
    "a training that never comes": (OURS + "Train", []),
    "no header": (OURS + "PredictStream", []),
    "no chunk": (OURS + "PredictStream", [PREDICT]),
    "no rows": (OURS + "TrainStream", [TRAIN]),
    "health": ("/grpc.health.v1.Health/Check", []),
    "reflection": (
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        [ServerReflectionRequest(list_services="").SerializeToString()],
    ),
}
TIMEOUT_S = 1.5


@pytest.fixture(scope="module", params=["core", "aio"])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("punctuality") / "yard"
    with doors.core(folder) as yard:
        key = "logistic_regression"
        yard.train(TrainRequest(model_class_key=key, X=X, y=Y, name="one", evaluation=Evaluation(method="none")))
    with doors.grpc_thread(folder, grpc_transport=request.param, request_timeout_s=TIMEOUT_S) as target:
        yield target


async def left_open(channel: Any, path: str, messages: list[bytes]) -> Any:
    """Send messages and no end; return the call when the server has ended it."""
    call = channel.stream_stream(path)()
    for message in messages:
        await call.write(message)
    while True:
        try:
            async with asyncio.timeout(PATIENCE_S):
                if await call.read() is grpc.aio.EOF:
                    return call
        except grpc.RpcError:
            return call


def test_calls_left_open_are_ended(target: str) -> None:
    async def run() -> list[tuple[grpc.StatusCode, dict[str, Any]]]:
        async with grpc.aio.insecure_channel(target) as channel:
            ended = await asyncio.gather(*(left_open(channel, *case) for case in LEFT_OPEN.values()))
            return [(await call.code(), dict(await call.trailing_metadata())) for call in ended]

    for (name, (path, _)), (code, trailers) in zip(LEFT_OPEN.items(), asyncio.run(run()), strict=True):
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED, name
        if path.startswith(OURS):
            error = faults.from_status(Status.FromString(trailers[faults.DETAILS_KEY]))
            assert type(error) is RequestTimedOut, name
            assert "within 1.5 s; MODELYARD_REQUEST_TIMEOUT_S" in error.detail, name


@pytest.mark.parametrize("transport", ["core", "aio"])
def test_who_may_not_call_is_refused_before_the_message(tmp_path: Path, transport: str) -> None:
    """Nothing of it is read: without a key nobody may have the server keep large messages."""
    with doors.core(tmp_path / "yard") as yard:
        reader = yard.create_key(KeyRequest(name="reader", role="reader")).key
    shown = {
        None: grpc.StatusCode.UNAUTHENTICATED,
        "my_key": grpc.StatusCode.UNAUTHENTICATED,
        reader: grpc.StatusCode.PERMISSION_DENIED,
    }

    async def run(target: str) -> list[grpc.StatusCode]:
        async with grpc.aio.insecure_channel(target) as channel:
            metadata = [() if key is None else (("authorization", f"Bearer {key}"),) for key in shown]
            calls = [channel.stream_stream(OURS + "Predict")(metadata=one) for one in metadata]
            async with asyncio.timeout(PATIENCE_S):
                return [await call.code() for call in calls]

    # As long as nobody would wait: who is refused later is refused as late.
    with doors.grpc_thread(tmp_path / "yard", grpc_transport=transport, auth="keys", request_timeout_s=3600) as target:
        assert asyncio.run(run(target)) == [*shown.values()]


def test_two_hundred_streams_left_open_hold_nobody_up(target: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "modelyard.grpc")

    async def crowd() -> set[grpc.StatusCode]:
        async with grpc.aio.insecure_channel(target) as channel:
            opened = [left_open(channel, OURS + "PredictStream", [PREDICT]) for _ in range(200)]
            ended = asyncio.gather(*opened)
            with GrpcClient(target) as client:
                while not ended.done():
                    found = await asyncio.to_thread(client.predict, PredictRequest(model_id="one", X=X[:1]))
                    assert found.predictions
            return {await call.code() for call in await ended}

    assert asyncio.run(crowd()) == {grpc.StatusCode.DEADLINE_EXCEEDED}
    lines = [record.getMessage() for record in caplog.records]
    assert lines.count("PredictStream") <= 10


def test_who_waits_for_the_server_may_wait(target: str) -> None:
    async def run() -> tuple[grpc.StatusCode, int]:
        async with grpc.aio.insecure_channel(target) as channel:
            watching = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
            states = [await watching.read()]
            slow = channel.stream_stream(OURS + "PredictStream")()
            chunk = pb.PredictStreamRequest(chunk=pb.Table(rows=pb.Rows(names=["age", "job"])))
            chunk.chunk.rows.rows.add(values=[pb.Value(int64_value=3), pb.Value(string_value="a")])
            for message in [PREDICT, *[chunk.SerializeToString()] * 12]:
                await slow.write(message)
                await asyncio.sleep(0.1 * TIMEOUT_S)
            await slow.done_writing()
            answers = [answer async for answer in slow]
            assert states == [b"\x08\x01"]
            assert not watching.done()
            watching.cancel()
            return await slow.code(), len(answers)

    assert asyncio.run(run()) == (grpc.StatusCode.OK, 12)


def test_a_connection_without_a_call_is_closed(target: str) -> None:
    async def run() -> bytes:
        host, _, port = target.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"PRI * HTTP/2.0\r\n")
        async with asyncio.timeout(PATIENCE_S):
            heard = await reader.read()
        writer.close()
        return heard

    assert b"settings" in asyncio.run(run())
