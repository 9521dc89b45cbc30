"""Small predictions that are answered where their last byte is read: as by the ordinary way, in every circumstance."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import orjson
import pytest
import uvicorn

from modelyard.identities import ANYONE
from modelyard.ml_core.desk import Desk
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.app import create_app
from modelyard.rest_api.express.at_once import AtOnceProtocol, KnownHeads
from modelyard.schemas import TrainRequest
from modelyard.settings import Settings
from tests import doors

X = [{"age": i, "job": "ab"[i % 2]} for i in range(30)]
Y = ["high" if i > 14 else "low" for i in range(30)]
HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LAST = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with doors.core(tmp_path_factory.mktemp("at_once") / "yard") as yard:
        for name, key in (("lr", "logistic_regression"), ("cb", "catboost_classifier")):
            yard.train(TrainRequest(model_class_key=key, X=X, y=Y, name=name, evaluation={"method": "none"}))
            yard.loaded.get(name)
        yield yard


def asked(model: str = "lr", rows: Any = (0,), head: bytes = HEAD, **fields: Any) -> bytes:
    body = orjson.dumps({"model_id": model, "X": [X[row] for row in rows], **fields})
    return head + b"content-length: %d\r\n\r\n%b" % (len(body), body)


class Talk:
    """A server and one connection to it; `passed_on` are the requests that came as far as the application."""

    def __init__(self, yard: Yard, **settings: Any) -> None:
        desk = Desk(yard)
        gate = create_app(desk, Settings(**settings))
        self.passed_on: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            self.passed_on.append(scope["path"])
            await gate(scope, receive, send)

        self.protocols: list[AtOnceProtocol] = []
        make = partial(AtOnceProtocol, gate, desk, KnownHeads(gate, desk))

        def protocol(**uvicorns: Any) -> AtOnceProtocol:
            self.protocols.append(make(**uvicorns))
            return self.protocols[-1]

        given: Any = protocol
        config = uvicorn.Config(app, lifespan="off", http=given, server_header=False, log_config=None, access_log=False)
        config.load()
        self.server = uvicorn.Server(config)
        self.server.lifespan = config.lifespan_class(config)
        self.server.server_state.default_headers = [(b"date", b"today")]
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def answer(self, *packets: bytes) -> tuple[bytes, bytes]:
        """Send packets, each in a turn of the loop that has no other, and return the head and body of one answer."""
        for packet in packets:
            self.writer.write(packet)
            await self.settle()
        return await self.read()

    async def read(self) -> tuple[bytes, bytes]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head)
        assert found is not None
        return head, await self.reader.readexactly(int(found[1]))

    async def connect(self) -> None:
        """Talk on over a new connection."""
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()
        self.reader, self.writer = await asyncio.open_connection(*self.address)

    async def settle(self) -> None:
        """Wait until what was sent before has been received: another connection's answer comes after it."""
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(LAST)
        await reader.read()
        writer.close()
        self.passed_on.remove("/health/live")

    @property
    def protocol(self) -> AtOnceProtocol:
        """The one of the connection."""
        return self.protocols[0]

    address: tuple[str, int]


@asynccontextmanager
async def talking(yard: Yard, **settings: Any) -> AsyncIterator[Talk]:
    talk = Talk(yard, **settings)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        talk.address = listening.getsockname()
        await talk.server.startup([listening])
        talk.reader, talk.writer = await asyncio.open_connection(*talk.address)
        try:
            yield talk
        finally:
            talk.writer.close()
            await talk.server.shutdown([listening])


