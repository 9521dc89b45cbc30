"""How good searches are beside other AutoML libraries, and what they cost.

Run as `make bench ARGS=search`, or `python -m benchmarks.search [TABLE ...] [--ours | --kept]`: on some of the tables,
without the peers, or beside what they have answered before. Of each table a quarter is held out by three seeds,
stratified; a number is the mean of the three. Peers have SECONDS on two cores, Modelyard searches with its defaults.
AUC is of two classes alone; regression is judged by the rmse over the target's deviation.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from subprocess import CalledProcessError, TimeoutExpired

import httpx
import numpy as np
import polars as pl
from sklearn import datasets
from sklearn.metrics import log_loss, roc_auc_score, root_mean_squared_error
from sklearn.model_selection import train_test_split

from benchmarks import search_peers
from benchmarks.search_peers import Found
from modelyard.bootstrap import build
from modelyard.schemas import PredictRequest, SearchRequest
from modelyard.settings import Settings
from tests import doors
from tests.processes import descendants

SECONDS, SEEDS, ROWS = 60.0, range(3), 5_000
AUC_BAR, LOSS_BAR, CPU_BAR, MB_BAR, MS_BAR = 0.003, 0.005, 30.0, 5.0, 2.0
DATA = Path(__file__).parents[2] / "shared" / "data"
_FILES = {"adult": "income", "titanic": "survived", "penguins": "species"}
_SHIPPED = ("breast_cancer", "wine", "digits", "diabetes")
KEPT = search_peers.CACHE / "search.jsonl"
"""What peers have answered, a line each: it takes them an hour, and does not change with us."""

_ASKED = 200
"""One-row predictions over REST, whose median is taken."""


@dataclass(frozen=True, slots=True)
class Judged:
    """How good one run was; `auc` is None but for two classes, `ms` is a row over REST, known of ours alone."""

    auc: float | None
    loss: float
    cpu_seconds: float
    megabytes: float
    ms: float | None = None


def run(tables: Sequence[str] = (), *, peers: str = "run") -> Iterator[str]:
    """Measure, and yield a table line by line; what misses a bar is bold.

    Peers are `run` if their answers are not kept; or only the `kept` answers are shown, or `none`.
    """
    yield "| table | rows | library | AUC | log loss or rmse | CPU s | MB | ms a row by REST |"
    yield "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |"
    for name, frame in _tables():
        if tables and name not in tables:
            continue
        of_each = {"Modelyard": [_ours(frame, _task(name), seed) for seed in SEEDS]}
        for library in search_peers.LIBRARIES if peers != "none" else ():
            try:
                of_each[library.name] = [_theirs(library, name, frame, seed, may_run=peers == "run") for seed in SEEDS]
            except (CalledProcessError, TimeoutExpired, LookupError) as error:
                yield f"| {name} | {frame.height:,} | {library.name} | failed: {type(error).__name__} | | | | |"
        means = {library: _mean(found) for library, found in of_each.items()}
        for library, found in means.items():
            cells = _shown(found, list(means.values()), is_ours=library == "Modelyard")
            yield f"| {name} | {frame.height:,} | {library} | {cells} |"


def _task(table: str) -> str:
    return "regression" if table == "diabetes" else "classification"


def _tables() -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the tables with their targets as the column `target`, at most ROWS rows of each."""
    for name, target in _FILES.items():
        if (file := DATA / f"{name}.csv").exists():
            frame = pl.read_csv(file, null_values=["?", "NA", ""]).rename({target: "target"})
            yield name, frame.sample(min(ROWS, frame.height), seed=0).drop_nulls("target")
    for name in _SHIPPED:
        loaded = getattr(datasets, f"load_{name}")(as_frame=True)
        yield name, pl.from_pandas(loaded.data).with_columns(target=pl.Series(loaded.target.to_numpy()))


