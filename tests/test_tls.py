"""TLS at both doors alike: real servers, real certificates, and the clients' way to them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from modelyard.access.keys import new_key
from modelyard.access.tls import certificate_files
from modelyard.cli.servers import doors_of_dashboard
from modelyard.connection import connect
from modelyard.dashboard.doors import DOOR_NAMES
from modelyard.errors import ModelyardError, PermissionDenied, Unavailable
from modelyard.grpc_server import server as grpc_door
from modelyard.rest_api import tls as rest_tls
from modelyard.settings import read_settings
from tests import doors
from tests.certificates import Authority, Made, shown_at, wait_for_another_at
from tests.waiting import PATIENCE_S, wait_until

_SOONER_S = 45
"""Sooner than the event loop (60 s) and gRPC (120 s) end a handshake by themselves."""

Serve = Callable[..., AbstractContextManager[str]]
"""Serves a new yard with settings, and yields its URL."""


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def made(ca: Authority) -> Made:
    return ca.make()


@pytest.fixture(params=["rest", "rest by the framework", "grpc", "grpc.aio"])
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Serve:
    door, folders = request.param, count()

    @contextmanager
    def served(**settings: Any) -> Iterator[str]:
        folder = tmp_path / f"yard{next(folders)}"
        if door.startswith("rest"):
            with doors.rest_thread(folder, rest_express=door == "rest", **settings) as url:
                yield url.replace("127.0.0.1", "localhost")
        else:
            transport = "aio" if door == "grpc.aio" else "core"
            with doors.grpc_thread(folder, grpc_transport=transport, **settings) as target:
                yield "grpcs://" + target.replace("127.0.0.1", "localhost")

    return served


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def test_a_server_is_known_by_the_authority_of_its_certificate(serve: Serve, made: Made, ca: Authority) -> None:
    with serve(**made.settings()) as url:
        with connect(url, ca_file=ca.cert) as yard:
            assert yard.health().status == "ok"
        with connect(url) as yard, pytest.raises(Unavailable, match=r"(?i)certificate.verify.failed"):
            yard.health()


def test_a_server_of_another_name_is_refused_unless_that_is_expected(serve: Serve, ca: Authority) -> None:
    with serve(**ca.make("DNS:yard.example.com").settings()) as url:
        with connect(url, ca_file=ca.cert) as yard, pytest.raises(Unavailable, match=r"(?i)host ?name"):
            yard.health()
        with connect(url, ca_file=ca.cert, server_name="yard.example.com") as yard:
            assert yard.health().status == "ok"


def test_an_expired_certificate_is_served_and_refused_by_clients(serve: Serve, ca: Authority) -> None:
    with (
        serve(**ca.make(days=-1).settings()) as url,
        connect(url, ca_file=ca.cert) as yard,
        pytest.raises(Unavailable, match="certificate has expired"),
    ):
        yard.health()


def test_a_certificate_renewed_under_load_costs_no_call(serve: Serve, ca: Authority, tmp_path: Path) -> None:
    served = Made(tmp_path / "server.pem", tmp_path / "server.key")
    served.replace(ca.make())
    done: list[str] = []
    over = threading.Event()

    def call(url: str) -> None:
        """Call over one connection that stays, and over ever new ones, until told to stop."""
        with connect(url, ca_file=ca.cert) as staying:
            while not over.is_set():
                with connect(url, ca_file=ca.cert) as fresh:
                    done.extend((fresh.health().status, staying.health().status))

    def went_on(enough: int) -> bool:
        return len(done) > enough or any(caller.done() for caller in callers)

    with serve(**served.settings()) as url, ThreadPoolExecutor(4) as pool:
        callers = [pool.submit(call, url) for _ in range(4)]
        try:
            for _ in range(5):
                before, enough = shown_at(port_of(url)), len(done) + 40
                served.replace(ca.make())
                wait_for_another_at(port_of(url), before)
                wait_until(partial(went_on, enough))
        finally:
            over.set()
        assert [one.result(PATIENCE_S) for one in callers] == [None] * 4
    assert set(done) == {"ok"}


def test_callers_show_a_certificate_if_the_server_wants_one(
    serve: Serve, made: Made, ca: Authority, tmp_path: Path
) -> None:
    strangers = Authority(tmp_path / "strangers")
    with serve(**made.settings(ca)) as url:
        with connect(url, ca_file=ca.cert, **ca.make("DNS:caller").shown()) as yard:
            assert yard.list_models().models == []
        for shown in (dict[str, Any](), strangers.make("DNS:caller").shown(), ca.make("DNS:caller", days=-1).shown()):
            with connect(url, ca_file=ca.cert, **shown) as yard, pytest.raises(ModelyardError) as caught:
                yard.list_models()
            assert isinstance(caught.value, Unavailable | PermissionDenied)


def test_what_does_not_speak_tls_is_left(
    serve: Serve, made: Made, ca: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with serve(**made.settings()) as url:
        for said in (
            b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\0" * 99,
        ):
            with socket.create_connection(("127.0.0.1", port_of(url)), timeout=PATIENCE_S) as talk:
                talk.sendall(said)
                assert b"HTTP/1" not in heard(talk)
        with connect(url, ca_file=ca.cert) as yard:
            assert yard.health().status == "ok"
    assert not [record for record in caplog.records if record.exc_info]


def heard(talk: socket.socket) -> bytes:
    """Return all that comes until the server leaves."""
    found = b""
    try:
        while piece := talk.recv(2**16):
            found += piece
    except ConnectionResetError:
        pass
    return found


def test_a_handshake_that_is_never_finished_ends(serve: Serve, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_tls, "HANDSHAKE_S", 0.2)
    monkeypatch.setattr(grpc_door, "HANDSHAKE_S", 0.2)
    with serve(**made.settings()) as url:
        for said in (b"", b"\x16\x03\x01\x02\x00\x01"):
            with socket.create_connection(("127.0.0.1", port_of(url)), timeout=_SOONER_S) as talk:
                talk.sendall(said)
                heard(talk)


@pytest.mark.parametrize("names", ["DNS:*.example.com", "IP:10.0.0.1"])
def test_the_dashboard_knows_the_servers_beside_it_whatever_their_certificate_is_made_out_to(
    ca: Authority, tmp_path: Path, names: str
) -> None:
    made = ca.make(names)
    with (
        doors.rest_thread(tmp_path / "yard", **made.settings()) as rest,
        doors.grpc_thread(tmp_path / "yard", **made.settings()) as grpc,
    ):
        settings = read_settings(**made.settings(), rest_port=port_of(rest), grpc_port=int(grpc.split(":")[1]))
        found = doors_of_dashboard(settings, certificate_files(settings))
        for name in DOOR_NAMES:
            assert found.client(name).health().status == "ok"
            with found.client_with(new_key(), name) as yard:
                assert yard.health().status == "ok"
