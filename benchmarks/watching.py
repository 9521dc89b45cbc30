"""What watching costs: predictions with counting for drift beside without, and the memory that it takes.

Both servers run at the same time on one folder and are driven in turn by `h2load`. Every number is the median of the
runs, every ratio the median of the runs' ratios. Totals (rows, missing cells, unknown categories) are counted by both.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import rest_serving
from benchmarks.servers import Server, our_server
from benchmarks.serving_models import MODELS, Body, body, train
from modelyard.monitoring.counts import ModelCounts
from modelyard.monitoring.watch import Reference, Watch
from modelyard.monitoring.watching import HOUR_S, Watching
from modelyard.schemas import Predictions
from modelyard.storage.folder import Folder
from modelyard.tables import ReadingOptions, Table, TrainingTable, read_training

RUNS = 5
WARM_UP_S = 0.5
COUNTED_S = 1.5
"""After so long all that was answered is counted."""

SECONDS = 2
MODEL = "LR"
TARGETS = {"one row": 0.92, "10,000 rows": 0.9}
MODELS_WATCHED, COLUMNS, DAYS = 100, 30, 90
TARGET_MIB = 50

WAYS = {"off": {"MODELYARD_MONITORING": "false"}, "on": {"MODELYARD_MONITORING": "true"}}


def run(runs: int = RUNS, seconds: float = SECONDS) -> str:
    """Measure, and return the Markdown tables."""
    lines = ["| requests/s | off | on | ratio | µs of CPU a request, off | on |", "| --- |" + " ---: |" * 5]
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as name:
        folder = Path(name)
        train(folder, {MODEL: MODELS[MODEL]})
        one, many = body(folder, MODEL, 1), body(folder, MODEL, 10_000, "arrow")
        with _servers(folder) as servers:
            for what, question, connections in (
                ("one row, 1 connection", one, 1),
                ("one row, 16 connections", one, 16),
                ("10,000 rows as Arrow", many, 1),
            ):
                rounds = [
                    {way: _ask(server, question, connections, seconds) for way, server in servers.items()}
                    for _ in range(runs)
                ]
                lines.append(_line(what, rounds))
        watching, reading = memory_mib(folder / "memory")
    what = f"{MODELS_WATCHED} models of {COLUMNS} columns"
    lines += ["", "| memory | MiB |", "| --- | ---: |", f"| watching {what} | {watching:.1f} |"]
    lines.append(f"| reading {DAYS} days of one of them, at its peak | {reading:.1f} |")
    return "\n".join(lines)


def memory_mib(folder: Path) -> tuple[float, float]:
    """Return the memory that it takes to watch many models, and to read all that is kept of one of them."""
    folder.mkdir()
    kept = Folder(folder).drift()
    table, rows = _table(1000), Table(_table(2000).frame)
    content = Reference.of(table, None).to_bytes()
    answered = Predictions(model_id="", predictions=["yes"] * 1000 + ["no"] * 1000, classes=["no", "yes"])
    tracemalloc.start()
    watching = Watching(kept)
    watches = []
    for model in range(MODELS_WATCHED):
        reference = Reference.from_bytes(content, table.contract)
        watches.append(Watch.of(f"0190a000-0000-7000-8000-{model:012}", f"m{model}", 1, table.contract, reference))
        watching.take((watches[-1], rows, answered))
        watching.count()
    watched = tracemalloc.get_traced_memory()[0]
    watching.close()
    now, first = int(datetime.now(UTC).timestamp()) // HOUR_S, watches[0].model_id
    counts = next(iter(kept.read(first, 0)))
    for hour in range(DAYS * 24):
        kept.keep(now - hour, "0" * 16, {first: counts})
        if hour % 24 == 0:
            kept.tidy(now + 1)
    tracemalloc.reset_peak()
    before, total = tracemalloc.get_traced_memory()[0], ModelCounts()
    for found in kept.read(first, 0):
        total.add(ModelCounts.from_json(found))
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return watched / 2**20, peak / 2**20


def _table(rows: int) -> TrainingTable:
    draw = np.random.default_rng(rows)
    cells = {f"number{n}": draw.normal(size=rows) for n in range(COLUMNS - 10)}
    texts = {f"text{n}": draw.choice([f"category {c}" for c in range(50)], rows).tolist() for n in range(10)}
    X = pl.DataFrame({**cells, **texts})
    return read_training(
        X, ["no", "yes"] * (rows // 2), target=None, feature_types=None, feature_names=None, options=ReadingOptions(())
    )


@contextmanager
def _servers(folder: Path) -> Iterator[dict[str, Server]]:
    with ExitStack() as stack:
        yield {
            way: stack.enter_context(our_server(folder / "yard", log=folder / f"{way}.log", environment=settings))
            for way, settings in WAYS.items()
        }


def _ask(server: Server, question: Body, connections: int, seconds: float) -> tuple[float, float]:
    """Return the requests a second, and the CPU that each took in µs, that of counting it included."""
    before = server.cpu_s()
    load = rest_serving.ask(server, question, connections, seconds)
    time.sleep(COUNTED_S)
    return load.per_second, (server.cpu_s() - before) / (load.per_second * (seconds + WARM_UP_S)) * 1e6


def _line(what: str, rounds: list[dict[str, tuple[float, float]]]) -> str:
    per_second, cpu = ([statistics.median(one[way][which] for one in rounds) for way in WAYS] for which in range(2))
    ratio = statistics.median(one["on"][0] / one["off"][0] for one in rounds)
    cells = [f"{per_second[0]:,.0f}", f"{per_second[1]:,.0f}", f"{ratio:.2f}", *(f"{one:,.1f}" for one in cpu)]
    return f"| {what} | {' | '.join(cells)} |"


if __name__ == "__main__":
    print(run(*map(int, sys.argv[1:])))
