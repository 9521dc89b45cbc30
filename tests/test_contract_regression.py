"""Regression behind every door: numbers in, numbers out, and words that name the model class to take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from modelyard import errors
from modelyard.grpc_server.client import GrpcClient
from modelyard.rest_api.client import RestClient
from modelyard.schemas import Evaluation, ModelMetadata, PredictRequest, RetrainRequest, TrainRequest, meaning
from modelyard.verbs import Verbs
from tests.test_contract import RECORDS, name, yard

__all__ = ["name", "yard"]

PRICES = [1e6 + 2.5 * row["age"] + 0.01 * row["income"] + (7 if row["job"] == "clerk" else 0) for row in RECORDS]
QUICK: dict[str, dict[str, Any]] = {
    "linear_regression": {},
    "catboost_regressor": {"iterations": 20},
    "lightgbm_regressor": {"n_estimators": 60, "learning_rate": 0.2},
}
METRICS = {"rmse", "mae", "r2", "median_absolute_error", "mape"}


def order(name: str | None = None, **fields: Any) -> TrainRequest:
    defaults: dict[str, Any] = {"model_class_key": "linear_regression", "X": RECORDS, "y": PRICES, "name": name}
    return TrainRequest(**{**defaults, "evaluation": Evaluation(method="none"), **fields})


@pytest.fixture
def model(yard: Verbs, name: str) -> ModelMetadata:
    return yard.train(order(name))


@pytest.mark.parametrize("key", QUICK)
def test_a_regression_has_its_metadata_and_report(yard: Verbs, name: str, key: str) -> None:
    wanted = order(name, model_class_key=key, hyperparams=QUICK[key], task="regression", evaluation=Evaluation())
    model = yard.train(wanted)
    assert (model.task, model.classes, model.n_rows) == ("regression", None, 60)
    assert {name for name in model.metrics if meaning(name).is_value} == {
        "train_rmse",
        *(f"validation_{metric}" for metric in METRICS),
    }
    assert "with validation rmse" in model.message
    assert yard.get_model(model.model_id).model_copy(update={"message": ""}) == model.model_copy(update={"message": ""})
    report = yard.get_report(model.model_id)
    assert report.metrics == model.metrics
    assert report.residuals is not None
    assert report.predicted_against_actual is not None
    assert (
        sum(report.residuals.counts) == len(report.predicted_against_actual.actual) == report.rows["validation"] == 12
    )
    assert set(report.predicted_against_actual.actual) <= set(PRICES)
    assert (report.confusion_matrix, report.roc_curves, report.per_class) == (None, None, None)
    assert (report.learning_curve is None) == (key == "linear_regression")
    assert report.feature_importances is not None


@pytest.mark.parametrize("key", QUICK)
def test_a_regression_predicts_numbers_by_rows_records_columns_and_frames_alike(
    yard: Verbs, name: str, key: str
) -> None:
    yard.train(order(name, model_class_key=key, hyperparams=QUICK[key]))
    head = RECORDS[:20]
    columns = {column: [row[column] for row in head] for column in head[0]}
    forms: list[Any] = [head, [list(row.values()) for row in head], columns, pl.DataFrame(head)]
    for X in forms:
        answer = yard.predict(PredictRequest(model_id=name, X=X, probabilities=True))
        assert (answer.classes, answer.probabilities) == (None, None)
        assert {type(value) for value in answer.predictions} == {float}
        assert answer.predictions == pytest.approx(PRICES[:20], rel=1e-5)
    (alone,) = yard.predict(PredictRequest(model_id=name, X=head[:1])).predictions
    many = yard.predict(PredictRequest(model_id=name, X=head * 500)).predictions
    assert len(many) == 10_000
    assert many[-20] == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json", "arrow"])
def test_a_file_trains_a_regression_like_its_rows(yard: Verbs, name: str, tmp_path: Path, suffix: str) -> None:
    by_rows = yard.train(order(name, evaluation=Evaluation()))
    path = tmp_path / f"table.{suffix}"
    frame = pl.DataFrame(RECORDS).with_columns(price=pl.Series(PRICES))
    writers: dict[str, Callable[[Path], object]] = {
        "csv": frame.write_csv,
        "parquet": frame.write_parquet,
        "json": frame.write_json,
        "arrow": frame.write_ipc,
    }
    writers[suffix](path)
    fields: dict[str, Any] = {"X": path, "y": None, "target": "price", "task": "regression"}
    by_file = yard.train(order(name, **fields, evaluation=Evaluation()))
    assert (by_file.metrics, by_file.target) == (by_rows.metrics, "price")
    first = yard.predict(PredictRequest(model_id=f"{name}:1", X=RECORDS))
    second = yard.predict(PredictRequest(model_id=f"{name}:2", X=path))
    assert first.predictions == second.predictions


def test_a_regression_that_is_retrained_stays_one(yard: Verbs, model: ModelMetadata) -> None:
    child = yard.retrain(RetrainRequest(model_id=model.model_id, X=RECORDS, y=[-price for price in PRICES]))
    assert (child.task, child.classes, child.model_class_key) == ("regression", None, "linear_regression")
    (found,) = yard.predict(PredictRequest(model_id=child.model_id, X=RECORDS[:1])).predictions
    assert found == pytest.approx(-PRICES[0], rel=1e-5)


def test_whole_numbers_are_numbers_too(yard: Verbs, name: str) -> None:
    model = yard.train(order(name, y=[row["age"] for row in RECORDS]))
    found = yard.predict(PredictRequest(model_id=model.model_id, X=RECORDS[:3])).predictions
    assert {type(value) for value in found} == {float}


def test_integers_beyond_64_bits_are_targets_too(yard: Verbs, name: str) -> None:
    y = [10**21 * (1 + row % 2) for row in range(20)]
    model = yard.train(order(name, X=[[float(row % 2)] for row in range(20)], y=y, hyperparams={"alpha": 0.0}))
    assert model.metrics["train_rmse"] == pytest.approx(0, abs=1e12)
    assert yard.predict(PredictRequest(model_id=name, X=[[0.0], [1.0]])).predictions == pytest.approx([1e21, 2e21])


def test_model_classes_say_their_task(yard: Verbs) -> None:
    tasks = {info.key: info.task for info in yard.list_model_classes()}
    assert tasks == {
        "logistic_regression": "classification",
        "catboost_classifier": "classification",
        "lightgbm_classifier": "classification",
        "linear_regression": "regression",
        "catboost_regressor": "regression",
        "lightgbm_regressor": "regression",
    }


def test_a_classifier_says_its_task(yard: Verbs, name: str) -> None:
    y = ["yes" if row["age"] > 40 else "no" for row in RECORDS]
    model = yard.train(
        order(name, model_class_key="logistic_regression", y=y, task="classification", evaluation=Evaluation())
    )
    assert (model.task, model.classes) == ("classification", ["no", "yes"])
    report = yard.get_report(name)
    assert (report.residuals, report.predicted_against_actual) == (None, None)


WRONG: dict[str, tuple[dict[str, Any], type[errors.ModelyardError], str]] = {
    "labels": (
        {"y": ["no", "yes"] * 30},
        errors.InvalidTable,
        (
            "y, row 0: must be a number; for labels take model class 'logistic_regression' or "
            "'catboost_classifier' or 'lightgbm_classifier', "
            "got 'no' (and at least 49 more errors)"
        ),
    ),
    "a missing number": ({"y": [None, *PRICES[1:]]}, errors.InvalidTable, "y, row 0: must not be missing, got null"),
    "equal numbers": (
        {"y": [1.5] * 60},
        errors.InvalidTable,
        "y must hold at least two different numbers, got only 1.5",
    ),
    "numbers for a classifier": (
        {"model_class_key": "catboost_classifier"},
        errors.InvalidTable,
        (
            "y, row 1: must be a whole number, text or a boolean; for other numbers take model class "
            "'linear_regression' or 'catboost_regressor' or 'lightgbm_regressor', got 1000062.505 "
            "(and at least 49 more errors)"
        ),
    ),
    "another task": (
        {"task": "classification"},
        errors.InvalidRequest,
        (
            "task 'classification' cannot be done by model class 'linear_regression', whose task is 'regression'; "
            "take model class 'logistic_regression' or 'catboost_classifier' or 'lightgbm_classifier'"
        ),
    ),
    "a classifier's hyperparam": (
        {"model_class_key": "catboost_regressor", "hyperparams": {"auto_class_weights": "Balanced"}},
        errors.InvalidHyperparams,
        "hyperparam 'auto_class_weights' is unknown",
    ),
    "early stopping without a validation": (
        {
            "model_class_key": "catboost_regressor",
            "hyperparams": {"early_stopping_rounds": 5},
            "evaluation": Evaluation(method="none"),
        },
        errors.InvalidHyperparams,
        "hyperparam 'early_stopping_rounds' must be null with evaluation method 'none', got 5",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_regression_is_refused_in_the_same_words_by_every_door(yard: Verbs, name: str, case: str) -> None:
    fields, kind, words = WRONG[case]
    with pytest.raises(kind) as caught:
        yard.train(order(name, **fields))
    assert type(caught.value) is kind
    assert caught.value.detail.startswith(words)


def test_a_task_of_no_such_name_is_refused_on_the_wire(yard: Verbs) -> None:
    """The requests of Python refuse it when they are made; a program of another language meets the servers."""
    words = "field 'task' must be 'classification' or 'regression', got 'clustering'"
    body = {"model_class_key": "linear_regression", "X": [[1.0], [2.0]], "y": [1.0, 2.0], "task": "clustering"}
    if isinstance(yard, RestClient):
        answer = yard._http.post("/train", json=body)
        assert (answer.status_code, answer.json()["detail"]) == (400, words)
    elif isinstance(yard, GrpcClient):
        request = order().model_copy(update={"task": "clustering"})
        with pytest.raises(errors.InvalidRequest, match=words):
            yard.train(request)
    else:
        with pytest.raises(ValueError, match="task"):
            TrainRequest(**body)
