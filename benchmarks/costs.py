"""What a decision by costs saves on rows that no training saw: `make bench ARGS=costs`.

Three tables that anybody can get, each divided in two by lot. A model is trained on one half by the core itself (with
its usual hold-out), a decision is set by its costs, and the other half is predicted with it and without.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from modelyard.bootstrap import build
from modelyard.ml_core.yard import Yard
from modelyard.schemas import Decision, PredictRequest, TrainRequest
from modelyard.settings import Settings

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
"""`adult.csv` is the UCI's Adult, `titanic.csv` Kaggle's training table; they stand beside a developer's checkout."""

MODEL_CLASSES = ("logistic_regression", "catboost_classifier")


@dataclass(frozen=True, slots=True)
class Case:
    """A table, its labels and what wrong answers cost: `missed` is a positive row taken for another."""

    name: str
    X: pl.DataFrame
    y: pl.Series
    positive: str
    missed: float
    alarm: float

    @property
    def costs(self) -> dict[str, dict[str, float]]:
        """The costs as a decision takes them."""
        (other,) = set(self.y.to_list()) - {self.positive}
        return {self.positive: {other: self.missed}, other: {self.positive: self.alarm}}


def cases() -> Iterator[Case]:
    """Yield the tables that are there."""
    from sklearn.datasets import load_breast_cancer

    cancer = load_breast_cancer()
    X = pl.DataFrame(cancer.data, schema=[str(name) for name in cancer.feature_names])
    yield Case("breast cancer", X, pl.Series(cancer.target_names[cancer.target].tolist()), "malignant", 20, 1)
    for name, target, positive, missed, left_out in (
        ("adult", "income", ">50K", 5, []),
        ("titanic", "survived", "0", 3, ["name", "ticket", "cabin"]),
    ):
        file = DATA / f"{name}.csv"
        if not file.exists():
            print(f"{file} is not there, and left out")
            continue
        table = pl.read_csv(file, null_values=["?", ""])
        yield Case(name, table.drop(target, *left_out), table[target].cast(pl.String), positive, missed, 1)


def run(yard: Yard, case: Case, key: str) -> str:
    """Train on one half, predict the other, and return a line of the table."""
    half = np.random.default_rng(0).permutation(len(case.y)) % 2 == 0
    fitted, unseen = case.X.filter(half), case.X.filter(~half)
    model = yard.train(TrainRequest(model_class_key=key, X=fitted, y=case.y.filter(half).to_list()))
    truth = case.y.filter(~half).to_list()

    def cost() -> Any:
        answers = yard.predict(PredictRequest(model_id=model.model_id, X=unseen)).predictions
        pairs = zip(truth, answers, strict=True)
        return np.array([case.costs[true].get(str(answer), 0.0) for true, answer in pairs])

    before = cost()
    decision = yard.set_decision(model.model_id, Decision(rule="costs", costs=case.costs)).decision
    after = cost()
    low, high = _interval(before, after)
    assert decision is not None
    return (
        f"| {case.name}, {len(truth):,} rows | {key} | {case.missed:g} : {case.alarm:g} | {decision.threshold:.3f} "
        f"| {before.mean():.3f} | {after.mean():.3f} "
        f"| {1 - after.mean() / before.mean():.0%} ({low:.0%} to {high:.0%}) |"
    )


def _interval(before: Any, after: Any) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    rows = rng.integers(len(before), size=(1000, len(before)))
    first, second = before[rows].mean(axis=1), after[rows].mean(axis=1)
    savings = 1 - second[first > 0] / first[first > 0]
    low, high = np.quantile(savings, [0.05, 0.95])
    return float(low), float(high)


def main() -> None:
    """Print the table."""
    head = "| table, rows unseen | model class | missed : false alarm | threshold | cost a row at 0.5 | by costs "
    lines = [head + "| saving (90 %) |", "| --- | --- | --- | ---: | ---: | ---: | ---: |"]
    with tempfile.TemporaryDirectory() as folder, build(Settings(storage_dir=Path(folder) / "yard")) as yard:
        lines += [run(yard, case, key) for case in cases() for key in MODEL_CLASSES]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
