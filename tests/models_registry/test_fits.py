"""What the two built-in model classes promise of their own: solvers, penalties, convergence; early stopping, logs."""

from __future__ import annotations

import itertools
import logging
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelyard.errors import InvalidArgument, InvalidTable
from modelyard.models_registry import BUILT_IN
from modelyard.models_registry.base import FitTask, Progress
from modelyard.models_registry.hyperparams import check
from modelyard.tables.contract import MISSING_CATEGORY
from tests.models_registry_tables import CLASSIFIERS, Sample, fit, mixed, sample_of

LOGISTIC = BUILT_IN["logistic_regression"]
CATBOOST = BUILT_IN["catboost_classifier"]
PENALTIES = ("l2", "l1", "elasticnet", "none")
SOLVERS = ("lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga")


def halves(sample: Sample) -> tuple[Sample, tuple[pl.DataFrame, Any]]:
    middle = sample.frame.height // 2
    first = Sample(sample.frame.head(middle), sample.labels[:middle], sample.contract)
    return first, (sample.frame.tail(-middle), sample.labels[middle:])


def sparse() -> Sample:
    """A sample whose one-hot columns are so many that the pipeline's features are a sparse matrix."""
    texts = pl.Series("text", [f"text {i % 60}" for i in range(180)])
    return sample_of(pl.DataFrame([texts, pl.Series("n", np.arange(180.0) % 7)]), np.arange(180) % 3 % 2, ("a", "b"))


@pytest.mark.parametrize("classes", [(0, 1), (0, 1, 2)])
def test_importances_are_the_absolute_weights_of_standardised_features(classes: tuple[int, ...]) -> None:
    sample = mixed(classes)
    pipeline = fit(LOGISTIC, sample).estimator
    features = pipeline[0].transform(sample.frame)
    deviations = StandardScaler(with_mean=False).fit(features).scale_
    weights = np.abs(pipeline[-1].coef_ * deviations).mean(axis=0)
    found = LOGISTIC.feature_importances(pipeline, sample.contract, sample.frame)
    assert found is not None
    of_column: dict[str, float] = dict.fromkeys(found, 0.0)
    for feature, weight in zip(pipeline[0].get_feature_names_out(), weights, strict=True):
        kind, _, rest = feature.partition("__")
        name = rest if kind == "numeric" else next(name for name in found if rest.startswith(f"{name}_"))
        of_column[name] += weight
    assert found == pytest.approx(of_column)


def test_a_column_of_rare_categories_that_say_nothing_counts_little() -> None:
    rows = np.arange(400)
    frame = pl.DataFrame({"place": [f"place {i * 37 % 100}" for i in rows], "age": (rows % 20).astype(float)})
    sample = sample_of(frame, (rows % 20 > 9).astype(int), ("no", "yes"))
    found = LOGISTIC.feature_importances(fit(LOGISTIC, sample).estimator, sample.contract, frame)
    assert found is not None
    assert found["place"] < found["age"]


@pytest.mark.parametrize("classes", [(0, 1), (0, 1, 2)])
@pytest.mark.parametrize(("solver", "penalty"), [*itertools.product(SOLVERS, PENALTIES)])
def test_solver_and_penalty_fit_or_are_refused_with_those_that_can(
    solver: str, penalty: str, classes: tuple[int, ...]
) -> None:
    given = {"solver": solver, "penalty": penalty, "l1_ratio": 0.5 if penalty == "elasticnet" else None, "max_iter": 5}
    errors = LOGISTIC.rules(check(LOGISTIC.hyperparams, given), len(classes))
    sample = mixed(classes, n=60)
    if errors:
        assert all(f"'{word}'" in errors[0].message for word in (solver, "saga"))
        with pytest.raises(ValueError, match=r"solver|Solver"):
            fit(LOGISTIC, sample, given)
    else:
        fitted = fit(LOGISTIC, sample, given)
        assert fitted.estimator.predict_proba(sample.frame).shape == (60, len(classes))
        assert {warning.code for warning in fitted.warnings} <= {"not_converged", "library_warning"}


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_takes_sparse_features(solver: str) -> None:
    sample = sparse()
    estimator = fit(LOGISTIC, sample, {"solver": solver}).estimator
    assert estimator.named_steps["columns"].sparse_output_
    predictor = LOGISTIC.predictor(estimator, sample.contract)
    assert_allclose(predictor.many(sample.frame), estimator.predict_proba(sample.frame), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"penalty": "l2", "C": 0.5}, {"C": 0.5, "l1_ratio": 0.0}),
        ({"penalty": "l1", "solver": "saga"}, {"C": 1.0, "l1_ratio": 1.0}),
        ({"penalty": "elasticnet", "solver": "saga", "l1_ratio": 0.3}, {"C": 1.0, "l1_ratio": 0.3}),
        ({"penalty": "none", "C": 0.5}, {"C": np.inf, "l1_ratio": 0.0}),
        ({"class_weight": "balanced"}, {"class_weight": "balanced"}),
    ],
)
def test_penalties_reach_the_library_in_its_own_terms(given: dict[str, Any], expected: dict[str, Any]) -> None:
    fitted = fit(LOGISTIC, mixed(), given)
    parameters = fitted.estimator.named_steps["classifier"].get_params()
    assert {name: parameters[name] for name in expected} == expected
    assert fitted.warnings == ()


