"""Explaining one row and 2,000 rows by each model class that can: the CPU that it takes, the table's reading included.

Run as `python -m benchmarks.explain`. The models are trained on a table of 8,000 rows that is made here; CatBoost has
200 trees of depth 6, LightGBM 200 of 15 leaves. CPU is a process's own whatever else the machine does; every number is
the median of the runs.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.serving_models import asked
from benchmarks.tables_made import NUMERIC, make_table
from modelyard.bootstrap import build
from modelyard.ml_core.yard import Yard
from modelyard.models_registry import keys_that_explain, model_class
from modelyard.schemas import Evaluation, ExplainRequest, TrainRequest
from modelyard.settings import Settings

ROWS = 2_000
RUNS = {1: 50, ROWS: 5}
TRAINED = 8_000
TREES = {"iterations": 200, "n_estimators": 200, "depth": 6, "num_leaves": 15}
"""How a class of trees is told to have 200 of them, by the names of the libraries."""


def run() -> str:
    """Measure, and return the Markdown table."""
    lines = ["| | one row, ms | 2,000 rows, ms | rows a second |", "| --- | ---: | ---: | ---: |"]
    X, labels = make_table(TRAINED)
    numbers = X[NUMERIC[2]] + np.random.default_rng(0).normal(size=X.height)
    with (
        tempfile.TemporaryDirectory(prefix="modelyard-bench-") as name,
        build(Settings(storage_dir=Path(name), train_niceness=0)) as yard,
    ):
        for key in keys_that_explain():
            y = numbers if model_class(key).task == "regression" else labels
            none = Evaluation(method="none")
            yard.train(TrainRequest(model_class_key=key, name=key, X=X, y=y, hyperparams=_trees(key), evaluation=none))
            one, many = (_cpu_s(yard, key, rows) for rows in (1, ROWS))
            lines.append(f"| {key} | {one * 1e3:.1f} | {many * 1e3:.0f} | {ROWS / many:,.0f} |")
    return "\n".join(lines) + "\n"


def _trees(key: str) -> dict[str, Any]:
    known = {declared.name for declared in model_class(key).hyperparams}
    return {name: value for name, value in TREES.items() if name in known}


def _cpu_s(yard: Yard, key: str, rows: int) -> float:
    """Return the seconds of CPU that an explanation takes: one row as a record, many as a DataFrame."""
    frame: pl.DataFrame = asked(rows)
    request = ExplainRequest(model_id=key, X=frame.to_dicts() if rows == 1 else frame)
    yard.explain(request)  # what is loaded at the first request, is loaded
    taken = []
    for _ in range(RUNS[rows]):
        began = time.process_time()
        yard.explain(request)
        taken.append(time.process_time() - began)
    return statistics.median(taken)


if __name__ == "__main__":
    print(run())