def _split(frame: pl.DataFrame, task: str, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    stratify = None if task == "regression" else frame["target"].to_numpy()
    fitted, judged = train_test_split(np.arange(frame.height), test_size=0.25, random_state=seed, stratify=stratify)
    return frame[fitted], frame[judged]


def _ours(frame: pl.DataFrame, task: str, seed: int) -> Judged:
    """Search on a core of our own; one row is asked for over REST."""
    fitted, judged = _split(frame, task, seed)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
        yard = opened.enter_context(build(Settings(storage_dir=Path(folder) / "yard", train_workers=2)))
        request = SearchRequest(X=fitted, target="target", name="searched", seed=seed, task=task)
        before = _cpu_seconds()
        model = yard.search(request)
        spent = _cpu_seconds() - before
        asked = PredictRequest(model_id="searched", X=judged.drop("target"), probabilities=True)
        answer = yard.predict(asked)
        scores = np.array(answer.probabilities or [[value] for value in answer.predictions], dtype=float)
        url = opened.enter_context(doors.rest_thread(Path(folder) / "yard"))
        ms = _ms_a_row(url, judged.drop("target").head(1).to_dicts())
    return _judge(Found(scores, spent, model.artifact.bytes), fitted, judged, task, ms)


def _theirs(library: search_peers.Library, table: str, frame: pl.DataFrame, seed: int, *, may_run: bool) -> Judged:
    """Return what a peer has answered, now or before. Raises LookupError if that is not kept and it may not run."""
    asked = {"library": library.requirements[0], "table": table, "seed": seed, "seconds": SECONDS}
    for line in KEPT.read_text().splitlines() if KEPT.exists() else ():
        kept = json.loads(line)
        if kept["asked"] == asked:
            return Judged(**kept["judged"])
    if not may_run:
        raise LookupError(asked)
    search_peers.install(library)
    task, (fitted, judged) = _task(table), _split(frame, _task(table), seed)
    found = search_peers.run(library, fitted, judged, task=task, seconds=SECONDS, seed=seed)
    answer = _judge(found, fitted, judged, task)
    with KEPT.open("a") as file:
        file.write(json.dumps({"asked": asked, "judged": asdict(answer)}) + "\n")
    return answer


def _judge(found: Found, fitted: pl.DataFrame, judged: pl.DataFrame, task: str, ms: float | None = None) -> Judged:
    truth, auc = judged["target"].to_numpy(), None
    if task == "regression":
        loss = root_mean_squared_error(truth, found.scores[:, 0]) / fitted["target"].std()
    else:
        labels = fitted["target"].unique().sort().to_list()
        loss = log_loss(truth, found.scores / found.scores.sum(axis=1, keepdims=True), labels=labels)
        auc = roc_auc_score(truth == labels[1], found.scores[:, 1]) if len(labels) == 2 else None
    return Judged(auc, float(loss), found.cpu_seconds, found.model_bytes / 1e6, ms)


def _cpu_seconds() -> float:
    """Return what this process and all that it has started have used, those that have ended, too."""
    ticks = 0
    for pid in descendants(os.getpid()):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))
    return time.process_time() + ticks / 100


def _ms_a_row(url: str, row: list[dict[str, object]]) -> float:
    body = {"model_id": "searched", "X": row, "probabilities": True}
    with httpx.Client(base_url=url) as http:
        times = []
        for _ in range(_ASKED):
            began = time.perf_counter()
            http.post("/predict", json=body).raise_for_status()
            times.append(1000 * (time.perf_counter() - began))
    return median(times)


def _mean(found: Sequence[Judged]) -> Judged:
    aucs = [one.auc for one in found if one.auc is not None]
    times = [one.ms for one in found if one.ms is not None]
    return Judged(
        fmean(aucs) if aucs else None,
        fmean(one.loss for one in found),
        fmean(one.cpu_seconds for one in found),
        fmean(one.megabytes for one in found),
        fmean(times) if times else None,
    )


def _shown(found: Judged, others: Sequence[Judged], *, is_ours: bool) -> str:
    best_auc = max((one.auc for one in others if one.auc is not None), default=None)
    behind = 0.0 if best_auc is None or found.auc is None else best_auc - found.auc
    cells = [
        ("" if found.auc is None else f"{found.auc:.4f}", behind > AUC_BAR),
        (f"{found.loss:.4f}", found.loss - min(one.loss for one in others) > LOSS_BAR),
        (f"{found.cpu_seconds:.1f}", found.cpu_seconds > CPU_BAR),
        (f"{found.megabytes:.2f}", found.megabytes > MB_BAR),
        ("" if found.ms is None else f"{found.ms:.2f}", (found.ms or 0.0) > MS_BAR),
    ]
    return " | ".join(f"**{text}**" if missed and is_ours else text for text, missed in cells)


if __name__ == "__main__":
    chosen = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    peers = "none" if "--ours" in sys.argv else "kept" if "--kept" in sys.argv else "run"
    for line in run(chosen, peers=peers):
        print(line, flush=True)
