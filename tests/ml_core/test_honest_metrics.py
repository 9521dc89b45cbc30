"""What metrics say of themselves: intervals, baselines, and the words of a model that is worse than it looks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelyard.ml_core.resampling import bootstrap
from modelyard.ml_core.tasks import TASKS
from modelyard.ml_core.training.doubts import doubts
from modelyard.ml_core.training.orders import order_training
from modelyard.ml_core.training.plan import Trained
from modelyard.ml_core.training.trainings import run_training
from modelyard.schemas import Evaluation, ModelWarning, TrainRequest, baseline_of, interval_of, is_loss, meaning

KEYS = {"classification": "logistic_regression", "regression": "linear_regression"}
Scored = tuple[np.ndarray, np.ndarray]


def scored_classes(n: int, k: int) -> Scored:
    rng = np.random.default_rng(n + k)
    codes = np.concatenate((np.arange(k), rng.integers(k, size=n - k)))
    scores = rng.random((n, k)).round(1) + 0.5 * np.eye(k)[codes] + 1e-3
    return codes, scores / scores.sum(axis=1, keepdims=True)


def scored_numbers(n: int) -> Scored:
    rng = np.random.default_rng(n)
    truth = rng.normal(50, 10, n)
    return truth, truth[:, None] + rng.normal(0, 3, (n, 1))


def values(metrics: dict[str, float | None]) -> dict[str, float | None]:
    return {meaning(name).measure: value for name, value in metrics.items()}


@pytest.mark.parametrize(
    ("task", "scored"),
    [
        ("classification", scored_classes(80, 2)),
        ("classification", scored_classes(80, 5)),
        ("classification", (np.array([0, 1, 1]), np.array([[1.0, 0], [0, 1], [1, 0]]))),
        ("regression", scored_numbers(81)),
        ("regression", scored_numbers(80)),
    ],
)
def test_resamples_are_measured_as_the_rows_drawn_would_be(task: str, scored: Scored) -> None:
    truth, scores = scored
    judge = TASKS[task]
    measure = judge.measure(truth, scores)

    whole = values(judge.metrics_of(truth, scores))
    assert {name: value[0] for name, value in measure(np.ones((1, len(truth)))).items()} == pytest.approx(whole)
    (weights,) = bootstrap(len(truth), 3, rounds=5)
    for round_, row in enumerate(weights.astype(int)):
        drawn = np.repeat(np.arange(len(truth)), row)
        expected = values(judge.metrics_of(truth[drawn], scores[drawn]))
        found = {name: value[round_] for name, value in measure(weights).items()}
        assert {name: found[name] for name, value in expected.items() if value is not None} == pytest.approx(
            {name: value for name, value in expected.items() if value is not None}
        )


@pytest.mark.parametrize("k", [0, 2, 5])
def test_a_metric_alone_is_measured_as_it_is_among_the_others(k: int) -> None:
    truth, scores = scored_classes(80, k) if k else scored_numbers(80)
    judge = TASKS["classification" if k else "regression"]
    (weights,) = bootstrap(len(truth), 3, rounds=5)
    for name, among in judge.measure(truth, scores)(weights).items():
        assert judge.measure(truth, scores, name)(weights)[name].tolist() == among.tolist()


def test_numbers_of_any_size_are_measured_without_a_warning() -> None:
    truth = np.array([1e150, -1e150, 0.0, 0.0])
    measured = TASKS["regression"].measure(truth, np.zeros((4, 1)))(np.array([[1.0, 1, 1, 1], [0, 0, 2, 2]]))

    assert measured["rmse"][1] == 0
    assert np.isnan(measured["r2"][1])


def train(task: str, n: int = 200, evaluation: Evaluation | None = None, **given: Any) -> Trained:
    """Train on a column that tells something of the target."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=n)
    noisy = x + rng.normal(size=n)
    y = noisy.tolist() if task == "regression" else np.where(noisy > 0.5, "yes", "no").tolist()
    given = {"X": {"x": x.tolist()}, "y": y, "model_class_key": KEYS[task], **given}
    request = TrainRequest(evaluation=evaluation or Evaluation(), **given)
    return run_training(order_training(request, ()).plan)


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("method", ["holdout", "cv"])
def test_every_metric_of_rows_held_out_lies_in_its_interval(task: str, method: Any) -> None:
    trained = train(task, evaluation=Evaluation(method=method, folds=4))
    metrics = trained.metrics
    measured = [name for name in metrics if meaning(name).rows == "validation" and meaning(name).kind == "value"]

    assert len(measured) == {"classification": 9, "regression": 5}[task]
    for name in measured:
        found, value = interval_of(name, metrics), metrics[name]
        assert found is not None
        assert value is not None
        assert found[0] <= value <= found[1]
        assert found[0] < found[1]
    assert metrics == train(task, evaluation=Evaluation(method=method, folds=4)).metrics
    assert trained.report.metrics == metrics


