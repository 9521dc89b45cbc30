"""A yard on PostgreSQL beside one in a folder: looks, commits, what others see of them, outages, and many models.

The servers are those that the tests start, on this machine's disk: a database across a network answers later. Other
replicas are processes of their own. `scale_serving` has predictions.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.storage import fill
from modelyard.errors import ModelyardError
from modelyard.schemas import ModelQuery
from modelyard.storage.documents.database import Database
from modelyard.storage.folder import Folder
from modelyard.storage.memory import parse
from modelyard.storage.opening import Engines, open_storage
from modelyard.storage.postgres.documents import PostgresDocuments
from modelyard.storage.protocols import Documents
from modelyard.storage.servers import Servers
from tests.postgres_server import PostgresServer, postgres_server
from tests.s3_server import KEYS, s3_server

COMMITS = 300
LOOKS = 200_000
OUTAGES = 3
SIZES = (1_000, 10_000, 100_000)
DOCUMENT = {"text": "x" * 1200}
COLLECTION = "bench"

Row = tuple[str, ...]


def run(sizes: tuple[int, ...] = SIZES) -> str:
    """Measure both in one run; return the results as Markdown."""
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as name, postgres_server() as server:
        folder = Path(name)
        rows = [*_commits(folder, server.new_yard()), *_outages(folder, server)]
        for size in sizes:
            rows += _many(folder / str(size), server.new_yard(), size)
    lines = [["", "folder", "PostgreSQL", "goal"], ["---", "---:", "---:", "---"], *map(list, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _commits(folder: Path, url: str) -> Iterator[Row]:
    found = []
    makes: list[Callable[[], Documents]] = [lambda: Database(folder / "db.jsonl"), lambda: PostgresDocuments(url)]
    for make in makes:
        one = make()
        look, alone = _look_us(one), [_commit_ms(one, n) for n in range(COMMITS)]
        found.append((look, alone, _rate([one, *(make() for _ in range(3))])))
    a, b = found
    yield "a look, in µs", f"{a[0]:.1f}", f"{b[0]:.1f}", "no round trip"
    yield "a commit, p50 / p95 in ms", _percentiles(a[1]), _percentiles(b[1]), "≤ 5 p50"
    yield "commits a second, four writers", f"{a[2]:.0f}", f"{b[2]:.0f}", "≥ 100"
    with _other_replica(url) as other:
        changing, sent = PostgresDocuments(url), dict[int, float]()
        times = [_commit_ms(changing, n, sent) for n in range(COMMITS)]
        yield "a commit that another replica has followed when it is answered, p50 / p95", "", _percentiles(times), ""
        seen = [(at - sent[n]) * 1000 for n, at in other.seen().items() if n in sent]
        yield "until another replica shows a change, from its sending on", "", _percentiles(seen), "≤ 10 p95"
        yield "at most", "", f"{max(seen):.1f}", "≤ 100"
        os.kill(other.pid, signal.SIGSTOP)
        stopped = max(_commit_ms(changing, -1) for _ in range(2))
        os.kill(other.pid, signal.SIGCONT)
        yield "a commit if another replica was stopped, at most", "", f"{stopped:.1f}", "≤ 120"
        changing.close()


class _Other:
    """Another replica, in a process of its own."""

    def __init__(self, pid: int, pipe: Connection) -> None:
        self.pid = pid
        self._pipe = pipe

    def seen(self) -> dict[int, float]:
        """Return when it has taken each change, by the system's clock of monotonic time."""
        self._pipe.send("seen")
        answer: dict[int, float] = self._pipe.recv()
        return answer


class _Notes:
    """An observer that writes down when it is told of a change."""

    def __init__(self) -> None:
        self.seen: dict[int, float] = {}

    def reset(self) -> None:
        self.seen.clear()

    def put(self, collection: str, key: str, document: dict[str, Any]) -> None:
        self.seen.setdefault(document["n"], time.monotonic())

    def remove(self, collection: str, key: str) -> None:
        """Take no note."""


def _follow(url: str, pipe: Connection) -> None:
    notes = _Notes()
    documents = PostgresDocuments(url, observers=[notes])
    notes.reset()
    pipe.send("up")
    while pipe.recv() == "seen":
        pipe.send(notes.seen)
    documents.close()


@contextmanager
def _other_replica(url: str) -> Iterator[_Other]:
    context = multiprocessing.get_context("spawn")
    ours, its = context.Pipe()
    process = context.Process(target=_follow, args=(url, its))
    process.start()
    ours.recv()
    yield _Other(process.pid or 0, ours)
    ours.send("end")
    process.join()


