"""What it costs to watch models: predictions with metrics, counts for drift and keys, beside a server without any.

All servers run at the same time on one folder and are driven in turn by `h2load`, each round in another order, so that
a noisy machine slows all alike. Every number is the median of the rounds, every ratio the median of the rounds' ratios.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from benchmarks import grpc_serving, rest_serving
from benchmarks.load import Load
from benchmarks.servers import Server, answers, serving
from benchmarks.serving_models import MODELS, asked, body, slug, train
from modelyard.bootstrap import build
from modelyard.monitoring.counts import ModelCounts
from modelyard.monitoring.watch import Reference, Watch
from modelyard.monitoring.watching import HOUR_S, Watching
from modelyard.schemas import KeyRequest, Prediction
from modelyard.settings import Settings
from modelyard.storage.folder import Folder
from modelyard.tables import ReadingOptions, Table, TrainingTable, read_training

RUNS = 5
SECONDS = 2
WARM_UP_S = 0.5
COUNTED_S = 1.5
"""After so long all that was answered is counted."""

MODEL = "LR"
MODELS_WATCHED, COLUMNS, DAYS = 100, 30, 90
Ask = Callable[..., Load]

_OUR_SERVER = "from modelyard.cli import main; main()"
_SILENT = """
from modelyard.cli import main
from modelyard.ml_core.yard import Yard

make = Yard.__init__

def make_silent(yard, *args, **kwargs):
    make(yard, *args, **kwargs)
    yard.calls.listeners.remove(yard._metrics.listen)
    yard.calls.take = lambda given: None

Yard.__init__ = make_silent
main()
"""
"""Ours, but for what counts calls and rows: no setting leaves that out."""


class Way(NamedTuple):
    """How a server is run."""

    program: str
    settings: dict[str, str]


WAYS = {
    "off": Way(_SILENT, {"MODELYARD_MONITORING": "false"}),
    "metrics": Way(_OUR_SERVER, {"MODELYARD_MONITORING": "false"}),
    "and drift": Way(_OUR_SERVER, {}),
    "and keys": Way(_OUR_SERVER, {"MODELYARD_AUTH": "keys"}),
}


class Measured(NamedTuple):
    """Requests a second, and the microseconds of CPU for one of them."""

    per_second: float
    cpu_us: float


def run(runs: int = RUNS, seconds: float = SECONDS) -> str:
    """Measure, and return the Markdown tables."""
    columns = [way if way == "off" else f"{way} | ratio" for way in WAYS] + [f"CPU µs {way}" for way in WAYS]
    lines = [f"| requests/s | {' | '.join(columns)} |", "| --- |" + " ---: |" * (3 * len(WAYS) - 1)]
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as name:
        folder = Path(name)
        train(folder, {MODEL: MODELS[MODEL]})
        for door, questions in _questions(folder).items():
            with _servers(folder, door) as servers:
                for what, ask in questions.items():
                    rounds = [_round(servers, ask, seconds, turn) for turn in range(runs)]
                    lines.append(_line(f"{door}, {what}", rounds))
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
    answered: list[Prediction] = [*["yes"] * 1000, *["no"] * 1000]
    tracemalloc.start()
    watching = Watching(kept)
    watches = []
    for model in range(MODELS_WATCHED):
        reference = Reference.from_bytes(content, table.contract)
        watches.append(Watch.of(f"0190a000-0000-7000-8000-{model:012}", f"m{model}", 1, table.contract, reference))
        watching.take((watches[-1], rows, answered, None, False))
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


def _questions(folder: Path) -> dict[str, dict[str, Ask]]:
    """Return what asks each door, with a predictor's key."""
    with build(Settings(storage_dir=folder / "yard")) as yard:
        shown = [f"authorization: Bearer {yard.create_key(KeyRequest(name='bench', role='predictor')).key}"]
    rows = [list(row) for row in asked(1).iter_rows()]
    by_grpc = grpc_serving.request_file(folder / "one.grpc", rows, slug(MODEL))
    doors: dict[str, Ask] = {
        "rest": partial(rest_serving.ask, question=body(folder, MODEL, 1), headers=shown),
        "grpc": partial(grpc_serving.drive_one, body=by_grpc, headers=shown),
    }
    questions: dict[str, dict[str, Ask]] = {
        door: {f"one row, {n} connection{'s' * (n > 1)}": partial(ask, connections=n) for n in (1, 16)}
        for door, ask in doors.items()
    }
    many = partial(rest_serving.ask, question=body(folder, MODEL, 10_000, "arrow"), headers=shown, connections=1)
    questions["rest"]["10,000 rows as Arrow"] = many
    return questions


@contextmanager
def _servers(folder: Path, door: str) -> Iterator[dict[str, Server]]:
    is_up = answers("/health/live") if door == "rest" else grpc_serving.is_up
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                serving(
                    partial(_command, way.program, door, folder / "yard"),
                    is_up,
                    log=folder / f"{door}-{name}.log",
                    environment=way.settings,
                )
            )
            for name, way in WAYS.items()
        }


def _command(program: str, door: str, storage: Path, port: int) -> list[str]:
    return [sys.executable, "-c", program, door, "--storage", str(storage), "--port", str(port)]


def _round(servers: dict[str, Server], ask: Ask, seconds: float, turn: int) -> dict[str, Measured]:
    """Measure all, each round beginning with another one: while a machine gets slower, the last would look worse."""
    names = list(servers)
    names = names[turn % len(names) :] + names[: turn % len(names)]
    return {name: _measure(servers[name], ask, seconds) for name in names}


def _measure(server: Server, ask: Ask, seconds: float) -> Measured:
    before = server.cpu_s()
    per_second = ask(server, seconds=seconds).per_second
    time.sleep(COUNTED_S)
    return Measured(per_second, (server.cpu_s() - before) / (per_second * (seconds + WARM_UP_S)) * 1e6)


def _line(what: str, rounds: list[dict[str, Measured]]) -> str:
    cells = []
    for way in WAYS:
        cells.append(f"{statistics.median(one[way].per_second for one in rounds):,.0f}")
        if way != "off":
            cells.append(f"{statistics.median(one[way].per_second / one['off'].per_second for one in rounds):.2f}")
    cells += [f"{statistics.median(one[way].cpu_us for one in rounds):,.1f}" for way in WAYS]
    return f"| {what} | {' | '.join(cells)} |"


if __name__ == "__main__":
    print(run(*map(int, sys.argv[1:])))
