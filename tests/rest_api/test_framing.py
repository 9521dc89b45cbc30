"""Which bytes of a connection are which request: a body is never taken for one, and answers keep their order."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import product
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
import uvloop

from modelyard.rest_api.express.gathering import GatheringProtocol, _Gathering
from tests import doors
from tests.waiting import PATIENCE_S

H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
TLS = b"Upgrade: TLS/1.0\r\nConnection: upgrade\r\n"
WEBSOCKET = (
    b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
DELETE = b"DELETE /models/kept?hard=true HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"
LAST = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

Answer = tuple[int, dict[bytes, bytes], bytes]


def sized(head: bytes, body: bytes) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def chunked(head: bytes, body: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    chunks = (body[:1], body[1:])
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks) + end


OFFERING = [form(POST + offer, DELETE) for form, offer in product((sized, chunked), (H2C, TLS, WEBSOCKET))]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server; by its log it has carried out no DELETE in all its life."""
    folder = tmp_path_factory.mktemp("framing") / "yard"
    with doors.rest_server(folder) as url:
        yield url
    said = folder.with_suffix(".log").read_text()
    assert "POST /predict" in said
    assert "DELETE" not in said


def converse(url: str, *packets: bytes) -> list[Answer]:
    """Send packets on one connection; return all answers once the server has closed it."""
    address = urlsplit(url)
    heard = b""
    with (
        socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S) as talk,
        suppress(ConnectionResetError, BrokenPipeError),  # as the end, if the server closes before the last packet
    ):
        talk.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for packet in packets:
            talk.sendall(packet)
        while piece := talk.recv(2**16):
            heard += piece
    return answers(heard)


def answers(heard: bytes) -> list[Answer]:
    found = []
    while heard:
        head, _, rest = heard.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in lines)
        length = int(headers[b"content-length"])
        found.append((int(first.split()[1]), headers, rest[:length]))
        heard = rest[length:]
    return found


def statuses(found: list[Answer]) -> list[int]:
    return [status for status, _, _ in found]


def detail(answer: Answer) -> str:
    """Return what a problem document says, after checking that it is one with its request's id."""
    _, headers, body = answer
    problem = json.loads(body)
    assert headers[b"content-type"] == b"application/problem+json"
    assert problem["request_id"].encode() == headers[b"x-request-id"]
    said: str = problem["detail"]
    return said


@pytest.mark.parametrize("request_", OFFERING)
def test_a_body_behind_an_offer_is_read_and_not_run(url: str, request_: bytes) -> None:
    head, _, body = request_.partition(b"\r\n\r\n")
    head += b"\r\n\r\n"
    for packets in ((request_ + LAST,), (head, body + LAST), (head[:90], head[90:] + body[:9], body[9:], LAST)):
        found = converse(url, *packets)
        assert statuses(found) == [400, 200]
        assert "the body is not valid JSON" in detail(found[0])


@pytest.mark.parametrize("request_", OFFERING)
def test_an_offer_over_http_1_0_is_ignored_and_ends_the_connection(url: str, request_: bytes) -> None:
    found = converse(url, request_.replace(b"HTTP/1.1", b"HTTP/1.0", 1), LAST)
    assert statuses(found) == [400]
    assert "the body is not valid JSON" in detail(found[0])


def test_a_request_without_a_body_is_answered_in_spite_of_its_offer(url: str) -> None:
    get = b"GET /version HTTP/1.1\r\nHost: localhost\r\n"
    for offer in (H2C, TLS, WEBSOCKET):
        found = converse(url, get + offer + b"\r\n" + LAST)
        assert statuses(found) == [404, 200]
        assert detail(found[0]) == "there is no GET /version"


def curl_speaks_http2() -> bool:
    if shutil.which("curl") is None:
        return False
    return "HTTP2" in subprocess.run(["curl", "--version"], check=True, capture_output=True, text=True).stdout


