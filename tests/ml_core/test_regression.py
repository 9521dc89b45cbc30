"""Regression: which numbers it takes, how it splits and judges them, and what it says of targets that are labels."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn import metrics
from sklearn.model_selection import train_test_split

from modelyard.errors import InvalidRequest, InvalidTable
from modelyard.ml_core.tasks import TASKS
from modelyard.ml_core.tasks.regression.metrics import metrics_of, rmse
from modelyard.ml_core.tasks.regression.residuals import MAX_POINTS, actual_and_predicted, residuals
from modelyard.ml_core.tasks.regression.splits import split_rows
from modelyard.ml_core.training.orders import order_training
from modelyard.ml_core.training.plan import Trained
from modelyard.ml_core.training.trainings import run_training
from modelyard.schemas import Evaluation, TrainRequest, meaning, parse
from modelyard.tables.contract import TrainingTable

TO_LABELS = "take model class 'logistic_regression' or 'catboost_classifier' or 'lightgbm_classifier'"
TO_NUMBERS = "take model class 'linear_regression' or 'catboost_regressor' or 'lightgbm_regressor'"
N = 40
X: dict[str, list[Any]] = {
    "age": [float(row % 20) for row in range(N)],
    "job": [["clerk", "smith"][row % 2] for row in range(N)],
}
PRICES = [1000.0 + 3 * age + 5 * (job == "clerk") for age, job in zip(X["age"], X["job"], strict=True)]


def read(y: Any, key: str = "linear_regression", **fields: Any) -> TrainingTable:
    rows = len(y) if hasattr(y, "__len__") else N
    table = {name: (cells * (rows // N + 1))[:rows] for name, cells in X.items()}
    return order_training(TrainRequest(model_class_key=key, X=table, y=y, **fields), ("", "NA")).plan.table


def read_csv(folder: Path, text: str, **fields: Any) -> TrainingTable:
    path = folder / "table.csv"
    path.write_text(text)
    request = TrainRequest(model_class_key="linear_regression", X=path, target="price", **fields)
    return order_training(request, ("", "NA")).plan.table


def train(y: Any = PRICES, key: str = "linear_regression", **fields: Any) -> Trained:
    return run_training(order_training(TrainRequest(model_class_key=key, X=X, y=y, **fields), ()).plan)


@pytest.mark.parametrize(
    "y",
    [
        PRICES,
        tuple(PRICES),
        np.array(PRICES),
        pl.Series(PRICES),
        pl.Series(PRICES, dtype=pl.Float32),
        [Decimal(str(price)) for price in PRICES],
        [int(price) for price in PRICES],
        pl.Series([int(price) for price in PRICES]),
    ],
)
def test_any_column_of_finite_numbers_is_a_target(y: Any) -> None:
    table = read(y)
    assert table.codes.tolist() == PRICES
    assert table.contract.classes == ()
    assert table.warnings == ()


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("high", f"must be a number; for labels {TO_LABELS}, got 'high'"),
        ("12.5", f"must be a number; for labels {TO_LABELS}, got '12.5'"),
        (True, f"must be a number; for labels {TO_LABELS}, got true"),
        (None, "must not be missing, got null"),
        (float("nan"), "must not be missing, got nan"),
        ("NA", "must not be missing, got 'NA'"),
        (float("inf"), "must be a finite number, at most about 1.8e308, got inf"),
        (1e200, "must be a number between -1e+150 and 1e+150, got 1e+200"),
        ([1.0], "must be a number, got [1.0]"),
    ],
)
def test_a_target_that_is_no_number_is_refused_by_row(cell: Any, problem: str) -> None:
    with pytest.raises(InvalidTable) as caught:
        read([*PRICES[:3], cell, *PRICES[4:]])
    assert caught.value.detail == f"y, row 3: {problem}"
    assert [error.loc for error in caught.value.errors] == [("y", 3)]


def test_all_wrong_rows_are_named_up_to_50() -> None:
    with pytest.raises(InvalidTable) as caught:
        read(["a", *PRICES, "b"] * 40)
    assert len(caught.value.errors) == 50


def test_equal_numbers_are_refused() -> None:
    with pytest.raises(InvalidTable, match=r"y must hold at least two different numbers, got only 7\.0"):
        read([7] * N)


def test_a_csv_is_read_as_its_other_columns_are_written(tmp_path: Path) -> None:
    """Alone, 1.234 would be a little more than one: only the other column shows that the point groups thousands."""
    rows = [f"{row},5;1.{row + 100}" for row in range(20)]
    table = read_csv(tmp_path, "\n".join(["size;price", *rows]))
    assert table.codes.tolist() == [1100.0 + row for row in range(20)]
    told = [warning.message for warning in table.warnings if warning.code == "numbers_read_as"]
    assert told == [
        "column 'price' was read as numbers in another spelling, 1.500 as 1500; predictions read it so, too"
    ]
    plain = read_csv(tmp_path, "\n".join(["size,price", *(f"{row},{row}.5" for row in range(20))]))
    assert plain.codes.tolist() == [row + 0.5 for row in range(20)]
    said = read_csv(tmp_path, "\n".join(["size;price", *(f"{row};1,{row + 100}" for row in range(20))]), decimal=",")
    assert said.codes.tolist() == pytest.approx([1 + (row + 100) / 1000 for row in range(20)])


def test_a_target_shows_how_the_numbers_beside_it_are_written(tmp_path: Path) -> None:
    table = read_csv(tmp_path, "\n".join(["size;price", *(f"1.{row + 100};{row},5" for row in range(20))]))
    assert table.frame["size"].to_list() == [1100.0 + row for row in range(20)]
    assert table.codes.tolist() == [row + 0.5 for row in range(20)]


def test_a_column_declared_categorical_shows_nothing_of_how_the_target_is_written(tmp_path: Path) -> None:
    text = "\n".join(["size;price", *(f"{row},5;1.{row + 100}" for row in range(20))])
    table = read_csv(tmp_path, text, feature_types={"size": "categorical"})
    assert table.codes.tolist() == [float(f"1.{row + 100}") for row in range(20)]


def test_a_column_may_be_called_as_messages_call_the_target(tmp_path: Path) -> None:
    table = read_csv(tmp_path, "\n".join(["target 'price';price", *(f"{row};{row},5" for row in range(20))]))
    assert table.frame["target 'price'"].to_list() == [float(row) for row in range(20)]


@pytest.mark.parametrize(
    ("y", "shown"),
    [
        (pl.Series([10**18, *range(39)]).cast(pl.Datetime("us")), "'1000000000000000000 us since 1970'"),
        (pl.Series([[row] for row in range(N)]), "[0] (and 39 more errors)"),
        (pl.Series(range(N)).cast(pl.Duration("us")), "datetime.timedelta(0) (and 39 more errors)"),
    ],
)
def test_a_series_of_no_numbers_is_refused_by_row(y: pl.Series, shown: str) -> None:
    with pytest.raises(InvalidTable) as caught:
        read(y)
    assert caught.value.detail.startswith("y, row 0: must be ")
    assert caught.value.detail.endswith(f"got {shown}")
    assert caught.value.errors[0].loc == ("y", 0)
    frame = pl.DataFrame(X).with_columns(y.alias("price"))
    with pytest.raises(InvalidTable) as in_column:
        order_training(TrainRequest(model_class_key="linear_regression", X=frame, target="price"), ())
    assert in_column.value.detail == caught.value.detail.replace("y", "target 'price'", 1)


def test_wrong_cells_of_a_csv_are_named(tmp_path: Path) -> None:
    rows = [f"{row},{row}.5" for row in range(20)]
    with pytest.raises(InvalidTable, match="target 'price', row 20: must be a number; for labels take model class"):
        read_csv(tmp_path, "\n".join(["size,price", *rows, "7,cheap"]))
    with pytest.raises(InvalidTable, match="target 'price', row 20: must not be missing"):
        read_csv(tmp_path, "\n".join(["size,price", *rows, "7,NA"]))


@pytest.mark.parametrize(("labels", "warned"), [([0, 1], True), ([0, 1, 2, 3], True), ([0.5, 1.5], False)])
def test_a_few_whole_numbers_look_like_labels(labels: list[float], warned: bool) -> None:
    warnings = read([labels[row % len(labels)] for row in range(N)]).warnings
    assert [warning.code for warning in warnings] == ["numbers_like_labels"] * warned
    if warned:
        assert warnings[0].message == (
            f"y has only {len(labels)} different whole numbers, like labels; if they are labels, {TO_LABELS}"
        )


def test_many_whole_numbers_look_like_no_labels() -> None:
    assert [warning.code for warning in read([row % 5 for row in range(N)]).warnings] == []
    (warning,) = read([row % 21 for row in range(200)], "logistic_regression").warnings
    assert (warning.code, warning.count) == ("labels_like_numbers", 21)
    assert warning.message == (
        f"y has 21 different numbers, each of which is a class of its own; if they are a quantity, {TO_NUMBERS}"
    )
    assert read([row % 20 for row in range(200)], "logistic_regression").warnings == ()
    assert read([f"city {row % 30}" for row in range(200)], "logistic_regression").warnings == ()


def test_a_classifier_names_the_model_classes_for_numbers() -> None:
    with pytest.raises(InvalidTable) as caught:
        read([*PRICES[:3], 0.5, *PRICES[4:]], "catboost_classifier")
    assert caught.value.detail == (
        f"y, row 3: must be a whole number, text or a boolean; for other numbers {TO_NUMBERS}, got 0.5"
    )
    with pytest.raises(InvalidTable, match=f"; or, if it is a quantity, {TO_NUMBERS}$"):
        read(list(range(200)), "catboost_classifier")
    with pytest.raises(InvalidTable, match=r"a column of few labels that repeat$"):
        read([f"text {row}" for row in range(200)], "catboost_classifier")


def test_a_task_that_the_model_class_does_not_have_is_refused() -> None:
    assert read(PRICES, task="regression").codes.tolist() == PRICES
    with pytest.raises(InvalidRequest) as caught:
        read(PRICES, task="classification")
    assert caught.value.detail == (
        "task 'classification' cannot be done by model class 'linear_regression', whose task is 'regression'; "
        f"{TO_LABELS}"
    )
    assert [(error.loc, error.value) for error in caught.value.errors] == [(("task",), "classification")]


def test_orders_that_differ_in_the_target_alone_have_digests_of_their_own() -> None:
    request = TrainRequest(model_class_key="linear_regression", X=X, y=PRICES)
    other = request.model_copy(update={"y": [*PRICES[:-1], 1.0]})
    digests = [order_training(one, ()).digest() for one in (request, request, other)]
    assert digests[0] == digests[1] != digests[2]
    assert order_training(request, ()).fingerprint() != order_training(other, ()).fingerprint()


@pytest.mark.parametrize("n", [2, 3, 10, 101])
def test_a_hold_out_has_rows_on_either_side(n: int) -> None:
    for fraction in (0.01, 0.2, 0.9):
        splits = split_rows(Evaluation(fraction=fraction), n)
        (part,) = splits.parts
        assert sorted([*part.train, *part.validation]) == list(range(n))
        assert len(part.validation) == min(int(np.ceil(fraction * n)), n - 1)
        _, held_out = train_test_split(range(n), test_size=len(part.validation), random_state=0)
        assert part.validation.tolist() == sorted(held_out)
        assert [len(splits.warnings)] == [int(np.ceil(fraction * n) == n)]
        for rows in (part.train, part.validation):
            assert rows.tolist() == sorted(rows)
        again = split_rows(Evaluation(fraction=fraction), n).parts[0].validation
        assert again.tolist() == part.validation.tolist()
    if n > 10:
        other = split_rows(Evaluation(fraction=0.2, seed=1), n).parts[0].validation
        assert other.tolist() != split_rows(Evaluation(fraction=0.2), n).parts[0].validation.tolist()


@pytest.mark.parametrize("n", [2, 4, 50])
def test_folds_hold_each_row_out_once(n: int) -> None:
    splits = split_rows(Evaluation(method="cv", folds=5), n)
    held_out = [row for part in splits.parts for row in part.validation.tolist()]
    assert sorted(held_out) == list(range(n))
    assert len(splits.parts) == splits.evaluation.folds == min(5, n)
    assert [warning.message for warning in splits.warnings] == (
        [] if n >= 5 else [f"5 folds need as many rows, but there are {n}; there are {n} folds instead"]
    )


def test_metrics_are_what_they_say() -> None:
    truth, scores = np.array([1.0, 2.0, 4.0, 5.0]), np.array([[1.5], [2.0], [3.0], [5.0]])
    assert rmse(truth, scores) == pytest.approx(np.sqrt(1.25 / 4))
    assert metrics_of(truth, scores) == pytest.approx(
        {
            "rmse": np.sqrt(1.25 / 4),
            "mae": 1.5 / 4,
            "r2": 1 - 1.25 / 10,
            "median_absolute_error": 0.25,
            "mape": (0.5 + 0.25) / 4,
        }
    )


def test_weighted_metrics_are_scikit_learns() -> None:
    random = np.random.default_rng(0)
    truth, weights = random.normal(5, 1, 101), random.choice([0.0, 0.5, 3.0], 101)
    predicted = truth + random.normal(size=101)
    kept = weights > 0
    given = (truth[kept], predicted[kept])
    assert metrics_of(truth, predicted[:, None], weights) == pytest.approx(
        {
            "rmse": metrics.root_mean_squared_error(*given, sample_weight=weights[kept]),
            "mae": metrics.mean_absolute_error(*given, sample_weight=weights[kept]),
            "r2": metrics.r2_score(*given, sample_weight=weights[kept]),
            "median_absolute_error": metrics.median_absolute_error(*given, sample_weight=weights[kept]),
            "mape": metrics.mean_absolute_percentage_error(*given, sample_weight=weights[kept]),
        }
    )


def test_metrics_that_do_not_apply_are_null() -> None:
    tiny = metrics_of(np.array([1e-200, 2e-200]), np.array([[1e-200], [1e-200]]))
    assert tiny["r2"] is None
    assert tiny["mape"] == pytest.approx(0)
    with_zero = metrics_of(np.array([0.0, 2.0]), np.array([[1.0], [2.0]]))
    assert with_zero["mape"] is None
    assert with_zero["r2"] == 0.5
    alone = metrics_of(np.array([3.0]), np.array([[2.0]]))
    assert (alone["r2"], alone["rmse"]) == (None, 1.0)
    vast = metrics_of(np.array([1e150, -1e150]), np.array([[1e300], [0.0]]))
    assert vast["rmse"] is None
    assert vast["mae"] == pytest.approx(5e299)


def test_a_report_shows_residuals_and_at_most_2000_points_the_same_every_time() -> None:
    random = np.random.default_rng(3)
    truth = random.normal(size=5000)
    scores = truth.reshape(-1, 1) - 0.25
    shown = residuals(truth, scores)
    assert sum(shown.counts) == 5000
    assert shown.edges[0] == pytest.approx(0.25)
    points = actual_and_predicted(truth, scores)
    assert points == actual_and_predicted(truth, scores)
    assert len(points.actual) == len(points.predicted) == MAX_POINTS
    assert np.array(points.actual) - np.array(points.predicted) == pytest.approx(0.25)
    assert set(points.actual) <= set(truth.tolist())
    few = actual_and_predicted(truth[:7], scores[:7])
    assert few.actual == truth[:7].tolist()


def test_a_training_reports_what_regression_has_and_nulls_the_rest() -> None:
    trained = train()
    assert {name for name in trained.metrics if meaning(name).kind == "value"} == {
        "train_rmse",
        "baseline_rmse",
        "validation_rmse",
        "validation_mae",
        "validation_r2",
        "validation_median_absolute_error",
        "validation_mape",
    }
    report = trained.report
    assert report.rows == {"total": 40, "train": 32, "validation": 8}
    assert report.residuals is not None
    assert report.predicted_against_actual is not None
    assert sum(report.residuals.counts) == len(report.predicted_against_actual.actual) == 8
    assert (report.confusion_matrix, report.roc_curves, report.per_class, report.learning_curve) == (None,) * 4
    assert set(report.feature_importances or ()) == set(X)
    assert set(report.columns) == set(X)
    assert trained.metrics["validation_r2"] == pytest.approx(1, abs=0.05)


def test_folds_and_early_stopping_work_as_for_classes() -> None:
    hyperparams = {"iterations": 200, "early_stopping_rounds": 5, "learning_rate": 0.3}
    trained = train(key="catboost_regressor", hyperparams=hyperparams, evaluation=Evaluation(method="cv", folds=4))
    assert trained.metrics["validation_rmse_std"] is not None
    assert trained.report.rows == {"total": 40, "train": 40, "validation": 40}
    assert trained.report.learning_curve is not None
    assert trained.report.learning_curve.metric == "rmse"
    assert trained.report.learning_curve.validation is not None
    assert 0 < trained.estimator.tree_count_ <= 200


def test_without_an_evaluation_there_is_the_training_metric_alone() -> None:
    trained = train(evaluation=Evaluation(method="none"))
    assert set(trained.metrics) == {"train_rmse"}
    assert trained.report.residuals is None
    assert trained.report.predicted_against_actual is None


@pytest.mark.parametrize("key", ["linear_regression", "catboost_regressor"])
def test_two_rows_train(key: str) -> None:
    """Of two rows CatBoost can fit no part, so the model is not validated and says so."""
    request = TrainRequest(model_class_key=key, X={"a": [1.0, 2.0]}, y=[3.0, 5.0], hyperparams={})
    trained = run_training(order_training(request, ()).plan)
    assert trained.metrics["train_rmse"] is not None
    if key == "catboost_regressor":
        (warning,) = trained.warnings
        assert "could not be fitted to a part of the rows: " in warning.message


def test_answers_are_plain_numbers() -> None:
    task = TASKS["regression"]
    contract = read(PRICES).contract
    assert task.answers([[1.5], [2.0]], contract) == task.many_answers(np.array([[1.5], [2.0]]), contract) == [1.5, 2.0]
    assert {type(value) for value in task.many_answers(np.array([[1.0]]), contract)} == {float}


def test_a_fit_that_breaks_down_is_refused() -> None:
    with pytest.raises(InvalidTable, match="the fit broke down: its predictions are not numbers"):
        TASKS["regression"].checked(np.array([[1.0], [np.nan]]))


@pytest.mark.parametrize("method", ["holdout", "cv"])
@pytest.mark.parametrize("model_class_key", ["linear_regression", "catboost_regressor", "lightgbm_regressor"])
def test_two_rows_are_fitted_even_if_one_alone_cannot_be(model_class_key: str, method: str) -> None:
    given = {"model_class_key": model_class_key, "X": [[1.0], [2.0]], "y": [1.5, 2.5], "evaluation": {"method": method}}
    trained = run_training(order_training(parse(TrainRequest, given), ()).plan)
    assert trained.metrics["train_rmse"] is not None
    told = [one.message for one in trained.warnings if "could not be fitted to a part" in one.message]
    assert len(told) == (model_class_key != "linear_regression")
