"""One row while 16 callers send 20,000 rows each, over REST: how long it waits, and what the large ones get done.

Wanted: one row's 99th percentile under 50 ms.
"""

from __future__ import annotations

import http.client
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import Load, drive
from benchmarks.servers import Server, our_server, request
from benchmarks.serving_models import MODELS, Body, body, train

FORMS = ("records", "arrow")
CALLERS = 16
ROWS = 20_000
PAUSE_S = 0.01
"""Between two requests of one row."""


@dataclass(frozen=True, slots=True)
class Waits:
    """How long requests of one row took, in ms."""

    p50: float
    p99: float
    most: float
    count: int


def run(seconds: float = 8) -> str:
    """Measure, and return a table."""
    lines = [
        "| model, form | one row alone, p50 / p99 ms | beside large ones, p50 / p99 / most | large, rows/s | failed |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    with tempfile.TemporaryDirectory(prefix="fairness-") as name:
        folder = Path(name)
        train(folder)
        with our_server(folder / "yard", log=folder / "server.log") as server:
            for model in MODELS:
                one = body(folder, model, 1).file.read_bytes()
                for form in FORMS:
                    alone, beside, large = _measure(server, one, body(folder, model, ROWS, form), seconds)
                    lines.append(
                        f"| {model}, {form} | {alone.p50:.1f} / {alone.p99:.1f} | "
                        f"{beside.p50:.1f} / {beside.p99:.1f} / {beside.most:.1f} | "
                        f"{large.per_second * ROWS:,.0f} | {large.failed} |"
                    )
                    print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def _measure(server: Server, one: bytes, large: Body, seconds: float) -> tuple[Waits, Waits, Load]:
    url = server.url(large.path)
    request(url, large.file.read_bytes(), large.content_type, large.accept)
    alone = waits(server, one, min(2.0, seconds))
    with ThreadPoolExecutor(1) as pool:
        accept = [f"accept: {large.accept}"]
        driven = pool.submit(
            drive,
            url,
            large.file,
            connections=CALLERS,
            seconds=seconds,
            content_type=large.content_type,
            headers=accept,
        )
        time.sleep(1)  # until all large ones are under way
        beside = waits(server, one, seconds - 1)
        return alone, beside, driven.result()


def waits(server: Server, one: bytes, seconds: float) -> Waits:
    """Ask for one row again and again over one connection."""
    talk = http.client.HTTPConnection("127.0.0.1", server.port)
    found = []
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        began = time.perf_counter()
        talk.request("POST", "/predict", one, {"Content-Type": "application/json"})
        answer = talk.getresponse()
        answer.read()
        found.append((time.perf_counter() - began) * 1000)
        assert answer.status == 200, answer.status
        time.sleep(PAUSE_S)
    talk.close()
    found.sort()
    return Waits(found[len(found) // 2], found[int(len(found) * 0.99)], found[-1], len(found))


if __name__ == "__main__":
    print(run(*map(float, sys.argv[1:2])))
