"""Trainings and searches on a Ray cluster beside this host: what a training costs more, and what a second node brings.

Three hosts are network namespaces of this machine, so a second node brings no second machine's cores: both share what
there is. As root alone.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import orjson
import polars as pl

from modelyard.bootstrap import build
from modelyard.ml_core.yard import Yard
from modelyard.schemas import Evaluation, SearchRequest, TrainRequest
from modelyard.settings import Settings
from tests.ray_cluster import cluster_machines

TIMES, TRIALS = 15, 40
SIZES = {"200 rows": (200, 4), "5 MB": (60_000, 10), "50 MB": (300_000, 20)}
OVERHEAD_S, MB_PER_S = 0.150, 100.0


def run() -> Iterator[str]:
    """Measure, and yield a table line by line; what misses a bar is bold."""
    with cluster_machines() as machines, tempfile.TemporaryDirectory(prefix="modelyard-bench-") as folder:
        host = machines.cluster.network.host(1)

        def inside(what: str, **yard: str) -> Any:
            said = orjson.dumps({"what": what, "folder": folder, "yard": yard}).decode()
            command = ["ip", "netns", "exec", host, sys.executable, "-m", "benchmarks.cluster", said]
            return orjson.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)

        where = machines.new_yard()
        local = {name: value for name, value in where.items() if name != "ray_address"}
        yield "| a training, warm, s | this host | Ray | more | may |"
        yield "| --- | ---: | ---: | ---: | ---: |"
        here, there = inside("trainings", **local), inside("trainings", runner="ray", **where)
        for name, (rows, columns) in SIZES.items():
            more, may = there[name] - here[name], OVERHEAD_S + rows * columns * 8 / 1e6 / MB_PER_S
            shown = f"{more:.3f}" if more <= may else f"**{more:.3f}**"
            yield f"| {name} | {here[name]:.3f} | {there[name]:.3f} | {shown} | {may:.3f} |"
        yield ""
        two = inside("search", runner="ray", **where)
        machines.cluster.kill(3)
        one = inside("search", runner="ray", **where)
        yield f"A search of {TRIALS} trials took {one:.1f} s on one node and {two:.1f} s on two: {one / two:.2f} times."


def _inside(what: str, folder: str, yard: dict[str, str]) -> Any:
    with ExitStack() as stack:
        root = stack.enter_context(tempfile.TemporaryDirectory(dir=folder))
        core = stack.enter_context(build(Settings(storage_dir=Path(root), train_niceness=0, **yard)))  # type: ignore[arg-type]
        core.serve()
        return _trainings(core, Path(root)) if what == "trainings" else _search(core, Path(root))


def _trainings(core: Yard, folder: Path) -> dict[str, float]:
    return {
        name: _training_s(core, _table(*size, folder), TIMES if size[0] < 1000 else 5) for name, size in SIZES.items()
    }


def _training_s(core: Yard, table: Path, times: int) -> float:
    """Return the median seconds of a training, whose places are warm."""
    request = TrainRequest(
        model_class_key="catboost_classifier",
        X=table,
        target="y",
        hyperparams={"iterations": 2, "depth": 2},
        evaluation=Evaluation(method="none"),
    )
    took = []
    for _ in range(times):
        began = time.perf_counter()
        core.train(request)
        took.append(time.perf_counter() - began)
        time.sleep(0.3)  # the spare gets ready
    return median(took[1:])


def _search(core: Yard, folder: Path) -> float:
    table = _table(5_000, 10, folder)
    core.train(TrainRequest(model_class_key="logistic_regression", X=table, target="y"))  # a place is warm then
    began = time.perf_counter()
    core.search(SearchRequest(X=table, target="y", trials=TRIALS, model_classes=["lightgbm_classifier"]))
    return time.perf_counter() - began


def _table(rows: int, columns: int, folder: Path) -> Path:
    random = np.random.default_rng(0)
    X = random.normal(size=(rows, columns))
    frame = pl.DataFrame(X, schema=[f"x{n}" for n in range(columns)])
    frame = frame.with_columns(y=pl.Series(np.where(X[:, 0] + random.normal(size=rows) > 0, "yes", "no")))
    path = folder / f"{rows}.parquet"
    frame.write_parquet(path)
    return path


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(orjson.dumps(_inside(**orjson.loads(sys.argv[1]))).decode())
    else:
        for line in run():
            print(line, flush=True)
