"""What it costs to keep answers, and how long a million of them take to be judged.

One row over REST, kept and not kept, by the CPU of a request (which other work on the machine does not change) and by
requests a second. Then a million rows, each asked for alone over twelve weeks and with an outcome, judged by a process
of its own: its seconds, its CPU, and the memory that it takes beside one without answers.
"""

from __future__ import annotations

import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from benchmarks.load import drive, send
from benchmarks.servers import Server, answers, our_server
from benchmarks.serving_models import MODELS, asked, slug, train
from modelyard.bootstrap import build
from modelyard.schemas import Evaluation, TrainRequest
from modelyard.settings import Settings
from modelyard.storage import KeptAnswers, KeptOutcomes, folder
from modelyard.storage.series.folder import SeriesFolder

RUNS = 5
REQUESTS = 4_000
KEPT = 1_000_000
MODEL = "LR"


def run(runs: int = RUNS, requests: int = REQUESTS, kept: int = KEPT) -> str:
    """Measure, and return the Markdown tables."""
    return f"{_one_row(runs, requests)}\n\n{_many(kept)}"


def _one_row(runs: int, requests: int) -> str:
    lines = ["| one row | CPU of a request, \N{MICRO SIGN}s | kept | requests/s | kept |", "| --- |" + " ---: |" * 4]
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as name:
        place = Path(name)
        train(place, {MODEL: MODELS[MODEL]})
        rows = [list(row) for row in asked(1).iter_rows()]
        bodies = [place / "plain.json", place / "kept.json"]
        for body, more in zip(bodies, ({}, {"keep_answers": True}), strict=True):
            body.write_bytes(orjson.dumps({"model_id": slug(MODEL), "X": rows, **more}))
        with our_server(place / "yard", log=place / "log", door="rest", is_up=answers("/health/live")) as server:
            for connections in (1, 16):
                found = [[_measured(server, body, connections, requests) for body in bodies] for _ in range(runs)]
                cells = [[statistics.median(one[which][what] for one in found) for which in (0, 1)] for what in (0, 1)]
                shown = " | ".join(f"{value:,.0f}" for pair in cells for value in pair)
                lines.append(f"| {connections} connection{'s' * (connections > 1)} | {shown} |")
    return "\n".join(lines)


def _measured(server: Server, body: Path, connections: int, requests: int) -> tuple[float, float]:
    url, before = server.url("/predict"), server.cpu_s()
    send(url, body, connections=connections, requests=requests)
    cpu_us = (server.cpu_s() - before) / requests * 1e6
    return cpu_us, drive(url, body, connections=connections, seconds=1).per_second


def _many(kept: int) -> str:
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as name:
        few, many = Path(name) / "few", Path(name) / "many"
        _fill(few, 100)
        _fill(many, kept)
        (_, _, base), (seconds, cpu_s, memory) = map(_judged, (few, many))
    lines = [f"| {kept:,} kept rows, asked for alone | seconds | CPU s | memory, MB |", "| --- | ---: | ---: | ---: |"]
    return "\n".join([*lines, f"| `get_performance` | {seconds:.1f} | {cpu_s:.1f} | {memory - base:,.0f} |"])


def _fill(place: Path, kept: int) -> None:
    """Keep rows and their outcomes in a new yard, spread over twelve weeks."""
    now = datetime.now(UTC) - timedelta(weeks=12)
    clock = [now]
    folder.SeriesFolder = lambda path: SeriesFolder(path, lambda: clock[0])  # type: ignore[misc,assignment]
    chance = random.Random(0)
    X = [[float(i % 24), float(i % 5)] for i in range(400)]
    y = ["yes" if months < 8 else "no" for months, _ in X]
    order = TrainRequest(model_class_key="logistic_regression", X=X, y=y, name="churn", evaluation=Evaluation())
    with build(Settings(storage_dir=place)) as yard:
        model_id = yard.train(order).model_id
        outcomes = KeptOutcomes(datetime.now(UTC), [], [], [])
        for number in range(kept):
            clock[0] = now + timedelta(weeks=12) * (number / kept)
            score, prediction = chance.random(), f"{clock[0]:%Y%m%d}-{number:016x}"
            yard._kept.keep(model_id, KeptAnswers(prediction, 0, [[1 - score, score]], [int(score > 0.5)]))
            outcomes.predictions.append(prediction)
            outcomes.rows.append(0)
            outcomes.labels.append(float(chance.random() < score))
        yard._kept.add_outcomes("churn", kept, [(model_id, outcomes)])


def _judged(place: Path) -> tuple[float, float, float]:
    """Return the seconds, the CPU's seconds and the memory in MB of a process that asks for the performance."""
    command = [sys.executable, "-m", "benchmarks.outcomes", "judge", str(place)]
    seconds, cpu_s, memory = map(
        float, subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
    )
    return seconds, cpu_s, memory


def _judge(place: Path) -> None:
    with build(Settings(storage_dir=place)) as yard:
        began, cpu_s = time.perf_counter(), time.process_time()
        yard.get_performance("churn")
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(time.perf_counter() - began, time.process_time() - cpu_s, memory)


if __name__ == "__main__":
    if sys.argv[1:2] == ["judge"]:
        _judge(Path(sys.argv[2]))
    else:
        print(run(*map(int, sys.argv[1:])))
