"""Compressed bodies are read within the limit of what they hold, and large answers leave compressed."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from modelyard.errors import PayloadTooLarge
from modelyard.rest_api import content_coding
from tests import doors
from tests.rest_api.test_rest_api import X, Y, refusal
from tests.waiting import PATIENCE_S

ROWS = {"model_id": "kept", "X": X, "probabilities": True}
TABLE = "f0,f1\n" + "1,a\n" * 30
MANY = {"model_id": "kept", "X": X * 40, "probabilities": True}


def bare_deflate(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush()


CODED: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("X-GZIP", gzip.compress),
    ("identity, gzip", gzip.compress),
    ("gzip", lambda data: gzip.compress(data[:20]) + gzip.compress(data[20:])),
    ("gzip", lambda data: gzip.compress(data) + b"\0" * 512),  # as tapes and block devices pad
    ("deflate", zlib.compress),
    ("deflate", bare_deflate),
    ("identity", bytes),
    ("", bytes),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a model called `kept` and a limit of 1 MB."""
    with doors.rest_thread(tmp_path_factory.mktemp("coding") / "models_storage", max_body_mb=1) as url:
        order = {"model_class_key": "logistic_regression", "X": X, "y": Y, "name": "kept"}
        assert httpx.post(url + "/train", json=order, timeout=PATIENCE_S).status_code == 201
        yield url


@pytest.fixture
def http(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server, timeout=PATIENCE_S) as client:
        yield client


def post(http: httpx.Client, body: bytes, coding: str) -> httpx.Response:
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    return http.post("/predict", content=body, headers=headers)


@pytest.mark.parametrize("asked", [ROWS, MANY], ids=["few rows", "many rows"])
@pytest.mark.parametrize(("coding", "encode"), CODED)
def test_a_compressed_body_is_the_body(
    http: httpx.Client, asked: dict[str, Any], coding: str, encode: Callable[[bytes], bytes]
) -> None:
    answer = post(http, encode(json.dumps(asked).encode()), coding)
    assert answer.status_code == 200, answer.text
    assert answer.json() == http.post("/predict", json=asked).json()


def test_a_compressed_upload_and_a_compressed_training(http: httpx.Client) -> None:
    form = http.build_request("POST", "/predict/file", data={"model_id": "kept"}, files={"file": ("t.csv", TABLE)})
    headers = {"Content-Type": form.headers["content-type"], "Content-Encoding": "gzip"}
    answer = http.post("/predict/file", content=gzip.compress(form.read()), headers=headers)
    assert len(answer.json()["predictions"]) == len(X), answer.text
    order = gzip.compress(json.dumps({"model_class_key": "logistic_regression", "X": X, "y": Y}).encode())
    assert http.post("/train", content=order, headers={"Content-Encoding": "gzip"}).status_code == 201


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "deflate, gzip", "x" * 1000])
def test_a_coding_that_is_not_read_is_refused_by_name(http: httpx.Client, coding: str) -> None:
    problem = refusal(post(http, b"{}", coding), 415, "INVALID_ARGUMENT")
    assert coding[:200] in problem["detail"]
    assert "gzip, deflate" in problem["detail"]


def test_two_headers_are_a_chain_too(http: httpx.Client) -> None:
    twice = [("Content-Encoding", "gzip"), ("Content-Encoding", "deflate")]
    answer = http.send(httpx.Request("POST", f"{http.base_url}/predict", content=b"{}", headers=twice))
    refusal(answer, 415, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("coding", "body", "words"),
    [
        ("gzip", gzip.compress(json.dumps(ROWS).encode(), mtime=0)[:-9], "cut short"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-1], "cut short"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:5], "cut short"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-8] + b"\0" * 8, "incorrect data check"),
        ("gzip", gzip.compress(b"{}", mtime=0) + b"and more", "incorrect header check"),
        ("gzip", b"{}", "incorrect header check"),
        ("deflate", zlib.compress(b"{}")[:-1], "cut short"),
        ("deflate", b"{}", "deflate"),
        ("gzip", b"", "empty"),
    ],
)
def test_a_broken_stream_is_a_400_in_words(http: httpx.Client, coding: str, body: bytes, words: str) -> None:
    assert words in refusal(post(http, body, coding), 400, "INVALID_ARGUMENT")["detail"]