@pytest.mark.parametrize(
    ("given", "n_classes", "message"),
    [
        (
            {"penalty": "l1"},
            None,
            (
                "hyperparam 'penalty' cannot be 'l1' with solver 'lbfgs', which can have 'l2' or 'none'; "
                "'l1' goes with solver 'liblinear' or 'saga'"
            ),
        ),
        (
            {"solver": "liblinear"},
            3,
            (
                "hyperparam 'solver' cannot be 'liblinear' with 3 classes, only with 2; use 'lbfgs', 'newton-cg', "
                "'newton-cholesky', 'sag' or 'saga'"
            ),
        ),
        (
            {"l1_ratio": 0.5},
            None,
            "hyperparam 'l1_ratio' goes with penalty 'elasticnet' only; with 'l2' it must be null, got 0.5",
        ),
        (
            {"penalty": "elasticnet", "solver": "saga"},
            None,
            "hyperparam 'l1_ratio' must be a number from 0 to 1 with penalty 'elasticnet', got null",
        ),
    ],
)
def test_rules_between_hyperparams(given: dict[str, Any], n_classes: int | None, message: str) -> None:
    checked = check(LOGISTIC.hyperparams, given)
    assert [error.message for error in LOGISTIC.rules(checked, n_classes)] == [message]
    if n_classes is not None:
        assert LOGISTIC.rules(checked, None) == LOGISTIC.rules(checked, 2) == []


def test_the_pipeline_is_the_documented_one() -> None:
    sample = mixed()
    types = sample.contract.feature_types
    number = Pipeline([("imputer", SimpleImputer(strategy="median")), ("scaler", StandardScaler())])
    columns = ColumnTransformer(
        [
            ("numeric", number, [name for name in types if types[name] == "numeric"]),
            ("categorical", OneHotEncoder(), [name for name in types if types[name] == "categorical"]),
        ]
    )
    by_hand = Pipeline([("columns", columns), ("classifier", LogisticRegression(max_iter=1000))])
    by_hand.fit(sample.frame, sample.labels)
    ours = fit(LOGISTIC, sample).estimator
    assert_allclose(ours.predict_proba(sample.frame), by_hand.predict_proba(sample.frame), rtol=0, atol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_fit_that_does_not_converge_says_so(solver: str) -> None:
    (warning,) = fit(LOGISTIC, mixed(), {"solver": solver, "max_iter": 1}).warnings
    assert warning.code == "not_converged"
    assert warning.message == (
        f"solver '{solver}' stopped after 1 iterations before it had converged: it reached max_iter=1; "
        "a larger max_iter may fit better"
    )


def test_a_column_missing_throughout_is_legal_in_a_part_of_the_rows() -> None:
    sample = mixed()
    empty = sample_of(sample.frame.with_columns(age=pl.lit(None, pl.Float64)), np.arange(120) % 2, ("no", "yes"))
    for model_class in CLASSIFIERS.values():
        fitted = fit(model_class, empty)
        assert_allclose(model_class.predictor(fitted.estimator, empty.contract).many(empty.frame).sum(axis=1), 1)


def test_numbers_too_large_to_standardise_are_refused_by_column() -> None:
    sample = mixed()
    large = Sample(sample.frame.with_columns(pl.col("age") * 1e306), sample.labels, sample.contract)
    with pytest.raises(InvalidTable, match="column 'age' has numbers too large") as caught:
        fit(LOGISTIC, large)
    assert [error.loc for error in caught.value.errors] == [("X", "age")]


def test_numbers_whose_median_would_overflow_are_refused_too() -> None:
    frame = pl.DataFrame({"n": [None, 8.98846567431158e307] * 4}, schema={"n": pl.Float64})
    with pytest.raises(InvalidTable, match="column 'n' has numbers too large"):
        fit(LOGISTIC, sample_of(frame, np.array([0, 1] * 4), ("no", "yes")))


def test_catboost_chooses_a_learning_rate_where_none_is_given() -> None:
    estimator = fit(CATBOOST, mixed(), {"iterations": 20}).estimator
    assert estimator.get_all_params()["learning_rate"] > 0.05  # left to itself it has 0.03 only where it cannot choose


def test_early_stopping_on_a_column_missing_throughout_stops() -> None:
    empty = sample_of(pl.DataFrame({"n": [None, None]}, schema={"n": pl.Float64}), np.array([0, 1]), ("no", "yes"))
    held_out = (pl.DataFrame({"n": [None, 0.0]}, schema={"n": pl.Float64}), empty.labels)
    fitted = fit(CATBOOST, empty, {"iterations": 3, "early_stopping_rounds": 1}, validation=held_out)
    assert fitted.iterations == 1


def test_a_missing_category_is_a_category_of_its_own() -> None:
    texts = ["", MISSING_CATEGORY, "nan"] * 40
    codes = np.array([text == MISSING_CATEGORY for text in texts], dtype=np.int64)
    sample = sample_of(pl.DataFrame({"text": texts}), codes, ("no", "yes"))
    for model_class in CLASSIFIERS.values():
        predictor = model_class.predictor(fit(model_class, sample).estimator, sample.contract)
        missing = [row[1] > 0.5 for row in predictor.few([[""], [MISSING_CATEGORY], ["nan"], ["\x00\x00missing"]])]
        assert missing == [False, True, False, False]


def test_catboost_curves_are_of_fitted_and_held_out_rows() -> None:
    sample, validation = halves(mixed())
    fitted = fit(CATBOOST, sample, {"iterations": 12}, validation=validation)
    curve = fitted.learning_curve
    assert curve is not None
    assert curve.metric == "log_loss"
    assert curve.validation is not None
    assert len(curve.train) == len(curve.validation) == fitted.estimator.tree_count_ == 12
    assert fitted.iterations is None
    alone = fit(CATBOOST, sample, {"iterations": 12})
    assert alone.learning_curve is not None
    assert alone.learning_curve.validation is None
    assert (alone.estimator.predict_proba(sample.frame) == fitted.estimator.predict_proba(sample.frame)).all()


def test_early_stopping_keeps_the_best_iterations_and_says_how_many() -> None:
    sample, validation = halves(mixed(n=200))
    fitted = fit(CATBOOST, sample, {"iterations": 300, "early_stopping_rounds": 5}, validation=validation)
    curve = fitted.learning_curve
    assert curve is not None
    assert curve.validation is not None
    assert fitted.iterations == fitted.estimator.tree_count_ == int(np.argmin(curve.validation)) + 1 < 300
    assert len(curve.validation) == fitted.iterations + 5


def test_the_final_fit_takes_the_number_found_and_the_same_learning_rate() -> None:
    sample, validation = halves(mixed(n=200))
    given = {"iterations": 300, "early_stopping_rounds": 5}
    found = fit(CATBOOST, sample, given, validation=validation)
    steps: list[Progress] = []
    final = fit(CATBOOST, sample, given, iterations=found.iterations, on_progress=steps.append)
    assert final.iterations is None
    assert final.estimator.tree_count_ == found.iterations == len(steps) == steps[-1].total
    assert final.estimator.learning_rate_ == found.estimator.learning_rate_
    assert (final.estimator.predict_proba(sample.frame) == found.estimator.predict_proba(sample.frame)).all()


def test_what_catboost_says_goes_to_the_log(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO):
        fit(CATBOOST, mixed(), {"iterations": 4, "verbose": 2})
        spoken = [record.getMessage() for record in caplog.records if "learn:" in record.getMessage()]
        assert [line.split(":")[0] for line in spoken] == ["0", "2", "3"]
        caplog.clear()
        fit(CATBOOST, mixed(), {"iterations": 4, "verbose": 0})
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_fits_at_the_same_time_do_not_mix_their_logs(caplog: pytest.LogCaptureFixture) -> None:
    sample = mixed()
    with caplog.at_level(logging.INFO), ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: fit(CATBOOST, sample, {"iterations": 5, "verbose": True}), range(4)))
    lines = [record.getMessage().split(":")[0] for record in caplog.records if "learn:" in record.getMessage()]
    assert lines == ["0", "1", "2", "3", "4"] * 4