def _outages(folder: Path, server: PostgresServer) -> Iterator[Row]:
    documents, times = PostgresDocuments(server.new_yard()), []
    for _ in range(OUTAGES):
        server.kill()
        server.start()
        back = time.monotonic()
        times.append(_when_it_works(lambda: _commit_ms(documents, 0)) - back)
    documents.close()
    yield "PostgreSQL killed: a change is taken so many s after it is back, at most", "", f"{max(times):.2f}", "≤ 2"
    os.environ |= KEYS
    with s3_server() as s3:
        bucket: dict[str, Any] = s3.new_bucket()
        artifacts, times = Servers(server.new_yard(), folder, **bucket).artifacts(), []
        for _ in range(OUTAGES):
            s3.kill()
            with ThreadPoolExecutor(1) as pool:
                answered = pool.submit(_when_it_works, artifacts.check)  # it asks all the time
                s3.start()
                back = time.monotonic()
                times.append(max(0.0, answered.result() - back))
    yield "S3 killed: who asks is answered so many s after it is back, at most", "", f"{max(times):.2f}", "≤ 2"


def _when_it_works(step: Callable[[], object]) -> float:
    while True:
        try:
            step()
        except ModelyardError:
            time.sleep(0.01)
        else:
            return time.monotonic()


def _many(root: Path, url: str, size: int) -> Iterator[Row]:
    fill(root, size)
    servers = Servers(url, root.with_name(f"{size}-runs"), lock_timeout_s=300)
    _copy(Database(root / "db.jsonl"), servers.documents(make=True))
    opened = [_opened_elsewhere(place) for place in (str(root), url)]
    yield f"opening with {size:,} models, s", *(f"{seconds:.2f}" for seconds, _ in opened), ""
    yield f"memory with {size:,} models, MiB", *(f"{memory / 2**20:.0f}" for _, memory in opened), ""
    pages, commits = zip(_page_and_commit_ms(Folder(root)), _page_and_commit_ms(servers), strict=True)
    yield f"a page of {size:,} models, p50 / p95 in ms", *map(_percentiles, pages), ""
    yield f"a commit with {size:,} models, p50 / p95 in ms", *map(_percentiles, commits), "≤ 5 p50"


def _copy(from_: Database, to: Documents) -> None:
    collections, _ = from_.snapshot()
    given = [(name, key, raw) for name, found in collections.items() for key, raw in found.items()]
    for start in range(0, len(given), 5000):
        with to.transaction() as transaction:
            for name, key, raw in given[start : start + 5000]:
                transaction.put(name, key, parse(raw))
    to.close()


def _page_and_commit_ms(engines: Engines) -> tuple[list[float], list[float]]:
    storage = open_storage(engines)
    pages = [_timed_ms(lambda: storage.models.page(ModelQuery())) for _ in range(50)]
    storage.close()
    documents = engines.documents()
    commits = [_commit_ms(documents, n) for n in range(COMMITS // 3)]
    documents.close()
    return pages, commits


_OPEN = """
import sys, time
from pathlib import Path
from modelyard.storage.folder import Folder
from modelyard.storage.memory import parse
from modelyard.storage.opening import open_storage
from modelyard.storage.servers import Servers
place, runs = sys.argv[1:]
began = time.perf_counter()
storage = open_storage(Servers(place, Path(runs)) if "://" in place else Folder(Path(place)))
storage.models.count_active()
print(time.perf_counter() - began, Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0])
storage.close()
"""


def _opened_elsewhere(place: str) -> tuple[float, int]:
    """Return the seconds that opening takes a process of its own, and its memory in bytes then; the best of three."""
    with tempfile.TemporaryDirectory() as runs:
        command = [sys.executable, "-c", _OPEN, place, runs]
        said = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(3)]
    return min(float(seconds) for seconds, _ in said), min(int(kib) * 1024 for _, kib in said)


def _look_us(documents: Documents) -> float:
    began = time.perf_counter()
    for _ in range(LOOKS):
        with documents.reading():
            pass
    return (time.perf_counter() - began) / LOOKS * 1e6


def _rate(several: list[Documents]) -> float:
    each = COMMITS // len(several)
    with ThreadPoolExecutor(len(several)) as pool:
        began = time.perf_counter()
        list(pool.map(lambda documents: [_commit_ms(documents, n) for n in range(each)], several))
        rate = len(several) * each / (time.perf_counter() - began)
    for documents in several:
        documents.close()
    return rate


def _commit_ms(documents: Documents, n: int, sent: dict[int, float] | None = None) -> float:
    began = time.perf_counter()
    with documents.transaction() as transaction:
        transaction.put(COLLECTION, "a", {**DOCUMENT, "n": n})
        if sent is not None:
            transaction.before_commit(lambda: sent.update({n: time.monotonic()}))
    return (time.perf_counter() - began) * 1000


def _timed_ms(step: Callable[[], object]) -> float:
    began = time.perf_counter()
    step()
    return (time.perf_counter() - began) * 1000


def _percentiles(times: Sequence[float]) -> str:
    ordered = sorted(times)
    return f"{statistics.median(ordered):.1f} / {ordered[int(len(ordered) * 0.95)]:.1f}"


if __name__ == "__main__":
    print(run(tuple(map(int, sys.argv[1:])) or SIZES))