def test_folds_narrow_the_interval_of_one_hold_out() -> None:
    widths = []
    for evaluation in (Evaluation(), Evaluation(method="cv")):
        found = interval_of("validation_rmse", train("regression", evaluation=evaluation).metrics)
        assert found is not None
        widths.append(found[1] - found[0])

    assert widths[1] < 0.7 * widths[0]  # five times as many rows: less than half, and chance


def test_as_many_folds_as_rows_have_an_interval() -> None:
    metrics = train("regression", 20, Evaluation(method="cv", folds=20)).metrics

    assert metrics["validation_r2"] is None
    assert "validation_r2_low" not in metrics
    low, high = interval_of("validation_rmse", metrics) or (0, 0)
    assert 0 < low < high


def test_a_baseline_answers_every_row_as_suits_the_rows_fitted() -> None:
    task, contract = (
        TASKS["classification"],
        order_training(
            TrainRequest(model_class_key="logistic_regression", X={"x": [1, 2, 3, 4]}, y=["a", "b", "c", "a"]), ()
        ).plan.table.contract,
    )
    found = task.baseline(np.array([0, 0, 1, 2]), np.array([0, 1]), contract)

    assert found == pytest.approx({"baseline_accuracy": 0.5, "baseline_log_loss": -(np.log(0.5) + np.log(0.25)) / 2})
    assert TASKS["regression"].baseline(np.array([1.0, 3]), np.array([2.0, 4]), contract) == pytest.approx(
        {"baseline_rmse": np.sqrt(2)}
    )


def test_without_rows_held_out_there_is_no_interval_and_no_baseline() -> None:
    assert list(train("classification", evaluation=Evaluation(method="none")).metrics) == ["train_accuracy"]


def codes_of(warnings: tuple[ModelWarning, ...]) -> list[str]:
    return [warning.code for warning in warnings]


def test_a_model_that_learned_by_heart_says_so_with_both_numbers() -> None:
    rng = np.random.default_rng(0)
    X = {f"f{column}": rng.normal(size=200).tolist() for column in range(6)}
    y = rng.integers(2, size=200).tolist()
    trained = train("classification", X=X, y=y, model_class_key="catboost_classifier", hyperparams={"iterations": 300})

    assert codes_of(trained.warnings) == ["overfitted", "no_better_than_baseline"]
    overfitted, guessing = (warning.message for warning in trained.warnings)
    assert f"train accuracy {trained.metrics['train_accuracy']:.3f} against validation accuracy 0." in overfitted
    assert f"against {trained.metrics['baseline_accuracy']:.4g}" in guessing
    assert "validation roc auc" in guessing


def test_a_useful_model_has_no_doubts() -> None:
    assert train("classification").warnings == train("regression").warnings == ()


def told(**metrics: float) -> list[str]:
    task = "regression" if any("rmse" in name for name in metrics) else "classification"
    return codes_of(doubts(task, dict(metrics), 100))


