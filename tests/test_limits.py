"""What one caller may take from others, by both doors: calls a second, and predictions at once."""

from __future__ import annotations

import asyncio
import http.client
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import orjson
import pytest

from modelyard.access import limits
from modelyard.calls import Call
from modelyard.errors import TooManyRequests
from modelyard.grpc_server import faults
from modelyard.grpc_server.client import GrpcClient
from modelyard.grpc_server.gate import peer_address
from modelyard.ml_core.answering import LARGE_BYTES
from modelyard.ml_core.desk import Desk
from modelyard.rest_api.client import RestClient
from modelyard.schemas import Evaluation, PredictRequest, TrainRequest
from modelyard.settings import usable_cores
from tests import doors
from tests.waiting import PATIENCE_S

X = [{"age": i, "job": "ab"[i % 2]} for i in range(30)]
Y = ["high" if i > 14 else "low" for i in range(30)]
ONE = PredictRequest(model_id="one", X=X[:1])
ELSEWHERE = "127.0.0.2"
"""Another address of this machine, from which a caller may come."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("limits") / "yard"
    with doors.core(folder) as yard:
        key = "logistic_regression"
        yard.train(TrainRequest(model_class_key=key, X=X, y=Y, name="one", evaluation=Evaluation(method="none")))
    return folder


@contextmanager
def connected(url: str, address: str = "127.0.0.1") -> Iterator[http.client.HTTPConnection]:
    there = urlsplit(url)
    assert there.hostname is not None
    talk = http.client.HTTPConnection(there.hostname, there.port, PATIENCE_S, source_address=(address, 0))
    try:
        yield talk
    finally:
        talk.close()


def asked(talk: http.client.HTTPConnection, **headers: str) -> tuple[int, str | None, dict[str, Any]]:
    """Predict one row, and return the status, Retry-After and the document."""
    body = orjson.dumps({"model_id": "one", "X": X[:1]})
    talk.request("POST", "/predict", body, {"Content-Type": "application/json", **headers})
    answer = talk.getresponse()
    return answer.status, answer.headers["Retry-After"], orjson.loads(answer.read())


@pytest.mark.parametrize("express", [True, False], ids=["quick ways", "framework"])
def test_who_asks_too_often_is_refused_at_once_and_others_go_on(
    folder: Path, express: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "modelyard.rest")
    with (
        doors.rest_thread(folder, rate_limit=0.01, rest_express=express) as url,
        connected(url) as talk,
        connected(url, ELSEWHERE) as other,
    ):
        assert asked(talk)[0] == 200
        for _ in range(30):  # each by a connection of its own
            status, retry_after, problem = asked(talk)
            assert (status, problem["code"], problem["type"]) == (
                429,
                "RESOURCE_EXHAUSTED",
                "urn:modelyard:error:too-many-requests",
            )
            assert retry_after is not None
            assert 1 <= int(retry_after) <= 100
        with RestClient(url) as client, pytest.raises(TooManyRequests) as told:
            client.predict(ONE)
        assert 6 <= told.value.retry_after_s <= 100
        assert asked(other)[0] == 200
        talk.request("GET", "/health/live")
        assert talk.getresponse().read() == b'{"status":"ok"}'
    refused = [record for record in caplog.records if getattr(record, "facts", {}).get("status") == 429]
    assert len(refused) == 10  # the log is to be read
    assert {record.facts["address"] for record in refused} == {"127.0.0.1"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("packets", [1, 2], ids=["in one", "head and body"])
def test_a_known_head_counts_as_any_other(folder: Path, packets: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BURST_S", 500.0)  # five calls at once, and another one after 100 s
    body = orjson.dumps({"model_id": "one", "X": X[:1]})
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n" % len(body)
    head += b"Content-Type: application/json\r\n\r\n"
    with doors.rest_thread(folder, rate_limit=0.01) as url, RestClient(url) as warm, connected(url, ELSEWHERE) as talk:
        warm.predict(ONE)
        talk.connect()
        statuses = [200]
        while statuses[-1] == 200:
            for part in [head + body] if packets == 1 else [head, body]:
                talk.sock.sendall(part)
            answer = http.client.HTTPResponse(talk.sock)
            answer.begin()
            answer.read()
            statuses.append(answer.status)
    assert statuses == [200] * (1 + 5) + [429]


def test_a_trusted_proxy_says_who_calls(folder: Path) -> None:
    settings = {"rate_limit": 0.01, "trusted_proxies": ("127.0.0.1",)}
    with doors.rest_thread(folder, **settings) as url, connected(url) as proxy, connected(url, ELSEWHERE) as other:
        for caller, status in (("198.51.100.1", 200), ("198.51.100.1", 429), ("198.51.100.2", 200)):
            assert asked(proxy, **{"X-Forwarded-For": f"6.6.6.6, {caller}"})[0] == status
        assert asked(other, **{"X-Forwarded-For": "198.51.100.3"})[0] == 200
        assert asked(other, **{"X-Forwarded-For": "198.51.100.4"})[0] == 429


@pytest.mark.parametrize("transport", ["core", "aio"])
def test_grpc_refuses_too(folder: Path, transport: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "modelyard.grpc")
    settings = {"rate_limit": 0.01, "trusted_proxies": ("127.0.0.0/8",), "grpc_transport": transport}
    with doors.grpc_thread(folder, **settings) as target, grpc.insecure_channel(target) as channel:
        with GrpcClient(target) as client:
            client.predict(ONE)
            with pytest.raises(TooManyRequests, match="MODELYARD_RATE_LIMIT") as refused:
                client.predict(ONE)
        assert 1 <= refused.value.retry_after_s <= 100
        check = channel.unary_unary("/modelyard.v1.ModelService/HealthCheck")
        check(b"", metadata=[("x-forwarded-for", "198.51.100.1")])
        with pytest.raises(grpc.RpcError) as also_refused:
            check(b"", metadata=[("x-forwarded-for", "198.51.100.1")])
        assert also_refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert faults.DETAILS_KEY in dict(also_refused.value.trailing_metadata())
        alive = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert alive(b"") == b"\x08\x01"
    addresses = [facts["address"] for record in caplog.records if "address" in (facts := getattr(record, "facts", {}))]
    assert addresses == ["127.0.0.1", "198.51.100.1"]


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:127.0.0.1:4711", "127.0.0.1"),
        ("ipv6:%5B::1%5D:4711", "::1"),
        ("ipv6:[2001:db8::1]:4711", "2001:db8::1"),
        ("unix:/run/yard", ""),
    ],
)
def test_grpcs_peers_have_addresses(peer: str, address: str) -> None:
    assert peer_address(peer) == address


def test_large_predictions_wait_for_each_other_and_others_not_for_them(folder: Path) -> None:
    may_end = threading.Event()

    async def predict(desk: Desk, size: int, *, let_in: bool = False) -> Any:
        @contextmanager
        def read() -> Iterator[PredictRequest]:
            if size > LARGE_BYTES:
                may_end.wait(PATIENCE_S)
            yield ONE

        with Call(desk.calls, "rest", "POST /predict", request_id="x") as call:
            call.bytes_in = size
            return (await desk.predict_many(read, lambda found: found.predictions, let_in=let_in)).content

    async def run() -> None:
        with doors.core(folder) as yard:
            most = usable_cores() + 3
            desk = Desk(yard, most)
            large = [asyncio.ensure_future(predict(desk, LARGE_BYTES + 1)) for _ in range(most - 1)]
            await asyncio.sleep(0)
            assert await predict(desk, LARGE_BYTES) == ["low"]
            let_in = asyncio.ensure_future(predict(desk, LARGE_BYTES, let_in=True))
            with pytest.raises(TooManyRequests, match=f"^{most} predictions"):
                await asyncio.gather(*(predict(desk, LARGE_BYTES) for _ in range(5)))
            may_end.set()
            assert await asyncio.gather(let_in, *large) == [["low"]] * most
            assert await predict(desk, LARGE_BYTES) == ["low"]
            await desk.close()

    asyncio.run(run())
