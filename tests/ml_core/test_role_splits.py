"""Rows held out by times and groups: nothing of the future and nothing of a group stands on both sides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard import models_registry
from modelyard.errors import InvalidRequest, InvalidTable
from modelyard.ml_core.training.groups import deal_groups
from modelyard.ml_core.training.orders import order_training
from modelyard.ml_core.training.plan import Trained, TrainingPlan, check_plan
from modelyard.ml_core.training.role_splits import split_by_roles
from modelyard.ml_core.training.trainings import run_training
from modelyard.models_registry.base import FitTask
from modelyard.models_registry.linear.logistic_regression import LogisticRegressionClass
from modelyard.schemas import Evaluation, TrainRequest, parse
from modelyard.tables.contract import as_text

N = 240
QUICK: dict[str, dict[str, Any]] = {
    "logistic_regression": {},
    "catboost_classifier": {"iterations": 20, "early_stopping_rounds": 5},
    "lightgbm_classifier": {"n_estimators": 20, "early_stopping_rounds": 5},
    "linear_regression": {},
    "catboost_regressor": {"iterations": 20, "early_stopping_rounds": 5},
    "lightgbm_regressor": {"n_estimators": 20, "early_stopping_rounds": 5},
}


TASK_OF = {key: models_registry.model_class(key).task for key in QUICK}


def plan(
    X: dict[str, Any], y: Any, roles: dict[str, str], key: str = "logistic_regression", **evaluation: Any
) -> TrainingPlan:
    fields = {"X": X, "y": y, "column_roles": roles, "evaluation": {"method": "holdout", **evaluation}}
    return order_training(parse(TrainRequest, {"model_class_key": key, "hyperparams": QUICK[key], **fields}), ()).plan


def table(seed: int = 0) -> tuple[dict[str, Any], list[str]]:
    random = np.random.default_rng(seed)
    a = random.normal(size=N)
    X = {
        "a": a.tolist(),
        "b": [["x", "y", None][row] for row in random.integers(0, 3, N)],
        "t": random.integers(0, 50, N).tolist(),
        "g": random.integers(0, 30, N).tolist(),
        "w": random.integers(0, 4, N).tolist(),
    }
    return X, ["yes" if value > 0.3 else "no" for value in a + random.normal(scale=0.5, size=N)]


def splits(plan: TrainingPlan) -> Any:
    found = split_by_roles(plan.evaluation, plan.table)
    assert found is not None
    return found


@given(
    st.lists(st.integers(0, 40), min_size=20, max_size=300),
    st.floats(0.05, 0.5),
    st.integers(2, 6),
    st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_groups_are_dealt_whole_and_no_part_is_empty(raw: list[int], share: float, folds: int, seed: int) -> None:
    _, groups = np.unique(raw, return_inverse=True)
    n_groups = int(groups.max()) + 1
    classes = np.arange(len(groups)) % 3
    for shares in ([share, 1 - share], [1 / folds] * folds):
        if n_groups < len(shares):
            continue
        parts = deal_groups(groups, classes, shares, seed)
        assert set(parts.tolist()) == set(range(len(shares)))
        assert all(len(set(parts[groups == group].tolist())) == 1 for group in range(n_groups))
        assert np.array_equal(parts, deal_groups(groups, classes, shares, seed))


def test_groups_are_dealt_in_proportion_to_rows_and_classes() -> None:
    random = np.random.default_rng(1)
    groups = np.repeat(np.arange(200), random.geometric(0.05, 200))
    classes = (random.random(len(groups)) < 0.1 + 0.2 * (groups % 2)).astype(np.int64)
    out = deal_groups(groups, classes, [0.2, 0.8], 0) == 0
    assert out.mean() == pytest.approx(0.2, abs=0.02)
    assert classes[out].mean() == pytest.approx(classes.mean(), abs=0.02)
    seeds = [deal_groups(groups, classes, [0.2, 0.8], seed).tolist() for seed in (0, 1)]
    assert seeds[0] != seeds[1]


@pytest.mark.parametrize("key", list(QUICK))
@pytest.mark.parametrize("method", ["holdout", "cv"])
def test_no_group_stands_on_both_sides_of_a_fit(monkeypatch: pytest.MonkeyPatch, key: str, method: str) -> None:
    X, labels = table()
    y = X["a"] if TASK_OF[key] == "regression" else labels
    roles = {"g": "group", "t": "ignore", "w": "ignore"}
    ordered = plan({**X, "row": list(range(N))}, y, roles, key, method=method)
    seen: list[FitTask] = []
    model_class = type(ordered.model_class)
    monkeypatch.setattr(model_class, "fit", _noting(seen, model_class.fit))
    run_training(ordered)
    *fits, final = seen
    assert len(fits) == (1 if method == "holdout" else 5)
    assert final.frame.height == N
    groups = np.array(X["g"])
    for fit in fits:
        assert fit.validation is not None
        fitted, held_out = (set(groups[frame["row"].cast(int).to_numpy()]) for frame in (fit.frame, fit.validation[0]))
        assert not fitted & held_out


def _noting(seen: list[FitTask], fit: Any) -> Any:
    def note(self: Any, task: FitTask) -> Any:
        seen.append(task)
        return fit(self, task)

    return note


def test_rows_of_one_time_stay_on_one_side_and_the_latest_are_held_out() -> None:
    X, y = table()
    found = splits(plan(X, y, {"t": "time"}, method="time", fraction=0.2))
    (part,) = found.parts
    times = np.array(X["t"])
    assert times[part.train].max() < times[part.validation].min()
    assert 0.2 * N <= len(part.validation) < 0.2 * N + (times == times[part.validation].min()).sum()
    assert len(part.train) + len(part.validation) == N
    assert [warning.code for warning in found.warnings] == ["held_out_by_time"]


def test_by_time_the_earlier_rows_of_groups_held_out_are_in_neither_part() -> None:
    X, y = table()
    X["g"] = [row // 3 for row in range(N)]
    found = splits(plan(X, y, {"t": "time", "g": "group"}, method="time", fraction=0.2))
    (part,) = found.parts
    groups, times = np.array(X["g"]), np.array(X["t"])
    assert not set(groups[part.train]) & set(groups[part.validation])
    assert times[part.train].max() < times[part.validation].min()
    assert 0 < len(part.train) < 0.8 * N
    (told,) = [warning for warning in found.warnings if warning.code == "groups_kept_apart"]
    assert told.count == N - len(part.train) - len(part.validation)


@pytest.mark.parametrize(
    ("columns", "roles", "evaluation", "words"),
    [
        ({"t": [5] * N}, {"t": "time"}, {"method": "time"}, "needs rows of two times, but in column 't' all are of 5"),
        ({"g": ["x"] * N}, {"g": "group"}, {}, "'holdout' needs rows of two groups, but in column 'g' all are of one"),
        ({"g": ["x"] * N}, {"g": "group"}, {"method": "cv"}, "'cv' needs rows of two groups"),
        (
            {"g": ["x", "y"] * (N // 2)},
            {"t": "time", "g": "group"},
            {"method": "time"},
            "cannot keep the groups of column 'g' apart, because each has rows among the latest",
        ),
    ],
)
def test_what_times_or_groups_make_impossible_is_said(
    columns: dict[str, Any], roles: dict[str, str], evaluation: dict[str, Any], words: str
) -> None:
    X, y = table()
    with pytest.raises(InvalidTable, match=words):
        run_training(plan({**X, **columns}, y, roles, **evaluation))


def test_a_fit_of_a_single_class_is_refused_by_its_name() -> None:
    X, _ = table()
    y = ["late" if time > 40 else "early" for time in X["t"]]
    with pytest.raises(InvalidTable, match="evaluation 'time' leaves only rows of the class 'early' to be fitted"):
        run_training(plan(X, y, {"t": "time"}, method="time", fraction=0.3))


def test_fewer_groups_than_folds_and_large_groups_are_told() -> None:
    X, y = table()
    X["g"] = [row % 3 for row in range(N)]
    folded = splits(plan(X, y, {"g": "group"}, method="cv", folds=5))
    assert (len(folded.parts), folded.evaluation.folds) == (3, 3)
    held_out = splits(plan(X, y, {"g": "group"}, fraction=0.1))
    assert held_out.evaluation.fraction == pytest.approx(1 / 3)
    assert [warning.code for warning in (*folded.warnings, *held_out.warnings)] == ["evaluation_fallback"] * 2


@pytest.mark.parametrize("key", ["logistic_regression", "catboost_classifier", "lightgbm_classifier"])
@pytest.mark.parametrize("n_classes", [3, 4])
def test_a_class_that_is_only_held_out_counts_as_wrong(key: str, n_classes: int) -> None:
    X, _ = table()
    y = [f"class {row % (n_classes - 1)}" for row in range(N)]
    latest = [row for row in range(N) if X["t"][row] >= 42]
    for row in latest[::2]:
        y[row] = "class 1.5"  # in the middle of the others
    ordered = plan(X, y, {"t": "time"}, key, method="time", fraction=0.15)
    (part,) = splits(ordered).parts
    codes = ordered.table.codes
    new = ordered.table.contract.classes.index("class 1.5")
    assert new not in codes[part.train]
    trained = run_training(ordered)
    kept = trained.validation
    assert kept is not None
    assert not kept.scores[:, new].any()
    assert kept.scores.sum(axis=1) == pytest.approx(1)
    assert trained.report.confusion_matrix is not None
    matrix = np.array(trained.report.confusion_matrix.matrix)
    assert matrix[new].sum() == (codes[part.validation] == new).sum() > 0
    assert not matrix[:, new].any()
    (told,) = [warning for warning in trained.warnings if warning.code == "class_not_fitted"]
    assert told.count == matrix[new].sum()
    assert all(np.isfinite(value) for value in trained.metrics.values() if value is not None)
    assert set(trained.estimator.classes_) == set(y)


@pytest.mark.parametrize("key", list(QUICK))
def test_rows_of_weight_0_are_as_if_they_were_not_there(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setitem(QUICK, key, {name: value for name, value in QUICK[key].items() if "early" not in name})
    X, labels = table()
    X = {name: X[name] for name in ("a", "b", "w")}
    y: list[Any] = [value**2 for value in X["a"]] if TASK_OF[key] == "regression" else labels
    there = [row for row in range(N) if X["w"][row] > 0]
    fewer = {name: [column[row] for row in there] for name, column in X.items()}
    whole = plan(X, y, {"w": "weight"}, key, method="none")
    without = plan(fewer, [y[row] for row in there], {"w": "weight"}, key, method="none")
    one, other = run_training(whole), run_training(without)
    assert one.metrics == pytest.approx(other.metrics)
    assert _answers(one, whole) == pytest.approx(_answers(other, whole))


@pytest.mark.parametrize("key", list(QUICK))
def test_weights_turn_a_fit_towards_the_heavy_rows(key: str) -> None:
    """Rows say the opposite of each other, so that the heavy half decides."""
    x = [float(row % 20) for row in range(N)]
    heavy = [row % 2 == 0 for row in range(N)]
    truth = [value if is_heavy else 19 - value for value, is_heavy in zip(x, heavy, strict=True)]
    y: list[Any] = truth if TASK_OF[key] == "regression" else ["yes" if value > 9 else "no" for value in truth]
    weights = [50.0 if is_heavy else 1.0 for is_heavy in heavy]
    ordered = plan({"x": x, "w": weights}, y, {"w": "weight"}, key)
    trained = run_training(ordered)
    predictor = ordered.model_class.predictor(trained.estimator, ordered.table.contract)
    low, high = predictor.few([[1.0], [18.0]])
    assert low[-1] < high[-1]
    assert trained.report.rows["validation"] == 48


@pytest.mark.parametrize("key", list(QUICK))
@pytest.mark.parametrize("weight", [1, 3.5, 1e-300, 1e300])
def test_only_the_proportions_of_weights_matter(key: str, weight: float) -> None:
    X, labels = table()
    y: list[Any] = [value**2 for value in X["a"]] if TASK_OF[key] == "regression" else labels
    without = plan({name: X[name] for name in ("a", "b")}, y, {}, key)
    alike = plan({**{name: X[name] for name in ("a", "b")}, "w": [weight] * N}, y, {"w": "weight"}, key)
    assert _answers(run_training(alike), alike) == pytest.approx(_answers(run_training(without), without), rel=1e-6)


def test_a_class_without_weight_and_a_class_of_models_without_weights_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, y = table()
    X["w"] = [float(label == "yes") for label in y]
    with pytest.raises(InvalidTable, match="column 'w' gives all rows of the class 'no' the weight 0"):
        check_plan(plan(X, y, {"w": "weight"}))
    monkeypatch.setattr(LogisticRegressionClass, "takes_weights", False)
    with pytest.raises(InvalidRequest, match="column 'w' cannot have the role 'weight' with model class 'logistic_reg"):
        check_plan(plan(X, y, {"w": "weight"}))


def test_a_part_without_weight_leaves_the_model_without_validation() -> None:
    X, y = table()
    X["w"] = [0 if time >= 45 else 1 for time in X["t"]]
    trained = run_training(plan(X, y, {"w": "weight", "t": "time"}, method="time", fraction=0.05))
    assert trained.evaluation == Evaluation(method="none", fraction=0.05)
    assert any("have the weight 0 in column 'w'" in warning.message for warning in trained.warnings)
    assert trained.metrics.keys() == {"train_accuracy"}


@pytest.mark.parametrize("key", ["logistic_regression", "catboost_classifier", "lightgbm_classifier"])
@pytest.mark.parametrize("method", ["holdout", "cv"])
def test_a_class_of_one_row_that_counts_leaves_the_model_without_validation(key: str, method: str) -> None:
    """Splits of a task put rows of each class on both sides, but weights of 0 can leave a fit one class alone."""
    X, y = table()
    X["w"] = [float(label == "no") for label in y]
    X["w"][y.index("yes")] = 1.0
    trained = run_training(plan(X, y, {"w": "weight"}, key, method=method, folds=50))
    told = [warning.message for warning in trained.warnings if warning.code == "evaluation_fallback"]
    words = "only rows of the class 'no' have a weight above 0 in column 'w'"
    if trained.evaluation.method == "none":
        assert any(words in message for message in told)
    assert (trained.evaluation.method == "none") == (method == "cv")
    assert trained.metrics["train_accuracy"] is not None


def test_a_class_whose_rows_fitted_have_no_weight_counts_as_wrong() -> None:
    X, y = table()
    y = [f"{label} {row % 2}" for row, label in enumerate(y)]
    parts = run_training(plan(X, y, {"w": "weight"}, seed=1)).validation
    assert parts is not None
    rare = next(label for row, label in enumerate(y) if row in parts.rows)
    X["w"] = [float(label != rare or row in parts.rows) for row, label in enumerate(y)]
    trained = run_training(plan(X, y, {"w": "weight"}, seed=1))
    (told,) = [warning for warning in trained.warnings if warning.code == "class_not_fitted"]
    assert told.count == sum(y[row] == rare for row in parts.rows)
    assert trained.metrics["validation_accuracy"] is not None


@pytest.mark.parametrize("key", ["logistic_regression", "catboost_classifier", "lightgbm_classifier"])
@pytest.mark.parametrize(("small", "large"), [(1e-15, 1.0), (1e-15, 1e15), (1e15, 1e15)])
def test_the_smallest_and_the_largest_weights_are_fitted(key: str, small: float, large: float) -> None:
    X, y = table()
    X["w"] = [large if row % 3 else small for row in range(N)]
    trained = run_training(plan(X, y, {"w": "weight"}, key))
    assert all(value is not None and np.isfinite(value) for value in trained.metrics.values())


def test_weights_that_are_all_too_small_for_catboost_are_refused_in_words() -> None:
    X, y = table()
    X["w"] = [1e-12] * N
    with pytest.raises(InvalidTable, match=r"the weights are too small for CatBoost, .* got a mean of 1e-12"):
        run_training(plan(X, y, {"w": "weight"}, "catboost_classifier"))


def _answers(trained: Trained, of: TrainingPlan) -> Any:
    predictor = of.model_class.predictor(trained.estimator, of.table.contract)
    return predictor.many(as_text(of.table.frame))
