"""Fitting logistic regression from codes: bit for bit what scikit-learn makes of the texts themselves."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.sparse import issparse
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from modelyard.models_registry import model_class
from modelyard.models_registry.base import FitTask
from modelyard.models_registry.hyperparams import check
from modelyard.models_registry.linear import pipeline
from modelyard.models_registry.linear.features import MANY_ROWS, fit_columns
from modelyard.storage.artifacts.estimators import pickled
from modelyard.tables import ReadingOptions, read_training
from modelyard.tables.contract import TrainingTable, as_text

N = MANY_ROWS + 7


def numbers(seed: int, missing: int = 11) -> list[float | None]:
    values: list[float | None] = np.random.default_rng(seed).normal(5, 2, N).tolist()
    values[::missing] = [None] * len(values[::missing])
    return values


def texts(seed: int, count: int) -> list[str | None]:
    random = np.random.default_rng(seed)
    return [None if code == 0 else f"ж{code}" for code in random.integers(0, count, N).tolist()]


TABLES: dict[str, dict[str, Any]] = {
    "sparse": {"a": numbers(0), "b": texts(1, 9), "c": numbers(2), "d": texts(3, 40)},
    "dense": {"a": numbers(0), "b": numbers(1), "c": texts(2, 2)},
    "categories alone": {"a": texts(0, 30), "b": texts(1, 3)},
    "numbers missing throughout": {"a": numbers(0), "b": texts(1, 9), "c": [1.0, *[None] * (N - 1)]},
    "an even number of numbers": {
        "a": [*numbers(3, missing=N)[: N - N % 2 - 1], *[None] * (N % 2 + 1)],
        "b": texts(1, 9),
    },
    "numbers alone": {"a": numbers(0), "b": numbers(1)},
    "zeros among the numbers": {
        "constant": [3.0] * N,
        "a": [0.0, 1.0, 2.0] * (N // 3) + [1.0] * (N % 3),
        "b": texts(1, 9),
    },
    "a text that begins with NUL": {"a": ["\x00x", "\x00missing", None] * (N // 3) + ["y"] * (N % 3), "b": texts(1, 9)},
    "nearly all texts differ": {"a": [f"{row}" for row in range(N)], "b": texts(1, 9), "c": numbers(2)},
}


def table(name: str, labels: tuple[Any, ...] = ("no", "yes")) -> TrainingTable:
    X = TABLES[name]
    types = {
        column: "categorical" if any(isinstance(cell, str) for cell in cells) else "numeric"
        for column, cells in X.items()
    }
    y = [labels[code] for code in np.random.default_rng(9).integers(0, len(labels), N).tolist()]
    return read_training(X, y, target=None, feature_types=types, feature_names=None, options=ReadingOptions(()))


def plain_columns(frame: pl.DataFrame) -> Any:
    kinds = {"numeric": [], "categorical": []}  # type: dict[str, list[str]]
    for column, dtype in frame.schema.items():
        kinds["numeric" if dtype == pl.Float64 else "categorical"].append(column)
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    steps = {
        "numeric": Pipeline([("imputer", imputer), ("scaler", StandardScaler())]),
        "categorical": OneHotEncoder(handle_unknown="ignore"),
    }
    return ColumnTransformer([(kind, steps[kind], names) for kind, names in kinds.items() if names])


def same(found: Any, expected: Any) -> bool:
    if not issparse(expected):
        return not issparse(found) and np.array_equal(found, expected)
    parts = ("indptr", "indices", "data")
    return found.format == "csr" and all(np.array_equal(getattr(found, at), getattr(expected, at)) for at in parts)


@pytest.mark.parametrize("rows", ["all", "a part that lacks categories", "few"])
@pytest.mark.parametrize("name", TABLES)
def test_features_and_fitted_columns_are_those_of_the_texts(name: str, rows: str) -> None:
    frame = table(name).frame
    if rows == "few":
        frame = frame.head(50)
    elif rows != "all":
        first = frame.filter(pl.any_horizontal(pl.col(pl.Enum) == "ж5")) if name == "sparse" else frame.head(MANY_ROWS)
        frame = pl.concat([first[1:21]] * (MANY_ROWS // 20 + 1))
    ours, plain = plain_columns(frame), plain_columns(frame)
    assert same(fit_columns(ours, frame), plain.fit_transform(as_text(frame)))
    assert pickled(ours) == pickled(plain)


@pytest.mark.parametrize("labels", [("no", "yes"), ("a", "b", "c"), (0, 1), (False, True), (-3, 4, 2**60)])
@pytest.mark.parametrize("given", [{}, {"solver": "saga", "max_iter": 3}, {"class_weight": "balanced"}])
def test_the_model_is_the_one_that_the_texts_themselves_give(labels: tuple[Any, ...], given: dict[str, Any]) -> None:
    checked = table("sparse", labels)
    classes = np.array(checked.contract.classes, dtype=object if isinstance(labels[0], str) else None)
    y = classes[checked.codes]
    chosen = model_class("logistic_regression")
    task = FitTask(checked.frame, y, checked.contract, check(chosen.hyperparams, given))
    ours = chosen.fit(task).estimator["classifier"]
    features = plain_columns(checked.frame).fit_transform(checked.text_frame)
    with pytest.warns(ConvergenceWarning) if "max_iter" in given else nullcontext():
        plain = LogisticRegression(**{"max_iter": 1000, "random_state": 0, **given}).fit(features, y)
    assert np.array_equal(ours.coef_, plain.coef_)
    assert np.array_equal(ours.intercept_, plain.intercept_)
    assert ours.classes_.tolist() == plain.classes_.tolist()
    assert ours.classes_.dtype == plain.classes_.dtype


@pytest.mark.parametrize(("many", "threads"), [(2**20, {1}), (100, {2})])
@pytest.mark.parametrize("key", ["logistic_regression", "linear_regression"])
def test_few_rows_are_fitted_by_one_thread_of_linear_algebra(
    key: str, many: int, threads: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    checked, chosen, seen = table("sparse"), model_class(key), []

    def fit_model(_: FitTask, __: Any) -> Any:
        seen.append({pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"})
        return LogisticRegression()

    monkeypatch.setattr(pipeline, "ROWS_FOR_THREADS", many)
    monkeypatch.setattr(chosen, "fit_model", fit_model, raising=True)
    with threadpool_limits(2, user_api="blas"):
        chosen.fit(FitTask(checked.frame, checked.codes, checked.contract, check(chosen.hyperparams, {})))
    assert seen == [threads]


def test_a_fit_does_not_look_for_the_libraries_of_linear_algebra(monkeypatch: pytest.MonkeyPatch) -> None:
    checked, chosen = table("sparse"), model_class("logistic_regression")
    task = FitTask(checked.frame, checked.codes, checked.contract, check(chosen.hyperparams, {}))
    chosen.fit(task)

    def look(_: ThreadpoolController) -> None:
        raise AssertionError

    monkeypatch.setattr(ThreadpoolController, "__init__", look)
    chosen.fit(task)
