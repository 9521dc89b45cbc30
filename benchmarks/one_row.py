"""One row over REST: the CPU of a request, ours beside raw ASGI under the same uvicorn.

A server's CPU is its own whatever else the machine does, so this can be measured while others work, which requests a
second cannot. The servers take turns; every number is the median of the runs, every ratio the median of the runs'.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.load import send
from benchmarks.rest_serving import RAW, once, servers
from benchmarks.servers import Server
from benchmarks.serving_models import MODELS, Body, body, train

RUNS = 7
REQUESTS = 8_000


def run(runs: int = RUNS, requests: int = REQUESTS) -> str:
    """Measure, and return the Markdown table."""
    lines = ["| one row | connections | CPU of a request, µs | of raw ASGI, µs | raw ASGI / ours |"]
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as name:
        folder = Path(name)
        train(folder)
        with servers(folder) as (floors, ours):
            for model in MODELS:
                question = body(folder, model, 1)
                once(ours, question)  # what is loaded at the first request, is loaded
                for connections in (1, 16):
                    found = [
                        [_cpu_us(server, question, connections, requests) for server in (ours, floors[RAW])]
                        for _ in range(runs)
                    ]
                    own, raw = (statistics.median(one) for one in zip(*found, strict=True))
                    ratio = statistics.median(floor / one for one, floor in found)
                    lines.append(f"| {model} | {connections} | {own:.0f} | {raw:.0f} | {ratio:.2f} |")
    return "\n".join(lines) + "\n"


def _cpu_us(server: Server, question: Body, connections: int, requests: int) -> float:
    before = server.cpu_s()
    send(server.url(question.path), question.file, connections=connections, requests=requests)
    return (server.cpu_s() - before) / requests * 1e6


if __name__ == "__main__":
    print(run(*map(int, sys.argv[1:])))