@pytest.mark.skipif(not curl_speaks_http2(), reason="needs curl with HTTP/2")
def test_curl_that_offers_http2_is_heard(url: str) -> None:
    one = ["--silent", "--show-error", "--http2", "--data-binary", '{"model_id":"none","X":[[1]]}', f"{url}/predict"]
    for length in ([], ["--header", "Transfer-Encoding: chunked"]):
        twice = ["curl", *length, *one, "--next", *length, *one]
        said = subprocess.run(twice, check=True, capture_output=True, text=True).stdout
        assert said.count("there is no model named 'none'") == 2


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding can't be present with Content-Length"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5", "Content-Length can't be present with Transfer-Encoding"),
        (b"Content-Length: 5\r\nContent-Length: 5", "Duplicate Content-Length"),
        (b"Content-Length: 5, 5", "Invalid character in Content-Length"),
        (b"Content-Length: +5", "Invalid character in Content-Length"),
        (b"Content-Length: -5", "Invalid character in Content-Length"),
        (b"Content-Length: 0 5", "Invalid character in Content-Length"),
        (b"Content-Length:", "Empty Content-Length"),
        (b"Content-Length: 99999999999999999999", "Content-Length overflow"),
        (b"Content-Length : 5", "Invalid header"),
        (b"Content-Length:\r\n 5", ""),
        (b"X: a\nContent-Length: 5", "Missing expected CR"),
        (b"X: a\rContent-Length: 5", "Missing expected LF"),
        (b"X: a\0\r\nContent-Length: 5", "Invalid header value char"),
        (b"Transfer-Encoding: chunked, gzip", "Invalid `Transfer-Encoding` header value"),
        (b"Transfer-Encoding: xchunked", "Request has invalid `Transfer-Encoding`"),
        (b"Transfer-Encoding:\r\n chunked", ""),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Invalid `Transfer-Encoding` header value"),
    ],
)
def test_a_head_that_can_be_read_in_two_ways_is_refused(url: str, head: bytes, reason: str) -> None:
    for offer in (b"", H2C):
        found = converse(url, POST + offer + head + b"\r\n\r\n" + b"0\r\n\r\n" + DELETE)
        assert statuses(found) == [400]
        assert detail(found[0]).startswith(f"the request is not valid HTTP/1.1: {reason}")


