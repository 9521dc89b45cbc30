"""How good the boosted model classes are with their defaults: LightGBM against CatBoost, on tables small and large.

Run as `python -m benchmarks.defaults [FOLDER]`, with a folder in which adult.csv, titanic.csv and penguins.csv may be.
Each table is split five times, three quarters to fit and one to judge by; a number is the mean of the five.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import polars as pl
from sklearn import datasets
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.model_selection import train_test_split

from modelyard.ml_core.tasks import TASKS
from modelyard.ml_core.training.orders import order_training
from modelyard.models_registry import model_class
from modelyard.models_registry.base import FitTask
from modelyard.schemas import TrainRequest
from modelyard.settings import DEFAULT_MISSING_MARKERS

SEEDS = range(5)
BAR = 1.01
DATA = Path(__file__).parents[2] / "shared" / "data"
_FILES = {"adult": "income", "titanic": "survived", "penguins": "species"}
_SHIPPED = ("breast_cancer", "wine", "iris", "digits", "diabetes")
_SEEDS_OF = {"catboost": "random_seed", "lightgbm": "random_state"}


def run(folder: Path = DATA) -> Iterator[str]:
    """Measure, and yield a table line by line."""
    yield "| table | rows | measure | CatBoost | LightGBM | LightGBM / CatBoost |"
    yield "| --- | ---: | --- | ---: | ---: | ---: |"
    for name, table in _tables(folder):
        task = "regression" if name == "diabetes" else "classification"
        kind = "regressor" if name == "diabetes" else "classifier"
        rows, catboost = _measure(table, f"catboost_{kind}")
        _, lightgbm = _measure(table, f"lightgbm_{kind}")
        ratio = lightgbm / catboost
        shown = f"{ratio:.3f}" if ratio <= BAR else f"**{ratio:.3f}**"
        measure = "rmse" if task == "regression" else "log loss"
        yield f"| {name} | {rows:,} | {measure} | {catboost:.4f} | {lightgbm:.4f} | {shown} |"


def _tables(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the fields of a request to train: of the files that are there, then of scikit-learn's own tables."""
    for name, target in _FILES.items():
        if (file := folder / f"{name}.csv").exists():
            yield name, {"X": file, "target": target}
    for name in _SHIPPED:
        loaded = getattr(datasets, f"load_{name}")(as_frame=True)
        yield name, {"X": pl.from_pandas(loaded.data), "y": loaded.target.tolist()}


def _measure(fields: dict[str, Any], key: str) -> tuple[int, float]:
    """Return how many rows a table has, and the mean loss of a model class on rows that it was not fitted to."""
    plan = order_training(TrainRequest(model_class_key=key, **fields), DEFAULT_MISSING_MARKERS).plan
    table, contract, chosen = plan.table, plan.table.contract, model_class(key)
    targets = TASKS[chosen.task].targets(table)
    losses = []
    for seed in SEEDS:
        stratify = table.codes if contract.classes else None
        fitted, judged = train_test_split(np.arange(len(targets)), test_size=0.25, random_state=seed, stratify=stratify)
        hyperparams = {**plan.hyperparams, _SEEDS_OF[chosen.libraries[0]]: seed}
        fit = chosen.fit(FitTask(table.frame[fitted], targets[fitted], contract, hyperparams))
        scores = chosen.predictor(fit.estimator, contract).many(table.frame[judged])
        truth = table.codes[judged]
        labels = range(len(contract.classes))
        loss = log_loss(truth, scores, labels=labels) if contract.classes else root_mean_squared_error(truth, scores)
        losses.append(float(loss))
    return len(targets), fmean(losses)


if __name__ == "__main__":
    for line in run(*map(Path, sys.argv[1:])):
        print(line, flush=True)
