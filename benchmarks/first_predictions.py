"""The first prediction after a training, and the first after a start: by a new connection, over REST.

Run as `python -m benchmarks.first_predictions [RUNS]`; every number is the median of the runs.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import orjson

from benchmarks.servers import Server, answers, our_server, request
from benchmarks.tables_made import SMALL

RUNS = 5
_WARM = "warm after"
_PATIENCE_S = 120.0
_KEYS = ("logistic_regression", "catboost_classifier")
Laps = defaultdict[str, list[float]]


def run(runs: int = RUNS) -> str:
    """Measure, and return a table."""
    laps: Laps = defaultdict(list)
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as name:
            _measure(Path(name), laps)
    lines = "".join(f"| {what} | {statistics.median(found):.1f} |\n" for what, found in laps.items())
    return f"| {runs} runs | median |\n| --- | ---: |\n{lines}"


def _measure(folder: Path, laps: Laps) -> None:
    with _server(folder) as server:
        laps["a server's first answer, s"].append(server.first_answer_s)
        laps["memory at its first answer, MiB"].append(server.own_memory_mib())
        laps["warm so long after its first answer, s"].append(_until_warm(folder))
        laps["memory when it is warm, MiB"].append(server.own_memory_mib())
        for key in _KEYS:
            order = {"model_class_key": key, **SMALL, "name": key, "evaluation": {"method": "none"}}
            _ask(server, "/train", order)
            laps[f"first prediction at once after a training, {key}, ms"].append(_predict(server, key))
            laps[f"second prediction, {key}, ms"].append(_predict(server, key))
    for key in _KEYS:
        with _server(folder) as server:
            _until_warm(folder)
            laps[f"first prediction of a warm server after its start, {key}, ms"].append(_predict(server, key))
        with _server(folder) as server:
            laps[f"first prediction at once after a start, {key}, ms"].append(_predict(server, key))


def _server(folder: Path) -> AbstractContextManager[Server]:
    return our_server(folder / "yard", log=folder / "log", is_up=answers("/health/live"))


def _until_warm(folder: Path) -> float:
    began = time.perf_counter()
    while _WARM not in (folder / "log").read_text():
        if time.perf_counter() - began > _PATIENCE_S:
            raise RuntimeError("the server does not get warm")
        time.sleep(0.005)
    return time.perf_counter() - began


def _predict(server: Server, name: str) -> float:
    began = time.perf_counter()
    _ask(server, "/predict", {"model_id": name, "X": [[1.0, "x"]]})
    return (time.perf_counter() - began) * 1000


def _ask(server: Server, path: str, body: dict[str, Any]) -> None:
    if request(server.url(path), orjson.dumps(body)) is None:
        raise RuntimeError(f"{path} is not answered with 200 or 201")


if __name__ == "__main__":
    print(run(*map(int, sys.argv[1:2])))
