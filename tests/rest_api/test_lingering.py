"""An answer that comes before the request has ended reaches its caller, who is still sending."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from modelyard.rest_api.framing import MAX_HEAD_BYTES
from tests import doors
from tests.waiting import PATIENCE_S, wait_until

MUCH = 64 * 2**20
"""Far more than the buffers of both sockets hold."""

NODE = """
import http from "node:http";
const [url, length] = process.argv.slice(2);
const headers = length ? { "content-length": length } : {};
const request = http.request(url + "/train", { method: "POST", headers }, (answer) => {
  answer.resume().on("end", () => console.log(answer.statusCode));
});
request.on("error", (error) => console.log(error.code));
const piece = Buffer.alloc(2 ** 20, 32);
for (let sent = 0; sent < 64; sent++) request.write(piece);
request.end();
"""


@pytest.fixture(scope="module", params=["true", "false"], ids=["quick ways", "framework"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a server with a limit of 1 MB, and its log."""
    folder = tmp_path_factory.mktemp("lingering") / "models_storage"
    with doors.rest_server(folder, MODELYARD_MAX_BODY_MB="1", MODELYARD_REST_EXPRESS=request.param) as url:
        yield url, folder.with_suffix(".log")


def connected(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S)


def heard(talk: socket.socket) -> bytes:
    """Return all that comes until the server has finished."""
    found = b""
    while piece := talk.recv(2**16):
        found += piece
    return found


@pytest.mark.parametrize(
    ("head", "piece", "status"),
    [
        (b"POST /train HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % MUCH, b" " * 2**20, 413),
        (
            b"POST /train HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"100000\r\n" + b" " * 2**20 + b"\r\n",
            413,
        ),
        (b"POST /train HTTP/1.1\r\nHost: elsewhere\r\nContent-Length: %d\r\n\r\n" % MUCH, b" " * 2**20, 403),
        (b"no HTTP at all\r\n\r\n", b" " * 2**20, 400),
    ],
    ids=["declared", "chunked", "refused at the gate", "no HTTP"],
)
def test_a_refusal_reaches_who_is_still_sending(
    server: tuple[str, Path], head: bytes, piece: bytes, status: int
) -> None:
    with connected(server[0]) as talk:
        talk.sendall(head)
        for _ in range(MUCH // 2**20):
            talk.sendall(piece)
        answer = heard(talk)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in answer
    assert answer.endswith(b"}")


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
@pytest.mark.parametrize("length", [str(MUCH), ""], ids=["declared", "chunked"])
def test_node_hears_that_its_body_is_too_large(server: tuple[str, Path], length: str, tmp_path: Path) -> None:
    script = tmp_path / "client.mjs"
    script.write_text(NODE)
    command = ["node", str(script), server[0], *([length] if length else [])]
    said = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_S)
    assert said.stdout == "413\n", said.stderr


def test_a_server_that_ends_waits_for_nobody_who_is_through(tmp_path: Path) -> None:
    folder = tmp_path / "models_storage"
    with doors.rest_server(folder, MODELYARD_MAX_BODY_MB="1") as url:
        talk = connected(url)
        talk.sendall(b"POST /train HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % MUCH)
        assert heard(talk).startswith(b"HTTP/1.1 413")
    assert "Traceback" not in folder.with_suffix(".log").read_text()
    talk.close()


def test_a_head_without_an_end_is_refused(server: tuple[str, Path]) -> None:
    url, log = server
    with connected(url) as talk:
        talk.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ")
        for _ in range(2 * MAX_HEAD_BYTES // 2**12):
            talk.sendall(b"x" * 2**12)
        answer = heard(talk)
    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b"65,536 bytes" in answer
    wait_until(lambda: "status=431" in log.read_text())


def test_a_head_within_the_limit_is_read_in_whatever_pieces(server: tuple[str, Path]) -> None:
    head = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: " + b"x" * 60_000 + b"\r\n\r\n"
    with connected(server[0]) as talk:
        for at in range(0, len(head), 7_000):
            talk.sendall(head[at : at + 7_000])
        assert heard(talk).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("second", [b"localhost", b"elsewhere"])
def test_two_hosts_are_refused(server: tuple[str, Path], second: bytes) -> None:
    with connected(server[0]) as talk:
        talk.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: %b\r\nConnection: close\r\n\r\n" % second)
        answer = heard(talk)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"header Host must be given once, got 'localhost', '%b'" % second in answer
