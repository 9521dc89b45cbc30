"""A yard on PostgreSQL beside one in a folder: a look, a commit, one with another replica, opening.

The server is one that the tests start, on this machine's disk: a database across a network answers later.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from modelyard.storage.collections.models import MODELS
from modelyard.storage.documents.database import Database
from modelyard.storage.postgres.documents import PostgresDocuments
from modelyard.storage.protocols import Documents
from tests.postgres_server import postgres_server

COMMITS = 300
LOOKS = 200_000
MODELS_MADE = (1_000, 10_000, 100_000)
DOCUMENT = {"metadata": {"name": "churn", "text": "x" * 1200}}

Row = tuple[str, str, str, str]


def run() -> str:
    """Measure both in one run; return the results as Markdown."""
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as folder, postgres_server() as server:
        path = Path(folder) / "db.jsonl"
        url = server.new_yard()
        rows = list(_measured(lambda: Database(path), lambda: PostgresDocuments(url)))
        for count in MODELS_MADE:
            large, other = Path(folder) / f"{count}.jsonl", server.new_yard()
            made = [_filled(lambda large=large: Database(large), count)]
            made.append(_filled(lambda other=other: PostgresDocuments(other, lock_timeout_s=300), count))
            rows.append((f"opening a replica with {count:,} models", *(f"{took:.2f} s" for took in made), ""))
    lines = [["", "folder", "PostgreSQL", "goal"], ["---", "---:", "---:", "---"], *map(list, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _measured(folder: Callable[[], Documents], servers: Callable[[], Documents]) -> Iterator[Row]:
    results = []
    for make in (folder, servers):
        one = make()
        look = _look_us(one)
        alone = _commits_ms(one)
        other = make()
        shared = _commits_ms(one)
        results.append((look, alone, shared, _rate([one, other, make(), make()])))
    a, b = results
    yield "a look, in µs", f"{a[0]:.1f}", f"{b[0]:.1f}", "no round trip"
    yield "a commit, p50 and p95 in ms", _two(a[1]), _two(b[1]), "≤ 5 p50"
    yield "a commit with another replica, which has followed when it is answered", _two(a[2]), _two(b[2]), "≤ 10 p95"
    yield "commits a second, four writers", f"{a[3]:.0f}", f"{b[3]:.0f}", "≥ 100"


def _look_us(documents: Documents) -> float:
    began = time.perf_counter()
    for _ in range(LOOKS):
        with documents.reading():
            pass
    return (time.perf_counter() - began) / LOOKS * 1e6


def _commits_ms(documents: Documents) -> list[float]:
    return [_timed_ms(lambda n=n: _put(documents, n)) for n in range(COMMITS)]


def _rate(several: list[Documents]) -> float:
    def write(documents: Documents) -> None:
        for n in range(COMMITS // 4):
            _put(documents, n)

    threads = [threading.Thread(target=write, args=(documents,)) for documents in several]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = len(threads) * (COMMITS // 4) / (time.perf_counter() - began)
    for documents in several:
        documents.close()
    return rate


def _filled(make: Callable[[], Documents], count: int) -> float:
    documents = make()
    with documents.transaction() as transaction:
        for n in range(count):
            transaction.put(MODELS, f"{n:08}", DOCUMENT)
    documents.close()
    return _timed_ms(lambda: make().close()) / 1000


def _put(documents: Documents, n: int) -> None:
    with documents.transaction() as transaction:
        transaction.put(MODELS, "a", {**DOCUMENT, "n": n})


def _timed_ms(step: Callable[[], object]) -> float:
    began = time.perf_counter()
    step()
    return (time.perf_counter() - began) * 1000


def _two(times: list[float]) -> str:
    ordered = sorted(times)
    return f"{statistics.median(ordered):.1f} / {ordered[int(len(ordered) * 0.95)]:.1f}"


if __name__ == "__main__":
    print(run())