@pytest.mark.parametrize(
    ("expected", "metrics"),
    [
        ([], {"train_accuracy": 0.96, "validation_accuracy": 0.9, "low": 0.86, "high": 0.93}),
        (["overfitted"], {"train_accuracy": 0.97, "validation_accuracy": 0.9, "low": 0.86, "high": 0.93}),
        ([], {"train_accuracy": 1.0, "validation_accuracy": 0.98, "low": 0.95, "high": 1.0}),
        ([], {"train_rmse": 2.0, "validation_rmse": 5.0, "low": 4.0, "high": 6.0}),
        (["overfitted"], {"train_rmse": 1.9, "validation_rmse": 5.0, "low": 4.0, "high": 6.0}),
        ([], {"train_rmse": 1.9}),
    ],
)
def test_far_better_on_rows_fitted_means_half_the_error_the_interval_allows(
    expected: list[str], metrics: dict[str, float]
) -> None:
    measure = "rmse" if "train_rmse" in metrics else "accuracy"
    ends = {f"validation_{measure}_{end}": metrics.pop(end) for end in ("low", "high") if end in metrics}

    assert told(**metrics, **ends) == expected


RARE = {  # 5 % of the rows are of the second class: accuracy cannot tell
    "validation_accuracy": 0.95,
    "validation_accuracy_low": 0.93,
    "validation_accuracy_high": 0.97,
    "baseline_accuracy": 0.95,
    "validation_log_loss": 0.2,
    "validation_log_loss_low": 0.15,
    "validation_log_loss_high": 0.25,
    "baseline_log_loss": 0.2,
}


@pytest.mark.parametrize(
    ("expected", "changed"),
    [
        (["no_better_than_baseline"], {}),
        ([], {"validation_roc_auc": 0.8, "validation_roc_auc_low": 0.7, "validation_roc_auc_high": 0.9}),
        (
            ["no_better_than_baseline"],
            {"validation_roc_auc": 0.6, "validation_roc_auc_low": 0.49, "validation_roc_auc_high": 0.7},
        ),
        ([], {"baseline_accuracy": 0.92}),
        ([], {"baseline_log_loss": 0.26}),
        (["worse_than_baseline"], {"baseline_accuracy": 0.92, "baseline_log_loss": 0.14}),
        ([], {"baseline_accuracy": 0.92, "baseline_log_loss": 0.16}),
    ],
)
def test_one_metric_clearly_better_is_enough_unless_a_loss_is_worse(
    expected: list[str], changed: dict[str, float]
) -> None:
    assert told(**{**RARE, **changed}) == expected


def test_few_rows_held_out_are_counted() -> None:
    (warning,) = doubts("classification", {}, 29)

    assert (warning.code, warning.count) == ("few_rows_held_out", 29)
    assert warning.message.startswith("the model was judged by 29 rows held out, so its metrics can be far off")
    assert "by 1 group held out" in doubts("regression", {}, 1, "groups")[0].message
    assert doubts("classification", {}, 30) == ()


@pytest.mark.parametrize(
    ("name", "rows", "measure", "kind"),
    [
        ("validation_roc_auc", "validation", "roc_auc", "value"),
        ("validation_roc_auc_low", "validation", "roc_auc", "low"),
        ("validation_log_loss_std", "validation", "log_loss", "std"),
        ("train_rmse", "train", "rmse", "value"),
        ("baseline_log_loss", "baseline", "log_loss", "value"),
        ("accuracy", "", "accuracy", "value"),
        ("accuracy_high", "", "accuracy", "high"),
        ("r2", "", "r2", "value"),
    ],
)
def test_a_name_says_rows_measure_and_kind(name: str, rows: str, measure: str, kind: str) -> None:
    named = meaning(name)

    assert (named.rows, named.measure, named.kind) == (rows, measure, kind)
    assert named.is_value == (kind == "value" and rows != "baseline")
    assert is_loss(name) == (measure in ("log_loss", "rmse"))


def test_the_baseline_of_a_ranking_is_the_same_for_every_table() -> None:
    assert baseline_of("validation_roc_auc", {}) == 0.5
    assert baseline_of("validation_accuracy", {"baseline_accuracy": 0.7}) == 0.7
    assert baseline_of("validation_f1", {"baseline_accuracy": 0.7}) is None
