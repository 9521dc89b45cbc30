"""A Ray cluster beside this host: what a training costs more, what a second node brings, how soon a loss is noticed.

Run as `make bench ARGS=cluster`, or `python -m benchmarks.cluster [TIMES TRIALS CUTS]`, as root. Three hosts are
namespaces of this machine's network: host 1 has the servers and the head, hosts 2 and 3 are nodes, each pinned to a
core of its own. So a second node brings a second core, but the servers need their share of both.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
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
from tests.cluster_jobs import Replica
from tests.ray_cluster import Machines, cluster_machines
from tests.waiting import wait_until

TIMES, TRIALS, CUTS = 15, 40, 3
SEEDS = (0, 1)
SIZES = {"200 rows": (200, 4), "5 MB": (60_000, 10), "50 MB": (300_000, 20)}
OVERHEAD_S, MB_PER_S, SPEEDUP, NOTICED_S = 0.150, 100.0, 1.7, 12.0


def run(times: int = TIMES, trials: int = TRIALS, cuts: int = CUTS) -> Iterator[str]:
    """Measure, and yield tables line by line; what misses a bar is bold."""
    cores = sorted(os.sched_getaffinity(0))
    with (
        cluster_machines({2: cores[0], 3: cores[-1]}) as machines,
        tempfile.TemporaryDirectory(prefix="modelyard-bench-") as name,
    ):
        folder = Path(name)
        servers = machines.new_yard()
        del servers["ray_address"]
        yards = {"folder": {}, "servers": servers, "Ray": _on_ray(machines)}
        yield "| a training, warm, s | in a folder | on PostgreSQL and S3 | on Ray | more | may |"
        yield "| --- | ---: | ---: | ---: | ---: | ---: |"
        for size, took in _inside(machines, folder, what="trainings", yards=yards, times=times).items():
            more, may = took["Ray"] - took["folder"], OVERHEAD_S + _megabytes(size) / MB_PER_S
            shown = " | ".join(f"{took[yard]:.3f}" for yard in yards)
            yield f"| {size} | {shown} | {_marked(f'{more:.3f}', more <= may)} | {may:.3f} |"

        search = {"what": "searches", "yards": {"Ray": _on_ray(machines)}, "trials": trials}
        two = _inside(machines, folder, **search)
        noticed = [_noticed_s(machines, folder / f"cut{n}", restart=n > 0) for n in range(cuts)]
        one = _inside(machines, folder, **search)
        yield "\n| | one node | two | times as fast | to reach |"
        yield "| --- | ---: | ---: | ---: | ---: |"
        speedup = sum(one) / sum(two)
        shown = _marked(f"{speedup:.2f}", speedup >= SPEEDUP)
        yield f"| {len(SEEDS)} searches of {trials} trials, s | {sum(one):.1f} | {sum(two):.1f} | {shown} | {SPEEDUP} |"
        shown = ", ".join(_marked(f"{seconds:.1f}", seconds <= NOTICED_S) for seconds in noticed)
        yield f"\nA node was cut off {cuts} times: its training was interrupted after {shown} s (may: {NOTICED_S:.0f})."


def _on_ray(machines: Machines) -> dict[str, str]:
    return {"runner": "ray", **machines.new_yard()}


def _megabytes(size: str) -> float:
    rows, columns = SIZES[size]
    return rows * columns * 8 / 1e6


def _marked(shown: str, is_met: bool) -> str:
    return shown if is_met else f"**{shown}**"


def _noticed_s(machines: Machines, folder: Path, *, restart: bool) -> float:
    """Cut node 3 off while each node has a run; return the seconds until a run is interrupted. The node stays away."""
    cluster = machines.cluster
    if restart:
        cluster.start(3)
    folder.mkdir()
    replica = Replica(cluster.network.host(1), folder / "replica", machines.new_yard())
    jobs = [replica.order(f"meet {folder}") for _ in range(2)]
    wait_until(lambda: all((folder / job_id).exists() for job_id in jobs))
    cluster.network.cut(3)
    began = time.monotonic()
    wait_until(lambda: any(replica.get(job_id).status == "interrupted" for job_id in jobs))
    took = time.monotonic() - began
    (folder / "go").touch()
    replica.close()
    cluster.kill(3)
    cluster.network.mend(3)
    return took


def _inside(machines: Machines, folder: Path, **said: object) -> Any:
    """Have a process on host 1 measure."""
    there = ["ip", "netns", "exec", machines.cluster.network.host(1), sys.executable, "-m", "benchmarks.cluster"]
    told = orjson.dumps({"folder": str(folder), **said}).decode()
    return orjson.loads(subprocess.run([*there, told], check=True, stdout=subprocess.PIPE).stdout)


def _measure(what: str, folder: str, yards: Mapping[str, Mapping[str, str]], **said: int) -> Any:
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
        cores = {}
        for name, where in yards.items():
            settings = Settings(storage_dir=root / name, train_niceness=0, **where)  # type: ignore[arg-type]
            cores[name] = stack.enter_context(build(settings))
            cores[name].serve()
        return _trainings(cores, root, **said) if what == "trainings" else _searches(*cores.values(), root, **said)


def _trainings(cores: Mapping[str, Yard], folder: Path, times: int) -> dict[str, dict[str, float]]:
    """Return the median seconds of trainings of each size on each core, in turn; their places are warm."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # a run of this host has one core as well as one of a node
    found = {}
    for size, (rows, columns) in SIZES.items():
        request = TrainRequest(
            model_class_key="catboost_classifier",
            X=_table(rows, columns, folder),
            target="y",
            hyperparams={"iterations": 2, "depth": 2},
            evaluation=Evaluation(method="none"),
        )
        took: dict[str, list[float]] = {name: [] for name in cores}
        for _ in range(1 + (times if rows < 1000 else max(1, times // 3))):
            for name, core in cores.items():
                began = time.perf_counter()
                core.train(request)
                took[name].append(time.perf_counter() - began)
                time.sleep(0.3)  # the process for the next run gets ready
        found[size] = {name: median(seconds[1:]) for name, seconds in took.items()}
    return found


def _searches(core: Yard, folder: Path, trials: int) -> list[float]:
    """Return how many seconds a search of each seed takes; the places of all nodes are warm."""
    table = _table(5_000, 10, folder)

    def search_s(trials: int, seed: int) -> float:
        began = time.perf_counter()
        core.search(SearchRequest(X=table, target="y", trials=trials, seed=seed, model_classes=["lightgbm_classifier"]))
        return time.perf_counter() - began

    search_s(4, SEEDS[0])
    return [search_s(trials, seed) for seed in SEEDS]


def _table(rows: int, columns: int, folder: Path) -> Path:
    random = np.random.default_rng(0)
    X = random.normal(size=(rows, columns))
    frame = pl.DataFrame(X, schema=[f"x{n}" for n in range(columns)])
    frame = frame.with_columns(y=pl.Series(np.where(X[:, 0] + random.normal(size=rows) > 0, "yes", "no")))
    path = folder / f"{rows}.parquet"
    frame.write_parquet(path)
    return path


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("{"):
        print(orjson.dumps(_measure(**orjson.loads(sys.argv[1]))).decode())
    else:
        for line in run(*map(int, sys.argv[1:])):
            print(line, flush=True)
