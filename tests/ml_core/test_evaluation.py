"""What an evaluation shows: scikit-learn's own numbers, curves that keep their shape, a report that is JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from modelyard.ml_core.deciding.confusion import confusion
from modelyard.ml_core.tasks import TASKS
from modelyard.ml_core.tasks.classification import labels_of
from modelyard.ml_core.tasks.classification.curves import (
    MAX_POINTS,
    calibration_curves,
    precision_recall_curves,
    roc_curves,
    thin,
)
from modelyard.ml_core.tasks.classification.metrics import (
    Codes,
    Probabilities,
    metrics_of,
    per_class,
)
from modelyard.ml_core.tasks.classification.splits import split_rows
from modelyard.ml_core.training.evaluation import FittedPart, judge, mean_and_deviation, mean_curve
from modelyard.ml_core.training.plan import Trained, TrainingPlan
from modelyard.ml_core.training.trainings import run_training
from modelyard.models_registry import hyperparams, model_class
from modelyard.models_registry.base import Fit, FitTask
from modelyard.schemas import Evaluation, Label, LearningCurve, Report
from modelyard.schemas.showing import label_text
from modelyard.settings import DEFAULT_MISSING_MARKERS
from modelyard.tables import ReadingOptions, TrainingTable, read_training


class RealTable(Protocol):
    """What the fixture `real_table` gives."""

    @property
    def path(self) -> Path: ...

    @property
    def target(self) -> str: ...


def scored(n: int, k: int, seed: int = 0, noise: float = 1.0) -> tuple[Codes, Probabilities]:
    """True codes, every class among them, and probabilities that tell something of them."""
    random = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(k), random.integers(k, size=n - k)])
    scores = np.exp(np.eye(k)[codes] + random.normal(scale=noise, size=(n, k)))
    return codes, scores / scores.sum(axis=1, keepdims=True)


def read(X: Any, target: str, **options: Any) -> TrainingTable:
    given_options = {"feature_types": None, "feature_names": None, **options}
    return read_training(X, None, target=target, options=ReadingOptions(DEFAULT_MISSING_MARKERS), **given_options)


def train(key: str, table: TrainingTable, evaluation: Evaluation | None = None, **given_hyperparams: Any) -> Trained:
    chosen = model_class(key)
    checked = hyperparams.check(chosen.hyperparams, given_hyperparams)
    return run_training(TrainingPlan(chosen, checked, evaluation or Evaluation(), table))


def test_metrics_of_two_classes_are_scikit_learns() -> None:
    codes, probabilities = scored(200, 2)
    predicted, positive = probabilities.argmax(axis=1), probabilities[:, 1]
    assert metrics_of(codes, probabilities) == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(codes, predicted),
            "balanced_accuracy": metrics.balanced_accuracy_score(codes, predicted),
            "precision": metrics.precision_score(codes, predicted, average="macro"),
            "recall": metrics.recall_score(codes, predicted, average="macro"),
            "f1": metrics.f1_score(codes, predicted, average="macro"),
            "roc_auc": metrics.roc_auc_score(codes, positive),
            "average_precision": metrics.average_precision_score(codes, positive),
            "log_loss": metrics.log_loss(codes, y_proba=probabilities),
            "brier": metrics.brier_score_loss(codes, y_proba=positive),
        },
        abs=1e-12,
    )


def test_metrics_of_more_classes_are_scikit_learns() -> None:
    codes, probabilities = scored(200, 4)
    found = metrics_of(codes, probabilities)
    one_hot = np.eye(4)[codes]
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(codes, probabilities, multi_class="ovr"))
    assert found["average_precision"] == pytest.approx(metrics.average_precision_score(one_hot, probabilities))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(codes, y_proba=probabilities))
    assert found["brier"] == pytest.approx(((one_hot - probabilities) ** 2).sum(axis=1).mean())


@pytest.mark.parametrize("k", [2, 4])
def test_weighted_metrics_of_equal_probabilities_are_scikit_learns(k: int) -> None:
    codes, probabilities = scored(200, k)
    probabilities = (np.round(probabilities * 4) + 1) / (np.round(probabilities * 4) + 1).sum(axis=1, keepdims=True)
    weights = np.random.default_rng(k).choice([0.0, 0.5, 3.0], 200)
    predicted = probabilities.argmax(axis=1)
    *macro, _ = metrics.precision_recall_fscore_support(codes, predicted, average="macro", sample_weight=weights)
    ranked = probabilities[:, 1] if k == 2 else probabilities

    found = metrics_of(codes, probabilities, weights)

    assert found == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(codes, predicted, sample_weight=weights),
            "balanced_accuracy": metrics.balanced_accuracy_score(codes, predicted, sample_weight=weights),
            **dict(zip(("precision", "recall", "f1"), macro, strict=True)),
            "roc_auc": metrics.roc_auc_score(codes, ranked, multi_class="ovr", sample_weight=weights),
            "average_precision": metrics.average_precision_score(codes, ranked, sample_weight=weights),
            "log_loss": metrics.log_loss(codes, y_proba=probabilities, sample_weight=weights),
            "brier": metrics.brier_score_loss(codes, y_proba=probabilities, sample_weight=weights),
        }
    )
    of_classes = metrics.precision_recall_fscore_support(codes, predicted, sample_weight=weights)
    assert [
        [one[name] for name in ("precision", "recall", "f1", "support")]
        for one in per_class(codes, probabilities, range(k), weights)
    ] == [pytest.approx(expected) for expected in zip(*of_classes, strict=True)]


def test_class_without_rows_makes_rankings_null_and_nothing_warns() -> None:
    codes = np.array([0, 0, 2, 2])
    probabilities = np.array([[0.2, 0.7, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]])
    found = metrics_of(codes, probabilities)
    assert found["roc_auc"] is None
    assert found["average_precision"] is None
    assert found["balanced_accuracy"] == 0.75
    assert [name for name, value in found.items() if value is None] == [
        "roc_auc",
        "average_precision",
    ]
    assert set(roc_curves(codes, probabilities, "abc")) == {"a", "c"}
    unjudged = per_class(codes, probabilities, "abc")[1]
    assert unjudged == {"label": "b", "precision": None, "recall": None, "f1": None, "support": 0}


def test_class_never_predicted_has_precision_zero() -> None:
    codes, probabilities = np.array([0, 0, 1]), np.array([[0.9, 0.1]] * 3)
    assert per_class(codes, probabilities, "ab")[1] == {
        "label": "b",
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
        "support": 1,
    }
    assert metrics_of(codes, probabilities)["precision"] == pytest.approx(1 / 3)


@given(st.integers(2, 5), st.data())
def test_metrics_and_curves_of_any_probabilities_are_finite_or_null(k: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 12))
    codes = np.array(data.draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)))
    weights = st.lists(st.sampled_from([0.0, 1e-300, 0.25, 1.0]), min_size=k, max_size=k).filter(any)
    drawn = np.array(data.draw(st.lists(weights, min_size=n, max_size=n)))
    probabilities = drawn / drawn.sum(axis=1, keepdims=True)
    everything = [
        metrics_of(codes, probabilities),
        per_class(codes, probabilities, range(k)),
        *(
            {label: curve.model_dump() for label, curve in draw(codes, probabilities, range(k)).items()}
            for draw in (roc_curves, precision_recall_curves, calibration_curves)
        ),
    ]
    json.dumps(everything, allow_nan=False)


def test_cross_validation_gives_mean_and_deviation_null_where_a_fold_has_none() -> None:
    found = mean_and_deviation([{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": None}])
    assert found == {"a": 2.0, "b": None, "a_std": 1.0, "b_std": None}


def test_learning_curve_of_folds_is_their_mean_as_far_as_all_go_and_are_finite() -> None:
    def curve(train: list[float], validation: list[float]) -> LearningCurve:
        return LearningCurve(metric="log_loss", train=train, validation=validation)

    mean = mean_curve([curve([1, 2, 3], [1, 2, 3]), curve([3, 4], [3, np.inf])])
    assert mean == curve([2, 3], [2])
    assert mean_curve([None]) is None
    assert mean_curve([curve([np.nan], [1])]) is None


def test_best_iterations_of_folds_without_early_stopping_are_none() -> None:
    codes, probabilities = scored(20, 2)
    part = FittedPart(Fit(None), np.arange(20), codes, probabilities, {})
    assert judge([part], TASKS["classification"], 0).iterations is None


@pytest.mark.parametrize("noise", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("n", [30, 1_000, 30_000])
def test_curves_have_at_most_200_points_their_ends_and_their_area(n: int, noise: float) -> None:
    codes, probabilities = scored(n, 2, noise=noise)
    truth, scores = codes == 1, probabilities[:, 1]
    precision, recall, _ = metrics.precision_recall_curve(truth, scores, drop_intermediate=True)
    false_positives, true_positives, _ = metrics.roc_curve(truth, scores)
    drawn = [
        (roc_curves(codes, probabilities, "ab")["b"], false_positives, true_positives),
        (precision_recall_curves(codes, probabilities, "ab")["b"], recall[::-1], precision[::-1]),
    ]
    for curve, x, y in drawn:
        assert len(curve.x) == len(curve.y) == min(len(x), MAX_POINTS)
        assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (x[0], y[0], x[-1], y[-1])
        assert metrics.auc(curve.x, curve.y) == pytest.approx(metrics.auc(x, y), abs=1e-3)
    assert (false_positives[0], true_positives[-1]) == (0, 1)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=40), st.integers(2, 10))
def test_thinned_line_is_points_of_the_line_in_order(points: list[tuple[float, float]], limit: int) -> None:
    x, y = np.array(points).T
    kept = list(zip(*(axis.tolist() for axis in thin(x, y, limit)), strict=True))
    assert len(kept) == min(limit, len(points))
    assert kept[0] == points[0]
    assert kept[-1] == points[-1]
    rest = iter(points)
    assert all(point in rest for point in kept)


def test_two_classes_have_the_curve_of_the_second_more_have_one_each() -> None:
    for draw in (roc_curves, precision_recall_curves, calibration_curves):
        assert list(draw(*scored(50, 2), (False, True))) == ["true"]
        assert list(draw(*scored(50, 3), (4, 5, 6))) == ["4", "5", "6"]


def test_label_text_is_jsons() -> None:
    assert [label_text(label) for label in (True, False, 1, "True")] == ["true", "false", "1", "True"]


def test_calibration_curve_of_true_probabilities_is_the_diagonal() -> None:
    random = np.random.default_rng(0)
    positive = random.uniform(size=50_000)
    codes = (random.uniform(size=50_000) < positive).astype(np.int64)
    curve = calibration_curves(codes, np.column_stack([1 - positive, positive]), (0, 1))["1"]
    assert len(curve.x) == 10
    assert curve.y == pytest.approx(curve.x, abs=0.02)


def test_confusion_matrix_counts_true_rows_by_predicted_class() -> None:
    codes, answers, classes = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 0]), (10, 20, 30)
    assert confusion(codes, answers, classes).matrix == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("key", ["logistic_regression", "catboost_classifier"])
def test_reported_numbers_are_those_of_a_fit_by_hand_on_the_same_rows(key: str, breast_cancer: pl.DataFrame) -> None:
    options = {"iterations": 20} if key == "catboost_classifier" else {}
    table = read(breast_cancer, "target")
    trained = train(key, table, Evaluation(seed=4), **options)
    (part,) = split_rows(Evaluation(seed=4), table.codes, ("benign", "malignant")).parts
    labels = labels_of(table.codes, ("benign", "malignant"))
    chosen = model_class(key)
    task = FitTask(
        table.frame[part.train], labels[part.train], table.contract, hyperparams.check(chosen.hyperparams, options)
    )
    estimator = chosen.fit(task).estimator
    held_out = table.frame[part.validation]
    positive = estimator.predict_proba(held_out)[:, 1]
    assert trained.metrics["validation_accuracy"] == estimator.score(held_out, labels[part.validation])
    assert trained.metrics["validation_roc_auc"] == metrics.roc_auc_score(labels[part.validation], positive)
    predicted = np.ravel(estimator.predict(held_out))
    matrix = metrics.confusion_matrix(labels[part.validation], predicted)
    assert trained.report.confusion_matrix is not None
    assert trained.report.confusion_matrix.matrix == matrix.tolist()


@pytest.mark.parametrize("method", ["holdout", "cv", "none"])
@pytest.mark.parametrize("key", ["logistic_regression", "catboost_classifier"])
def test_report_is_complete_json_and_comes_back_equal(key: str, method: Any, penguins: pl.DataFrame) -> None:
    options = {"iterations": 10} if key == "catboost_classifier" else {}
    report = train(key, read(penguins, "species"), Evaluation(method=method, folds=3), **options).report
    text = json.dumps(report.model_dump(mode="json"), allow_nan=False)
    assert Report.model_validate_json(text) == report
    assert set(report.columns) == set(penguins.columns) - {"species"}
    assert report.feature_importances is not None
    assert set(report.feature_importances) == set(report.columns)
    assert report.rows["total"] == 344
    assert (report.learning_curve is not None) == (key == "catboost_classifier")
    if method == "none":
        assert report.roc_curves is report.calibration_curve is None
    else:
        assert report.roc_curves is not None
        assert set(report.roc_curves) == {"Adelie", "Chinstrap", "Gentoo"}
        assert report.per_class is not None
        assert sum(row["support"] for row in report.per_class) == report.rows["validation"]


def test_early_stopping_gives_the_final_model_the_best_number_of_trees(breast_cancer: pl.DataFrame) -> None:
    options: dict[str, Any] = {"iterations": 400, "early_stopping_rounds": 10, "learning_rate": 0.3, "depth": 3}
    trained = train("catboost_classifier", read(breast_cancer, "target"), **options)
    curve = trained.report.learning_curve
    assert curve is not None
    assert curve.validation is not None
    assert trained.estimator.tree_count_ == int(np.argmin(curve.validation)) + 1 < 400


def test_class_unknown_to_a_part_and_column_missing_in_a_part_just_work() -> None:
    classes: Sequence[Label] = ["a"] * 10 + ["b"] * 10
    rows = [[1.0 if row == 0 else None, f"only {row}", row % 3] for row in range(20)]
    table = read_training(
        rows,
        classes,
        target=None,
        feature_types=["numeric", "categorical", "numeric"],
        feature_names=None,
        options=ReadingOptions(DEFAULT_MISSING_MARKERS),
    )
    for key in ("logistic_regression", "catboost_classifier"):
        options = {"iterations": 5} if key == "catboost_classifier" else {}
        trained = train(key, table, Evaluation(method="cv", folds=5), **options)
        assert trained.metrics["validation_accuracy"] is not None


ACCURACY = {
    ("adult", "logistic_regression"): 0.845,
    ("adult", "catboost_classifier"): 0.865,
    ("penguins", "logistic_regression"): 0.97,
    ("penguins", "catboost_classifier"): 0.97,
    ("titanic", "logistic_regression"): 0.78,
    ("titanic", "catboost_classifier"): 0.78,
}


@pytest.mark.parametrize("key", ["logistic_regression", "catboost_classifier"])
def test_real_tables_are_learned_as_well_as_can_be_expected(key: str, real_table: RealTable) -> None:
    options: dict[str, Any] = {"iterations": 150, "learning_rate": 0.15} if key == "catboost_classifier" else {}
    trained = train(key, read(real_table.path, real_table.target), **options)
    accuracy = trained.metrics["validation_accuracy"]
    assert accuracy is not None
    assert accuracy >= ACCURACY[real_table.path.stem, key]
    json.dumps(trained.report.model_dump(mode="json"), allow_nan=False)