@pytest.mark.parametrize(
    "request_",
    [
        b"CONNECT h:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        sized(b"CONNECT /models/kept HTTP/1.1\r\nHost: localhost\r\n" + H2C, DELETE),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"BREW /pot HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_what_is_no_request_to_this_server_is_refused(url: str, request_: bytes) -> None:
    for packets in ((request_ + DELETE,), (request_, DELETE)):
        found = converse(url, *packets)
        assert statuses(found) == [400]
        assert detail(found[0]).startswith("the request is not valid HTTP/1.1: ")


@pytest.mark.parametrize("offer", [b"", H2C])
@pytest.mark.parametrize(
    "chunks",
    [
        b"-5\r\n12345\r\n0\r\n\r\n",
        b"0x5\r\n12345\r\n0\r\n\r\n",
        b"5 \r\n12345\r\n0\r\n\r\n",
        b"5\n12345\n0\n\n",
        b"5\r\n123450\r\n\r\n",
        b"10000000000000005\r\n12345\r\n0\r\n\r\n",
        b"5\r\n12345\r\n0\r\nContent-Length: 5\r\n\r\n",
    ],
)
def test_a_broken_body_is_refused_after_the_answers_before_it(url: str, chunks: bytes, offer: bytes) -> None:
    broken = POST + offer + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + DELETE
    good = sized(POST + offer, b"[]")
    for before in range(3):
        *first, last = converse(url, good * before + broken)
        assert [detail(answer) for answer in first] == ["the body must be a JSON object, got a list"] * before
        assert detail(last).startswith("the request is not valid HTTP/1.1: ")


def test_what_follows_a_body_and_is_no_request_costs_nobody_an_answer(url: str) -> None:
    for form in (sized, chunked):
        first, second = converse(url, form(POST, b"[]") + b"junk\r\n\r\n" + DELETE)
        assert detail(first) == "the body must be a JSON object, got a list"
        assert detail(second).endswith("Invalid method encountered")


def test_nothing_is_read_after_a_request_that_closes(url: str) -> None:
    closing = sized(POST + b"Connection: close\r\n", b"[]")
    assert statuses(converse(url, closing + DELETE)) == [400]
    assert statuses(converse(url, closing.replace(b"close", b"close, upgrade\r\nUpgrade: h2c") + DELETE)) == [400]


def test_trailers_are_no_headers(url: str) -> None:
    trailers = b"0\r\nX-Request-Id: sent-last\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    first, second = converse(url, chunked(POST, b"[1]", trailers) + LAST)
    assert (first[0], second[0]) == (400, 200)
    assert first[1][b"x-request-id"] != b"sent-last"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    if scope["path"] == "/early":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"99")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def echoing(
    piece_bytes: int = 10**6, app: Any = echo
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to a server that hears everything in pieces of a size, however it comes."""

    class Piecemeal(GatheringProtocol):
        def data_received(self, data: bytes) -> None:
            for start in range(0, len(data), piece_bytes):
                super().data_received(data[start : start + piece_bytes])

    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", http=Piecemeal))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup([listening])
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        yield reader, writer
        writer.close()
        await server.shutdown([listening])


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 50, 10**6])
def test_offers_one_after_the_other_are_read_however_they_come(piece_bytes: int) -> None:
    async def talk() -> list[Answer]:
        async with echoing(piece_bytes) as (reader, writer):
            writer.write(b"".join(OFFERING) * 3 + LAST)
            return answers(await reader.read())

    found = asyncio.run(talk())
    assert [body for _, _, body in found] == [*[DELETE] * 3 * len(OFFERING), b""]


def test_half_an_answer_is_not_followed_by_a_refusal() -> None:
    async def talk() -> bytes:
        async with echoing() as (reader, writer):
            writer.write(b"POST /early HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            await reader.readuntil(b"half")
            writer.write(b"no size\r\n")
            return await reader.read()

    assert asyncio.run(talk()) == b""


def test_a_request_with_others_behind_it_is_told_that_its_caller_has_left() -> None:
    async def talk() -> None:
        reached, left = asyncio.Event(), asyncio.Event()

        async def waiting(scope: Any, receive: Any, send: Any) -> None:
            assert (await receive())["type"] == "http.request"
            reached.set()
            assert (await receive())["type"] == "http.disconnect"
            left.set()

        async with echoing(app=waiting) as (_, writer):
            writer.write(LAST.replace(b"Connection: close\r\n", b"") + LAST)
            await asyncio.wait_for(reached.wait(), PATIENCE_S)
            writer.close()
            await asyncio.wait_for(left.wait(), PATIENCE_S)

    asyncio.run(talk())


def test_an_answer_to_a_caller_who_leaves_in_its_turn_is_dropped() -> None:
    """By uvloop, whose transports take no bytes after their end."""

    async def talk() -> list[dict[str, Any]]:
        loop = asyncio.get_running_loop()
        faults: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, fault: faults.append(fault))
        made: asyncio.Future[asyncio.Transport] = loop.create_future()

        class Accepting(asyncio.Protocol):
            def connection_made(self, transport: Any) -> None:
                made.set_result(transport)

        server = await loop.create_server(Accepting, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        transport = await made
        gathering = _Gathering(transport, loop)
        transport.abort()
        gathering.write(b"late")
        flushed = asyncio.Event()
        loop.call_soon(flushed.set)
        await flushed.wait()
        writer.close()
        server.close()
        return faults

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(talk()) == []
