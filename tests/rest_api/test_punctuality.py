"""Requests that do not come, or stop coming, hold nothing up and are not held for ever."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import orjson
import pytest

from modelyard import logs
from modelyard.rest_api.client import RestClient
from modelyard.schemas import Evaluation, PredictRequest, TrainRequest
from tests import doors
from tests.waiting import PATIENCE_S, wait_until

X = [{"age": i, "job": "ab"[i % 2]} for i in range(30)]
Y = ["high" if i > 14 else "low" for i in range(30)]
BODY = orjson.dumps({"model_id": "one", "X": X[:1]})
POST = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
HEAD = POST + b"Content-Length: %d\r\n\r\n" % len(BODY)
HEALTH = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
TIMEOUT_S = 1.5
MANY = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("punctuality") / "yard"
    with doors.core(folder) as yard:
        key = "logistic_regression"
        yard.train(TrainRequest(model_class_key=key, X=X, y=Y, name="one", evaluation=Evaluation(method="none")))
    return folder


@pytest.fixture(scope="module", params=[True, False], ids=["quick ways", "framework"])
def url(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """The address of a server that knows the head HEAD if it has quick ways."""
    with doors.rest_thread(folder, rest_express=request.param, request_timeout_s=TIMEOUT_S) as url:
        assert asyncio.run(talk(url, HEAD + BODY, HEAD + BODY, answers=2)).count(b"200 OK") == 2
        yield url


async def talk(url: str, *packets: bytes, answers: int = 0, pause_s: float = 0.0) -> bytes:
    """Send packets, each so long after the one before; return all that is heard until so many answers, or the end."""
    there = urlsplit(url)
    reader, writer = await asyncio.open_connection(there.hostname, there.port)
    heard = b""

    async def listen() -> None:
        nonlocal heard
        while piece := await reader.read(2**16):
            heard += piece
            if answers and heard.count(b"HTTP/1.1 ") == answers and heard.endswith(b"}"):
                return

    listening = asyncio.create_task(listen())
    try:
        for packet in packets:
            if listening.done():
                break
            writer.write(packet)
            await asyncio.sleep(pause_s)
        async with asyncio.timeout(PATIENCE_S):
            await listening
    except ConnectionError:
        pass
    finally:
        listening.cancel()
        writer.close()
    return heard


LATE_HEAD = b"the head of the request was not there within 1.5 s"
NO_REST = b"nothing came of the body for 1.5 s"


class Case(NamedTuple):
    packets: list[bytes]
    answered: int
    said: bytes


CASES = {
    "nothing": Case([], 0, b""),
    "head": Case([POST], 0, LATE_HEAD),
    "body": Case([HEAD], 0, b"MODELYARD_REQUEST_TIMEOUT_S"),
    "rest": Case([HEAD + BODY[:5]], 0, NO_REST),
    "chunk": Case([POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\n"], 0, NO_REST),
    "next head": Case([HEAD + BODY + POST], 1, LATE_HEAD),
    "next body": Case([HEAD + BODY, HEAD], 1, b"MODELYARD_REQUEST_TIMEOUT_S"),
    "empty line": Case([HEALTH, b"\r\n"], 1, b""),
    "a byte": Case([HEALTH, b"G"], 1, LATE_HEAD),
    "a byte now and then": Case([bytes([byte]) for byte in POST * 10], 0, LATE_HEAD),
}


def test_what_stops_coming_is_dropped(url: str) -> None:
    async def run() -> list[bytes]:
        pause_s = 0.1 * TIMEOUT_S
        return await asyncio.gather(*(talk(url, *case.packets, pause_s=pause_s) for case in CASES.values()))

    for (name, case), heard in zip(CASES.items(), asyncio.run(run()), strict=True):
        answers = heard.split(b"HTTP/1.1 ")[1:]
        assert [answer[:3] for answer in answers] == [b"200"] * case.answered + [b"408"] * bool(case.said), name
        if case.said:
            assert b'"code":"DEADLINE_EXCEEDED"' in answers[-1], name
            assert b"connection: close" in answers[-1], name
            assert case.said in answers[-1], name


def test_what_comes_slowly_is_waited_for_and_so_is_the_next_request(url: str) -> None:
    pieces = [BODY[i : i + 3] for i in range(0, len(BODY), 3)]
    assert 0.1 * len(pieces) > 1  # in all they take longer than any of them may

    async def run() -> tuple[bytes, bytes]:
        slow = talk(url, HEAD, *pieces, answers=1, pause_s=0.1 * TIMEOUT_S)
        late = talk(url, HEALTH, b"", b"", HEAD + BODY, answers=2, pause_s=0.4 * TIMEOUT_S)
        return await asyncio.gather(slow, late)

    slow, late = asyncio.run(run())
    assert slow.startswith(b"HTTP/1.1 200 OK")
    assert late.count(b"HTTP/1.1 200 OK") == 2


def test_a_crowd_that_sends_a_byte_at_a_time_holds_nobody_up(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "modelyard.rest")
    tally = logs.Tally(minute_s=2 * TIMEOUT_S)
    monkeypatch.setattr(logs, "Tally", lambda: tally)

    async def crowd(url: str) -> list[bytes]:
        slow = [talk(url, *[bytes([byte]) for byte in POST * 10], pause_s=TIMEOUT_S / 5) for _ in range(MANY // 3)]
        slow += [talk(url, POST + b"Content-Length: 1000000\r\n\r\n") for _ in range(MANY // 3)]
        slow += [talk(url) for _ in range(MANY // 3)]
        dropped = asyncio.gather(*slow)
        with RestClient(url) as client:
            while not dropped.done():
                found = await asyncio.to_thread(client.predict, PredictRequest(model_id="one", X=X[:1]))
                assert found.predictions
        return await dropped

    with doors.rest_thread(folder, request_timeout_s=TIMEOUT_S) as url:
        heard = asyncio.run(crowd(url))
        wait_until(lambda: "connections closed" in caplog.text)
    assert {answer[9:12] for answer in heard} == {b"408", b""}
    facts = [getattr(record, "facts", {}) for record in caplog.records if record.name == "modelyard.rest"]
    assert sum(one.get("status") != 200 for one in facts) < MANY // 5  # ten and some in each of the test's minutes
    assert sum(one.get("count", 1) for one in facts if one.get("status") != 200) > MANY // 2
