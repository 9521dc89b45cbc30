"""REST over TLS: what differs from REST without, beside the clients' way there (tests/test_tls.py)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from modelyard.connection import connect
from modelyard.rest_api import lingering
from modelyard.rest_api.tls import _is_of_this_machine
from modelyard.schemas import TrainRequest
from tests import doors
from tests.certificates import Authority, Made
from tests.waiting import PATIENCE_S

PREDICTION = {"model_id": "m", "X": [[1]]}


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def made(ca: Authority) -> Made:
    return ca.make()


@pytest.fixture(scope="module")
def wanting(tmp_path_factory: pytest.TempPathFactory, made: Made, ca: Authority) -> Iterator[str]:
    """The URL of a server that wants certificates of its callers, and has a model `m`."""
    with doors.rest_thread(tmp_path_factory.mktemp("served") / "yard", max_body_mb=1, **made.settings(ca)) as url:
        with connect(url, ca_file=ca.cert, **made.shown()) as yard:
            yard.train(TrainRequest(model_class_key="logistic_regression", X=[[1], [2]], y=["a", "b"], name="m"))
        yield url


def client(url: str, ca: Authority, shown: Made | None = None) -> httpx.Client:
    context = ssl.create_default_context(cafile=str(ca.cert))
    if shown is not None:
        context.load_cert_chain(shown.cert, shown.key)
    return httpx.Client(base_url=url, verify=context, timeout=PATIENCE_S)


def test_without_a_certificate_only_health_is_told_and_on_this_machine(wanting: str, ca: Authority, made: Made) -> None:
    with client(wanting, ca) as http, client(wanting, ca, made) as known:
        for _ in range(3):  # the server answers a head that it knows without looking at it again
            assert known.post("/predict", json=PREDICTION).json()["predictions"] == ["a"]
            refused = http.post("/predict", json=PREDICTION)
            assert (refused.status_code, refused.json()["code"]) == (403, "PERMISSION_DENIED")
            assert "wants a client certificate" in refused.json()["detail"]
        for path, status in (("/health", 200), ("/health/ready", 200), ("/models", 403), ("/docs", 403), ("/nix", 403)):
            assert http.get(path).status_code == status, path


def test_who_shows_no_certificate_is_not_waited_for_any_longer(tmp_path: Path, made: Made, ca: Authority) -> None:
    async def stop_within_a_head(url: str) -> bytes:
        there, context = urlsplit(url), ssl.create_default_context(cafile=str(ca.cert))
        reader, writer = await asyncio.open_connection(there.hostname, there.port, ssl=context)
        writer.write(b"GET /health HTTP/1.1\r\nHost:")
        answer = await reader.read()
        writer.close()
        return answer

    with doors.rest_thread(tmp_path / "yard", request_timeout_s=0.3, **made.settings(ca)) as url:
        assert b"was not there within 0.3 s" in asyncio.run(stop_within_a_head(url))


class _Connection(asyncio.Transport):
    def __init__(self, caller: Any, called: Any) -> None:
        super().__init__({"peername": caller, "sockname": called})


@pytest.mark.parametrize(
    ("caller", "called", "here"),
    [
        (("127.0.0.1", 5), ("127.0.0.1", 8000), True),
        (("::1", 5, 0, 0), ("::1", 8000, 0, 0), True),
        (("::ffff:127.0.0.1", 5, 0, 0), ("::ffff:127.0.0.1", 8000, 0, 0), True),
        (("10.0.0.5", 5), ("10.0.0.5", 8000), True),
        (("fe80::1%eth0", 5, 0, 2), ("fe80::1%eth0", 8000, 0, 2), True),
        (("10.0.0.6", 5), ("10.0.0.5", 8000), False),
        (("::ffff:10.0.0.6", 5, 0, 0), ("::ffff:10.0.0.5", 8000, 0, 0), False),
        (("fe80::2%eth0", 5, 0, 2), ("fe80::1%eth0", 8000, 0, 2), False),
        (None, None, False),
    ],
)
def test_callers_of_this_machine_are_told_from_others(caller: Any, called: Any, *, here: bool) -> None:
    assert _is_of_this_machine(_Connection(caller, called)) is here


def test_pages_of_the_servers_own_address_may_call_if_they_came_by_tls(wanting: str, ca: Authority, made: Made) -> None:
    with client(wanting, ca, made) as known:
        assert known.get("/models", headers={"Origin": wanting}).status_code == 200
        refused = known.get("/models", headers={"Origin": wanting.replace("https", "http")})
        assert (refused.status_code, refused.json()["code"]) == (403, "PERMISSION_DENIED")


def test_a_caller_who_still_sends_gets_the_last_answer(wanting: str, ca: Authority, made: Made) -> None:
    def much() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * 2**20

    with client(wanting, ca, made) as known:
        assert known.post("/train", content=much()).status_code == 413
        assert known.get("/health").status_code == 200


def test_a_caller_who_keeps_an_idle_connection_does_not_keep_the_server_from_ending(
    tmp_path: Path, made: Made, ca: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lingering, "PARTING_S", 0.1)
    # Without an end of its own the connection would be waited for as long as trainings are.
    with doors.rest_thread(tmp_path / "yard", train_grace_s=3600, **made.settings()) as url:
        idle = client(url, ca)
        assert idle.get("/health").status_code == 200
    with pytest.raises(httpx.TransportError):
        idle.get("/health")
    idle.close()