def told(answer: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return an answer without what differs from one to the next."""
    head, body = answer
    head = re.sub(rb"(x-request-id: )[0-9a-f]{16}\r\n", rb"\1\r\n", head)
    return re.sub(rb"(dur=)[^,\r]+", rb"\1", head), body


@pytest.mark.parametrize("model", ["lr", "cb"])
@pytest.mark.parametrize("rows", [range(1), range(30)])
def test_an_answer_is_the_ordinary_one_to_the_byte(yard: Yard, model: str, rows: range) -> None:
    async def run() -> None:
        async with talking(yard) as talk:
            first, *others = [await talk.answer(asked(model, rows, probabilities=True)) for _ in range(3)]
            assert talk.passed_on == ["/predict"]
            assert first[0].startswith(b"HTTP/1.1 200 OK\r\ndate: today\r\n")
            assert [told(other) for other in others] == [told(first)] * 2
            ids = {re.findall(rb"x-request-id: (\S+)", head)[0] for head, _ in (first, *others)}
            assert len(ids) == 3

    asyncio.run(run())


def test_a_large_answer_to_a_small_request_takes_the_ordinary_way(yard: Yard) -> None:
    async def run() -> None:
        async with talking(yard) as talk:
            first, *others = [await talk.answer(asked(rows=[0] * 500, probabilities=True)) for _ in range(3)]
            assert b"\r\nvary: accept-encoding\r\n" in first[0]
            assert [told(other) for other in others] == [told(first)] * 2
            assert talk.passed_on == ["/predict"] * 3
            (known,) = talk.protocol._heads._known.values()
            assert known.length == -1  # its body is predicted once

    asyncio.run(run())


def test_a_body_may_come_later_than_its_head_and_in_pieces(yard: Yard) -> None:
    async def run() -> None:
        async with talking(yard) as talk:
            whole = asked()
            end = whole.index(b"\r\n\r\n") + 4
            first = await talk.answer(whole)
            assert told(await talk.answer(whole[:end], whole[end:])) == told(first)
            assert talk.passed_on == ["/predict"]
            assert told(await talk.answer(whole[:end], whole[end:-5], whole[-5:])) == told(first)
            assert told(await talk.answer(whole[:1], whole[1:])) == told(first)
            assert talk.passed_on == ["/predict"] * 3
            assert told(await talk.answer(whole)) == told(first)
            assert talk.passed_on == ["/predict"] * 3
            await talk.connect()
            talk.writer.write(b"P")
            await talk.settle()
            assert told(await talk.answer(whole[1:])) == told(first)
            assert talk.passed_on == ["/predict"] * 4

    asyncio.run(run())


def test_requests_one_after_the_other_are_answered_in_order(yard: Yard) -> None:
    async def run() -> None:
        async with talking(yard) as talk:
            for model in ("lr", "cb"):
                await talk.answer(asked(model, [0]))
                await talk.answer(asked(model, [29]))
                for packets in ([asked(model, [0]) + asked(model, [29])], [asked(model, [0]), asked(model, [29])]):
                    for packet in packets:
                        talk.writer.write(packet)
                    answers = [orjson.loads((await talk.read())[1])["predictions"] for _ in range(2)]
                    assert answers == [["low"], ["high"]]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b'{"model_id":"lr","X":[{"age":"x","job":"a"}]}', 400, b"column 'age', row 0"),
        (b'{"model_id":"lr","X":[{"age":1,"job":"a"}],"Y":1}', 400, b"field 'Y' is unknown"),
        (b'{"model_id":"none","X":[{"age":1,"job":"a"}]}', 404, b"there is no model named 'none'"),
        (b'{"model_id":"lr","X":[{"age":1,"job":"a"}', 400, b"is not valid JSON"),
        (b"[]", 400, b"must be a JSON object"),
        (b"", 400, b"the body is empty"),
    ],
)
def test_what_is_refused_takes_the_ordinary_way_and_is_logged_once(
    yard: Yard, caplog: pytest.LogCaptureFixture, body: bytes, status: int, said: bytes
) -> None:
    async def run() -> None:
        request = HEAD + b"content-length: %d\r\n\r\n%b" % (len(body), body)
        async with talking(yard) as talk:
            first = await talk.answer(request)
            caplog.clear()
            with caplog.at_level(logging.INFO, "modelyard.rest"):
                second = await talk.answer(request)
            assert told(second)[0] == told(first)[0]
            assert second[0].startswith(b"HTTP/1.1 %d " % status)
            assert said in second[1]
            lines = [record.facts for record in caplog.records if record.getMessage() == "POST /predict"]  # type: ignore[attr-defined]
            assert [line["status"] for line in lines] == [status]
            assert (await talk.answer(asked()))[0].startswith(b"HTTP/1.1 200 ")

    asyncio.run(run())


def test_an_answer_that_cannot_be_written_is_an_internal_error_and_keeps_nobody_waiting(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with the model class of a third party whose scores are of a type that JSON has not."""

    async def run() -> None:
        async with talking(yard) as talk:
            good, wrong = asked(), asked(probabilities=True)
            first = await talk.answer(good)
            refused = await talk.answer(wrong)
            assert refused[0].startswith(b"HTTP/1.1 200 ")
            monkeypatch.setattr(type(yard.loaded.get("lr").predictor), "few", lambda _, rows: [[0j, 0j] for _ in rows])
            monkeypatch.setattr(yard.loaded.get("lr").task, "answers", lambda scores, *_: ["low"] * len(scores))
            assert (await talk.answer(wrong))[0].startswith(b"HTTP/1.1 500 ")
            assert told(await talk.answer(good)) == told(first)

    asyncio.run(run())


@pytest.mark.parametrize(
    "more",
    [
        b"Origin: http://localhost\r\n",
        b"X-Request-Id: its-own\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b"Connection: upgrade\r\nUpgrade: h2c\r\n",
        b"X: %b\r\n" % (b"long" * 256),
    ],
)
def test_a_head_that_asks_for_more_is_read_each_time(yard: Yard, more: bytes) -> None:
    async def run() -> None:
        async with talking(yard) as talk:
            for _ in range(2):
                await talk.connect()
                talk.writer.write(asked(head=HEAD + more))
                if b"Expect" in more:
                    assert await talk.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
                head, _ = await talk.read()
                assert head.startswith(b"HTTP/1.1 200 ")
                assert (b"its-own" in head) == (b"its-own" in more)
            assert talk.passed_on == ["/predict"] * 2

    asyncio.run(run())


def test_a_foreign_host_and_a_body_over_the_limit_are_refused_each_time(yard: Yard) -> None:
    async def run() -> None:
        async with talking(yard, max_body_mb=0.0001) as talk:
            for _ in range(2):
                assert (await talk.answer(asked(rows=range(9))))[0].startswith(b"HTTP/1.1 413 ")
                await talk.connect()
        async with talking(yard) as talk:
            for _ in range(2):
                head, _ = await talk.answer(asked(head=HEAD.replace(b"localhost", b"evil.example")))
                assert head.startswith(b"HTTP/1.1 403 ")
                await talk.connect()

    asyncio.run(run())


def test_nothing_is_answered_after_what_is_no_request(yard: Yard) -> None:
    async def run() -> None:
        async with talking(yard) as talk:
            await talk.answer(asked())
            await talk.connect()
            talk.writer.write(b"@")
            talk.writer.write(asked())
            head, _ = await talk.read()
            assert head.startswith(b"HTTP/1.1 400 ")
            assert await talk.reader.read() == b""

    asyncio.run(run())


def test_known_heads_do_not_grow_without_end(yard: Yard) -> None:
    async def run() -> None:
        async with talking(yard) as talk:
            heads = talk.protocol._heads
            scope = {"path": "/predict", "raw_path": b"/predict", "headers": [(b"content-length", b"5")]}
            for i in range(1100):
                heads.learn(b"%d" % i, scope)
            assert 0 < len(heads._known) <= 1024
            known = heads.get(b"1099")
            assert known is not None
            assert (known.length, known.identity) == (5, ANYONE)

    asyncio.run(run())


@pytest.mark.parametrize("model", ["lr", "cb"])
def test_a_server_that_ends_answers_before_what_it_has_received(yard: Yard, model: str) -> None:
    async def run() -> None:
        async with talking(yard) as talk:
            whole = asked(model)
            first = await talk.answer(whole)
            talk.protocol.data_received(whole)
            assert talk.protocol._answering
            talk.protocol.shutdown()
            assert told(await talk.read()) == told(first)
            assert await talk.reader.read() == b""

    asyncio.run(run())


def test_a_server_that_ends_waits_for_a_body_and_then_closes(yard: Yard) -> None:
    async def run() -> None:
        async with talking(yard) as talk:
            whole = asked()
            end = whole.index(b"\r\n\r\n") + 4
            await talk.answer(whole)
            talk.writer.write(whole[:end])
            await talk.settle()
            talk.protocol.shutdown()
            head, _ = await talk.answer(whole[end:])
            assert b"\r\nconnection: close\r\n" in head
            assert await talk.reader.read() == b""

    asyncio.run(run())


def test_who_hangs_up_while_a_body_is_awaited_or_an_answer_made_disturbs_nobody(
    yard: Yard, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with talking(yard) as talk:
            whole = asked("cb")
            end = whole.index(b"\r\n\r\n") + 4
            await talk.answer(whole)
            for sent in (whole[:end], whole):
                _, writer = await asyncio.open_connection(*talk.address)
                writer.write(sent)
                if sent == whole:
                    writer.transport.abort()
                else:
                    await talk.settle()
                    writer.close()
                await talk.settle()
            assert (await talk.answer(whole))[0].startswith(b"HTTP/1.1 200 ")

    asyncio.run(run())
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_connection_in_use_outlives_its_timer_and_an_idle_one_does_not(yard: Yard) -> None:
    async def run() -> None:
        async with talking(yard) as talk:
            await talk.answer(asked())
            await talk.answer(asked())
            talk.protocol.timeout_keep_alive_handler()
            assert (await talk.answer(asked()))[0].startswith(b"HTTP/1.1 200 ")
            talk.protocol._keep_alive_from -= talk.protocol.timeout_keep_alive
            talk.protocol.timeout_keep_alive_handler()
            assert await talk.reader.read() == b""

    asyncio.run(run())
