"""Monotone columns: every model class that says so holds to them, and a model that does not is never kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from modelyard.errors import FailedPrecondition, InvalidRequest, InvalidTable
from modelyard.ml_core.training import trainings
from modelyard.ml_core.training.monotone import check_monotone
from modelyard.ml_core.training.orders import TrainingOrder, order_training
from modelyard.models_registry import BUILT_IN
from modelyard.models_registry.base import Fit, FitTask
from modelyard.models_registry.linear.linear_regression import LinearRegressionClass
from modelyard.schemas import Evaluation, TrainRequest

ABLE = {key: one for key, one in BUILT_IN.items() if one.takes_monotone}
QUICK = {"catboost": {"iterations": 60, "learning_rate": 0.3}, "lightgbm": {"n_estimators": 60, "learning_rate": 0.3}}
LABELS: dict[str, tuple[Any, Any]] = {
    "texts": ("no", "yes"),
    "texts whose order is not that of their numbers": ("10", "9"),
    "booleans": (False, True),
    "integers that are given to CatBoost as texts": (9_000_000_000, 10_000_000_000),
}


def wavy(n: int = 240) -> tuple[dict[str, list[Any]], npt.NDArray[np.float64]]:
    """Columns, and numbers that rise with "up" and fall with "down", but in waves."""
    random = np.random.default_rng(0)
    up, down = random.random(n), random.random(n)
    numbers = up - down + 0.5 * np.sin(20 * up) + 0.5 * np.sin(20 * down) + random.normal(scale=0.1, size=n)
    columns = {
        "up": [None if row % 17 == 0 else value for row, value in enumerate(up)],
        "job": ["clerk", "smith", None] * (n // 3),
        "down": [*down],
        "when": [f"2024-{1 + row % 12:02d}-01" for row in range(n)],
    }
    return columns, numbers


def order(key: str, labels: tuple[Any, Any] = ("no", "yes"), **fields: Any) -> TrainingOrder:
    columns, numbers = wavy()
    y = numbers.tolist() if BUILT_IN[key].task == "regression" else [labels[int(value > 0)] for value in numbers]
    hyperparams = QUICK.get(key.split("_", maxsplit=1)[0], {})
    defaults = {"X": columns, "y": y, "hyperparams": hyperparams, "evaluation": Evaluation(method="none")}
    return order_training(TrainRequest(model_class_key=key, **{**defaults, **fields}), ())


def steps(ordered: TrainingOrder, column: str) -> npt.NDArray[np.float64]:
    """Train, and return how the answers change from number to number of a column, over many rows."""
    plan = ordered.plan
    estimator = trainings.run_training(plan).estimator
    contract = plan.table.contract
    predictor = plan.model_class.predictor(estimator, contract.expanded)
    rows = contract.expand(plan.table.frame[::5])
    grid = [rows.with_columns(pl.lit(float(value)).alias(column)) for value in np.linspace(-0.1, 1.1, 150)]
    return np.diff([predictor.many(one)[:, -1] for one in grid], axis=0)


@pytest.mark.parametrize("key", ABLE)
@pytest.mark.parametrize("labels", LABELS)
def test_answers_only_rise_or_only_fall_by_a_monotone_column(key: str, labels: str) -> None:
    if BUILT_IN[key].task == "regression" and labels != "texts":
        return  # it has no labels: the same again
    free = order(key, LABELS[labels])
    assert (steps(free, "up") < -0.01).any(), "without a constraint it must fall somewhere, or nothing is tried"
    held = order(key, LABELS[labels], monotone={"up": 1, "down": -1})
    assert held.plan.monotone == {"up": 1, "down": -1}
    rising, falling = steps(held, "up"), steps(held, "down")
    assert rising.min() >= -1e-12
    assert rising.max() > 0
    assert falling.max() <= 1e-12
    assert falling.min() < 0


def test_the_check_finds_a_single_step_the_wrong_way() -> None:
    frame = pl.DataFrame({"up": np.linspace(0, 1, 50), "other": [1.0, None] * 25})

    class Answers:
        size_bytes = 0

        def __init__(self, dent: float) -> None:
            self._dent = dent

        def few(self, rows: Any) -> list[list[float]]:
            raise NotImplementedError

        def many(self, frame: pl.DataFrame) -> npt.NDArray[np.float64]:
            up = frame["up"].to_numpy()
            return np.stack([1 - up, np.where((up > 0.5) & (up < 0.53), up - self._dent, up)], axis=1)

    check_monotone(Answers(0.0), {"up": 1}, frame)
    check_monotone(Answers(0.0), {"other": -1}, frame)
    with pytest.raises(FailedPrecondition, match="its answer falls somewhere as 'up' rises, so it is not kept"):
        check_monotone(Answers(0.1), {"up": 1}, frame)
    with pytest.raises(FailedPrecondition, match="its answer rises somewhere as 'up' rises"):
        check_monotone(Answers(0.0), {"up": -1}, frame)


class Boastful(LinearRegressionClass):
    """Says that it holds to monotone columns, and passes over them."""

    takes_monotone = True

    def fit(self, task: FitTask) -> Fit:
        assert task.monotone == {"up": -1}
        return super().fit(task)


@pytest.mark.parametrize("method", ["none", "holdout", "cv"])
def test_a_training_whose_model_breaks_its_promise_fails(method: Any) -> None:
    plan = order("linear_regression", evaluation=Evaluation(method=method)).plan
    broken = replace(plan, model_class=Boastful(), monotone={"up": -1})
    with pytest.raises(FailedPrecondition, match="the fitted model does not hold to monotone"):
        trainings.run_training(broken)


def test_a_column_that_is_missing_throughout_a_part_is_no_fault() -> None:
    frame = pl.DataFrame({"up": [None, None]}, schema={"up": pl.Float64})
    check_monotone(BUILT_IN["linear_regression"].predictor, {"up": 1}, frame)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "able"),
    [
        ("logistic_regression", "model class 'catboost_classifier' or 'lightgbm_classifier'"),
        ("linear_regression", "model class 'catboost_regressor' or 'lightgbm_regressor'"),
    ],
)
def test_a_model_class_that_cannot_names_those_that_can(key: str, able: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        order(key, monotone={"up": 1})
    assert caught.value.errors[0].message == f"monotone is not heeded by model class {key!r}; take {able}"
    assert order(key, monotone={"up": 0}).plan.monotone == {}


def test_columns_that_cannot_be_monotone_are_refused_all_at_once() -> None:
    with pytest.raises(InvalidTable) as caught:
        order("catboost_regressor", monotone={"job": 1, "when": -1, "upp": 1, "": 0, "up": 1})
    assert [(error.loc, error.message) for error in caught.value.errors] == [
        (("monotone", "job"), "monotone: column 'job' must be numeric, and is categorical"),
        (("monotone", "when"), "monotone: column 'when' must be numeric, and is datetime"),
        (("monotone", "upp"), "monotone: column 'upp' is not among the features; did you mean 'up'?"),
        (
            ("monotone", ""),
            "monotone: column '' is not among the features; known are 'up', 'job', 'down', 'when'",
        ),
    ]


def test_more_than_two_classes_are_refused() -> None:
    y = ["abc"[row % 3] for row in range(240)]
    with pytest.raises(InvalidRequest, match="monotone needs two classes, because it is about the second"):
        order("lightgbm_classifier", y=y, monotone={"up": 1})


def test_two_orders_that_differ_in_monotone_are_two() -> None:
    plain, held = order("lightgbm_regressor"), order("lightgbm_regressor", monotone={"up": 1})
    assert plain.digest() != held.digest()
    assert plain.digest() == order("lightgbm_regressor", monotone={"up": 0}).digest()
    assert held.details()["monotone"] == {"up": 1}
