"""A bucket: objects that are written once, a store that is not trusted blindly, and one that is away for a while."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from modelyard.errors import FailedPrecondition, Unavailable
from modelyard.storage.artifacts import bucket as module
from modelyard.storage.artifacts.bucket import Bucket
from modelyard.storage.protocols import ArtifactGone
from tests.proxies import proxied
from tests.s3_server import KEYS, S3Server, s3_server


@pytest.fixture
def bucket(s3: S3Server) -> Bucket:
    where = s3.new_bucket()
    return Bucket(where["artifacts_url"], where["s3_endpoint"])


def test_an_object_is_written_once(bucket: Bucket) -> None:
    bucket.put("a/b", b"one")
    bucket.put("a/b", b"one")  # as after an answer that was lost
    with pytest.raises(Unavailable, match="another object is there already"):
        bucket.put("a/b", b"two")
    assert bucket.get("a/b") == b"one"
    with pytest.raises(ArtifactGone, match="a/c"):
        bucket.get("a/c")
    bucket.remove(["a/b", "a/c"])
    assert bucket.keys("a/") == []


def test_of_those_who_write_one_object_at_once_one_does(bucket: Bucket) -> None:
    def write(n: int) -> bool:
        try:
            bucket.put("raced", b"%d" % n)
        except Unavailable:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(write, range(8)))
    assert won.count(True) == 1
    assert bucket.get("raced") == b"%d" % won.index(True)


def test_a_large_object_is_read_in_parts_and_has_the_time_of_each_to_be_written(
    bucket: Bucket, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PART", 100_000)
    monkeypatch.setattr(module, "_PART_S", 2)
    content = random.Random(0).randbytes(450_000)
    asked, released = bytearray(), threading.Event()

    def note(sent: bytes, by_client: bool) -> bool:
        if by_client:
            asked.extend(sent)
        return True

    with proxied(("127.0.0.1", s3.port)) as proxy:
        behind = Bucket(bucket.url, f"http://127.0.0.1:{proxy.port}")
        proxy.watch = note
        behind.put("large", content)
        assert behind.get("large") == content
        parts = [
            b"range: bytes=%d-%d" % (start, min(start + 100_000, 450_000) - 1) for start in range(0, 450_000, 100_000)
        ]
        assert [part in bytes(asked).lower() for part in parts] == [True] * 5
        proxy.watch = lambda _, by_client: by_client or released.wait()  # the store hangs
        began = time.monotonic()
        with pytest.raises(Unavailable, match="cannot write"):
            behind.put("other", content)
        assert time.monotonic() - began > 9.5  # five parts
        released.set()


def test_the_age_of_objects_goes_by_the_clock_of_the_store(bucket: Bucket) -> None:
    assert bucket.age_s("a/") == 0.0
    bucket.put("a/b", b"")
    assert 0.0 <= bucket.age_s("a/") < 600.0


def test_a_store_that_keeps_its_word_is_taken(bucket: Bucket) -> None:
    bucket.probe()
    assert bucket.keys("") == []


class _Careless(BaseHTTPRequestHandler):
    """Takes whatever it is sent, as stores do that know no conditions or no checksums."""

    knows_conditions = False
    objects: set[str]

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        there = self.path in self.objects
        self.objects.add(self.path)
        self.send_response(412 if there and self.knows_conditions and self.headers["If-None-Match"] else 200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = b"<DeleteResult><Deleted><Key>x</Key></Deleted></DeleteResult>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_DELETE(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def careless(*, knows_conditions: bool) -> AbstractContextManager[str]:
    return served(type("Handler", (_Careless,), {"knows_conditions": knows_conditions, "objects": set()}))


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve a store, and yield its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("knows_conditions", "problem"),
    [(False, "ignores If-None-Match"), (True, "takes an object whose SHA-256 is wrong")],
)
def test_a_careless_store_is_refused(monkeypatch: pytest.MonkeyPatch, problem: str, *, knows_conditions: bool) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with careless(knows_conditions=knows_conditions) as url, pytest.raises(FailedPrecondition, match=problem):
        Bucket("s3://modelyard/yard", url).probe()


class _WithoutBuckets(BaseHTTPRequestHandler):
    """Has no bucket of any name."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        answer = b"<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message></Error>"
        self.send_response(404)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self.do_GET
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_bucket_that_is_gone_is_no_missing_file(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with served(_WithoutBuckets) as url:
        bucket = Bucket("s3://nobody/yard", url)
        for use in (bucket.probe, bucket.check, lambda: bucket.get("a"), lambda: bucket.keys("a/")):
            with pytest.raises(Unavailable, match=r"s3://nobody/yard.*: the store has no such bucket"):
                use()


def test_a_store_that_is_away_is_unavailable_until_it_is_back(s3: S3Server) -> None:
    where = s3.new_bucket()
    with proxied(("127.0.0.1", s3.port)) as proxy:
        bucket = Bucket(where["artifacts_url"], f"http://127.0.0.1:{proxy.port}")
        bucket.put("a", b"kept")
        proxy.is_down = True
        proxy.cut()
        with pytest.raises(Unavailable, match=r"cannot read s3://modelyard/yard.*/a"):
            bucket.get("a")
        with pytest.raises(Unavailable, match=r"cannot write in s3://modelyard/yard"):
            bucket.check()
        proxy.is_down = False
        assert bucket.get("a") == b"kept"
        bucket.check()


def test_a_store_that_is_stopped_is_waited_for(s3: S3Server, bucket: Bucket) -> None:
    bucket.put("a", b"kept")
    s3.signal(signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(bucket.get, "a")
        s3.signal(signal.SIGCONT)
        assert waiting.result() == b"kept"


def test_a_store_that_is_killed_is_unavailable(s3: S3Server) -> None:
    with s3_server() as server:
        bucket = Bucket("s3://modelyard/yard", server.endpoint)
        bucket.put("a", b"kept")
        server.kill()
        with pytest.raises(Unavailable, match="cannot read"):
            bucket.get("a")