@pytest.mark.parametrize("path", ["/predict", "/train", "/train/file", "/predict/file"])
def test_a_bomb_of_ten_kilobytes_is_over_the_limit(http: httpx.Client, path: str) -> None:
    bomb = gzip.compress(b" " * 10 * 2**20)
    assert len(bomb) < 2**14
    kind = "application/json" if path in ("/predict", "/train") else "multipart/form-data; boundary=b"
    answer = http.post(path, content=bomb, headers={"Content-Encoding": "gzip", "Content-Type": kind})
    detail = refusal(answer, 413, "RESOURCE_EXHAUSTED")["detail"]
    assert "1 MB" in detail
    assert "decoded from gzip" in detail


def test_a_bomb_takes_little_memory() -> None:
    bomb = gzip.compress(b" " * 80 * 2**20)
    tracemalloc.start()
    try:
        with pytest.raises(PayloadTooLarge):
            content_coding._decode(bomb, "gzip", 64 * 2**20, PayloadTooLarge)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def test_what_shrinks_beyond_the_usual_is_still_read() -> None:
    body = b" " * 8 * 2**20
    assert content_coding._decode(gzip.compress(body), "gzip", len(body), PayloadTooLarge) == body


def raw(
    http: httpx.Client, asked: dict[str, Any], path: str = "/predict", **headers: str
) -> tuple[httpx.Headers, bytes]:
    """Return the headers and the body of an answer as they came over the wire."""
    with http.stream("POST", path, json=asked, headers=headers) as answer:
        return answer.headers, b"".join(answer.iter_raw())


@pytest.mark.parametrize(
    ("accepted", "is_coded"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("x-gzip", True),
        ("*", True),
        ("br;q=1.0, gzip;q=0.5", True),
        ("GZIP;q=0.001", True),
        ("gzip;q=0", False),
        ("*, gzip;q=0", False),
        ("identity, gzip;q=0.5", False),
        ("gzip;q=much", False),
        ("identity", False),
        ("br", False),
        ("", False),
    ],
)
def test_a_large_answer_is_compressed_for_who_likes_that(http: httpx.Client, accepted: str, is_coded: bool) -> None:
    _, plain = raw(http, MANY, **{"Accept-Encoding": "identity"})
    for _ in range(3):  # the server knows a head that it has seen
        headers, body = raw(http, MANY, **{"Accept-Encoding": accepted})
        assert headers.get("content-encoding") == ("gzip" if is_coded else None)
        assert int(headers["content-length"]) == len(body)
        assert headers["vary"] == "accept-encoding"
        assert json.loads(gzip.decompress(body) if is_coded else body) == json.loads(plain)


def test_accept_encoding_may_come_in_two_headers(http: httpx.Client) -> None:
    twice = [("Accept-Encoding", "br"), ("Accept-Encoding", "gzip")]
    answer = http.send(httpx.Request("POST", f"{http.base_url}/predict", json=MANY, headers=twice))
    assert answer.headers["content-encoding"] == "gzip"


def test_small_answers_and_binary_ones_are_sent_as_they_are(http: httpx.Client) -> None:
    headers, _ = raw(http, ROWS)
    assert "content-encoding" not in headers
    assert "vary" not in headers
    answer = http.get("/models/kept/artifact")
    assert "content-encoding" not in answer.headers
    table = {"file": ("t.csv", "f0,f1\n" + "1,a\n" * 20_000)}
    for kind, coding in (("text/csv", "gzip"), ("application/vnd.apache.arrow.stream", None)):
        answer = http.post("/predict/file", data={"model_id": "kept"}, files=table, headers={"Accept": kind})
        assert answer.headers.get("content-encoding") == coding
        assert len(answer.content) > 2**14


def test_head_has_the_headers_of_a_compressed_answer(http: httpx.Client) -> None:
    answer = http.head("/openapi.json")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-length"] == http.get("/openapi.json").headers["content-length"]


def test_events_are_never_compressed(http: httpx.Client) -> None:
    order = {"model_class_key": "logistic_regression", "X": X, "y": Y}
    job = http.post("/train?wait=false", json=order).json()
    answer = http.get(f"/jobs/{job['job_id']}/events")
    assert "content-encoding" not in answer.headers
    assert "event: job" in answer.text