@pytest.mark.parametrize("verbose", [False, True])
def test_fits_and_predictions_at_the_same_time_do_not_disturb_each_other(
    verbose: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    sample = mixed()
    predictor = CATBOOST.predictor(fit(CATBOOST, sample, {"iterations": 5}).estimator, sample.contract)
    expected = predictor.few(sample.rows(3))
    ended = threading.Event()

    def predict() -> int:
        asked = 0
        while not ended.is_set() or asked == 0:
            assert predictor.few(sample.rows(3)) == expected
            asked += 1
        return asked

    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(predict) for _ in range(2)]
        training = [threads.submit(fit, CATBOOST, sample, {"iterations": 5, "verbose": verbose}) for _ in range(6)]
        wait(training)
        ended.set()
    assert all(one.result().estimator.tree_count_ == 5 for one in training)
    assert all(one.result() > 0 for one in asking)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("numbers", [[3.0] * 20, [1.7e18 + 1e9 * i for i in range(20)]])
def test_columns_that_catboost_cannot_tell_apart_are_refused_by_name(numbers: list[float]) -> None:
    sample = sample_of(pl.DataFrame({"when": numbers}), np.arange(20) % 2, (0, 1))
    with pytest.raises(InvalidTable, match=r"X must have a column whose values differ .*: 'when'"):
        fit(CATBOOST, sample)


def test_catboost_errors_are_told_without_its_source_files() -> None:
    sample = mixed()
    unchecked = {**check(CATBOOST.hyperparams, {}), "depth": 17}
    with pytest.raises(InvalidArgument) as caught:
        CATBOOST.fit(FitTask(sample.frame, sample.labels, sample.contract, unchecked))
    assert caught.value.detail == "CatBoost could not fit: Maximum tree depth is 16"
