"""What a training costs beyond its fit. What it takes from those who are served meanwhile is in `durations`.

Run as `python -m benchmarks.training [TABLE TARGET]`; without a table, on one of 32,000 rows that is made here.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.tables_made import SMALL, make_table
from modelyard.bootstrap import build
from modelyard.jobs import Finished, Jobs, Limits, NewJob, ProgressReporter
from modelyard.jobs.local import LocalOwners, LocalRunner
from modelyard.ml_core.tasks.classification import labels_of
from modelyard.ml_core.training.orders import order_training
from modelyard.ml_core.yard import Yard
from modelyard.models_registry.base import FitTask
from modelyard.schemas import Evaluation, TrainRequest
from modelyard.settings import DEFAULT_MISSING_MARKERS, Settings
from modelyard.storage import open_folder
from modelyard.tables.contract import Contract

RUNS = 5
LONG_S = 3.0
PAUSE_S = 0.3
_NONE = Evaluation(method="none")


def run(table: Path | None = None, target: str = "label") -> Iterator[str]:
    """Measure, and yield table after table."""
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as name:
        folder = Path(name)
        table = table or _made(folder)
        frame = pl.read_csv(table, null_values="?") if table.suffix == ".csv" else pl.read_parquet(table)
        yield _starts(folder)
        yield _overheads(folder, frame, target)


def nothing(folder: Path, _: ProgressReporter) -> Finished:
    """Be the run that only says when it began."""
    (folder.parent.parent / "began").write_text(repr(time.time()))
    raise SystemExit


def _starts(folder: Path) -> str:
    root = folder / "starts"
    storage = open_folder(root)
    limits = Limits()
    runner = LocalRunner(storage.runs, limits, target="benchmarks.training:nothing", preload=("sklearn.metrics",))
    jobs = Jobs(storage, runner, LocalOwners(storage.runs), limits)
    taken = []
    for _ in range(RUNS + 1):
        ordered = time.time()
        jobs.wait(jobs.order(NewJob("none"), lambda path: (path / "order").touch()).job_id)
        taken.append((float((root / "began").read_text()) - ordered) * 1000)
    jobs.close()
    storage.close()
    return _table("From the order to the run", "ms", {"median": statistics.median(taken[1:]), "first": taken[0]})


def _overheads(folder: Path, frame: pl.DataFrame, target: str) -> str:
    files = {f".{kind}": folder / f"table.{kind}" for kind in ("parquet", "arrow", "csv")}
    frame.write_parquet(files[".parquet"])
    frame.write_ipc(files[".arrow"], compression="uncompressed")
    frame.write_csv(files[".csv"])
    orders: dict[str, dict[str, Any]] = {"small table": SMALL}
    orders |= {f"{frame.height:,} rows as {kind[1:]}": {"X": path, "target": target} for kind, path in files.items()}
    lines = []
    settings = Settings(storage_dir=folder / "overheads", train_niceness=0)  # a fit in this process is not nicer either
    with build(settings) as yard:
        yard.train(TrainRequest(model_class_key="logistic_regression", **SMALL, evaluation=_NONE))
        for key in ("logistic_regression", "catboost_classifier"):
            for what, fields in orders.items():
                request = TrainRequest(model_class_key=key, **fields, evaluation=_NONE)
                pairs = _pairs(_bare_fit(request), lambda: yard.train(request))  # noqa: B023
                bare = statistics.median(pair[0] for pair in pairs)
                more = statistics.median(pair[1] - pair[0] for pair in pairs)
                lines.append(f"| {key}, {what} | {bare:.3f} | {more * 1000:.0f} | {more / bare:.1%} |\n")
        lines.append(_without_a_pause(yard))
    head = "| `train` against the bare fit | fit, s | more, ms | more |\n| --- | ---: | ---: | ---: |\n"
    return head + "".join(lines)


def _without_a_pause(yard: Yard) -> str:
    request = TrainRequest(model_class_key="logistic_regression", **SMALL, evaluation=_NONE)
    bare = statistics.median(_seconds(_bare_fit(request)) for _ in range(RUNS))
    more = statistics.median(_seconds(lambda: yard.train(request)) - bare for _ in range(4 * RUNS))
    return f"| logistic_regression, small table, one after another | {bare:.3f} | {more * 1000:.0f} | |\n"


def _pairs(bare_fit: Callable[[], object], train: Callable[[], object]) -> list[tuple[float, float]]:
    """Time both in turn: five times, or three if a fit takes long.

    A pause before each pair lets the spare process be ready, whose rehearsal would take a core from the bare fit.
    """
    pairs: list[tuple[float, float]] = []
    while len(pairs) < (RUNS if not pairs or pairs[0][0] < LONG_S else 3):
        time.sleep(PAUSE_S)
        pairs.append((_seconds(bare_fit), _seconds(train)))
    return pairs


def _bare_fit(request: TrainRequest) -> Callable[[], object]:
    """Return the fit as a user would write it in process: the library's own estimator on the checked table's texts."""
    plan = order_training(request, DEFAULT_MISSING_MARKERS).plan
    table, texts = plan.table, plan.table.text_frame
    labels = labels_of(table.codes, table.contract.classes)
    if plan.model_class.key == "logistic_regression":
        return lambda: _pipeline(table.contract).fit(texts, labels)
    task = FitTask(frame=texts, labels=labels, contract=table.contract, hyperparams=plan.hyperparams)
    return lambda: plan.model_class.fit(task)


def _pipeline(contract: Contract) -> Pipeline:
    numeric = [name for name, kind in contract.feature_types.items() if kind == "numeric"]
    categorical = list(contract.categorical)
    numbers = Pipeline(
        [("imputer", SimpleImputer(strategy="median", keep_empty_features=True)), ("scaler", StandardScaler())]
    )
    columns = [("numeric", numbers, numeric), ("categorical", OneHotEncoder(handle_unknown="ignore"), categorical)]
    return Pipeline([("columns", ColumnTransformer(columns)), ("classifier", LogisticRegression(max_iter=1000))])


def _made(folder: Path) -> Path:
    X, y = make_table()
    path = folder / "made.parquet"
    X.with_columns(y).write_parquet(path)
    return path


def _seconds(doing: Callable[[], object]) -> float:
    began = time.perf_counter()
    doing()
    return time.perf_counter() - began


def _table(title: str, unit: str, rows: dict[str, float]) -> str:
    lines = "".join(f"| {name} | {value:.1f} |\n" for name, value in rows.items())
    return f"| {title} | {unit} |\n| --- | ---: |\n{lines}"


if __name__ == "__main__":
    for part in run(*(Path(sys.argv[1]), *sys.argv[2:3]) if sys.argv[1:] else ()):
        print(part, flush=True)
