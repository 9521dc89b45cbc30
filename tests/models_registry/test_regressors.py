"""What the model classes of regression promise of their own: the library's own fit, whatever the size of the target."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from catboost import CatBoostRegressor
from numpy.testing import assert_allclose
from sklearn.linear_model import Ridge

from modelyard.errors import InvalidArgument, InvalidTable
from modelyard.models_registry import BUILT_IN
from modelyard.models_registry.base import Fit, ModelClass, Progress
from modelyard.tables.contract import MISSING_CATEGORY
from tests.models_registry_tables import NUMBERS, REGRESSORS, Sample, few_trees, fit, mixed_numbers, sample_of

LINEAR = BUILT_IN["linear_regression"]
CATBOOST = BUILT_IN["catboost_regressor"]
LIGHTGBM = BUILT_IN["lightgbm_regressor"]
BOOSTED = pytest.mark.parametrize("model_class", [CATBOOST, LIGHTGBM], ids=["catboost", "lightgbm"])


def answers(model_class: ModelClass, fitted: Fit, sample: Sample) -> Any:
    """Return what a fit answers for the rows of a sample, shape (n,)."""
    return model_class.predictor(fitted.estimator, sample.contract).many(sample.frame)[:, 0]


def halves(sample: Sample) -> tuple[Sample, tuple[pl.DataFrame, Any]]:
    middle = sample.frame.height // 2
    first = Sample(sample.frame.head(middle), sample.labels[:middle], sample.contract)
    return first, (sample.frame.tail(-middle), sample.labels[middle:])


def sparse() -> Sample:
    """A sample whose one-hot columns are so many that the pipeline's features are a sparse matrix."""
    texts = pl.Series("text", [f"text {i % 60}" for i in range(180)])
    rows = np.arange(180.0)
    return sample_of(pl.DataFrame([texts, pl.Series("n", rows % 7)]), 3.0 * (rows % 60) + rows % 7, ())


@pytest.mark.parametrize("target", NUMBERS)
def test_linear_regression_is_ridge_on_the_features_of_the_pipeline(target: str) -> None:
    sample = mixed_numbers(*NUMBERS[target])
    pipeline = fit(LINEAR, sample, {"alpha": 0.25}).estimator
    assert list(pipeline.named_steps) == ["columns", "regressor"]
    features = pipeline[0].transform(sample.frame)
    expected = Ridge(alpha=0.25).fit(features, sample.labels).predict(features)
    assert_allclose(pipeline.predict(sample.frame), expected, rtol=1e-9)


@pytest.mark.parametrize("solver", ["auto", "sparse_cg", "sag"])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("sample", [mixed_numbers(), sparse()], ids=["dense", "sparse"])
def test_every_solver_takes_every_table(solver: str, alpha: float, sample: Sample) -> None:
    fitted = fit(LINEAR, sample, {"solver": solver, "alpha": alpha, "max_iter": 5000})
    predictor = LINEAR.predictor(fitted.estimator, sample.contract)
    assert_allclose(predictor.many(sample.frame)[:, 0], fitted.estimator.predict(sample.frame), atol=1e-9)
    assert {warning.code for warning in fitted.warnings} <= {"library_warning", "not_converged"}


def test_a_linear_fit_that_does_not_converge_says_so() -> None:
    (warning,) = fit(LINEAR, mixed_numbers(), {"solver": "sag", "max_iter": 1}).warnings
    assert warning.code == "not_converged"
    assert warning.message == (
        "solver 'sag' stopped after 1 iterations before it had converged: "
        "a larger max_iter, a larger tol or solver 'auto' may fit better"
    )


def test_numbers_too_large_to_standardise_are_refused_by_column() -> None:
    sample = mixed_numbers()
    large = Sample(sample.frame.with_columns(pl.col("age") * 1e306), sample.labels, sample.contract)
    with pytest.raises(InvalidTable, match="column 'age' has numbers too large"):
        fit(LINEAR, large)


@pytest.mark.parametrize("key", REGRESSORS)
def test_a_missing_category_is_a_category_of_its_own(key: str) -> None:
    texts = ["", MISSING_CATEGORY, "nan"] * 40
    target = np.array([10.0 * (text == MISSING_CATEGORY) for text in texts])
    sample = sample_of(pl.DataFrame({"text": texts}), target, ())
    predictor = REGRESSORS[key].predictor(fit(REGRESSORS[key], sample).estimator, sample.contract)
    missing = [row[0] > 5 for row in predictor.few([[""], [MISSING_CATEGORY], ["nan"], ["\x00\x00missing"]])]
    assert missing == [False, True, False, False]


def test_catboost_fits_what_the_library_fits_to_the_target_itself() -> None:
    sample = mixed_numbers(3.0, 2.0)
    ours = fit(CATBOOST, sample, {"iterations": 30}).estimator
    texts = [name for name, kind in sample.contract.feature_types.items() if kind == "categorical"]
    plain = CatBoostRegressor(
        iterations=30,
        one_hot_max_size=10,
        cat_features=texts,
        random_seed=0,
        verbose=False,
        allow_writing_files=False,
    )
    plain.fit(sample.frame, sample.labels)
    assert_allclose(ours.predict(sample.frame), plain.predict(sample.frame), rtol=1e-5)
    assert_allclose(ours.learning_rate_, plain.learning_rate_)


@BOOSTED
@pytest.mark.parametrize("target", NUMBERS)
def test_boosted_trees_fit_a_target_of_any_size_equally_well(model_class: ModelClass, target: str) -> None:
    """Read as float32, timestamps would be all the same number, and numbers beyond 3e38 infinite."""
    sample = mixed_numbers(*NUMBERS[target])
    left_over = (
        answers(model_class, fit(model_class, sample, few_trees(model_class, 30)), sample) - sample.labels
    ) / sample.labels.std()
    near_0 = mixed_numbers()
    expected = answers(model_class, fit(model_class, near_0, few_trees(model_class, 30)), near_0) - near_0.labels
    assert np.std(left_over) == pytest.approx(np.std(expected) / near_0.labels.std(), rel=1e-3)


@BOOSTED
def test_boosted_trees_tell_the_loss_in_the_unit_of_the_target(model_class: ModelClass) -> None:
    sample, validation = halves(mixed_numbers(1.7e9, 500.0))
    steps: list[Progress] = []
    fitted = fit(model_class, sample, few_trees(model_class, 12), validation=validation, on_progress=steps.append)
    curve = fitted.learning_curve
    assert curve is not None
    assert curve.metric == "rmse"
    assert curve.validation is not None
    assert len(curve.train) == len(curve.validation) == len(steps) == 12
    held_out = Sample(*validation, sample.contract)
    rmse = np.sqrt(np.mean((answers(model_class, fitted, held_out) - held_out.labels) ** 2))
    assert curve.validation[-1] == pytest.approx(rmse, rel=1e-4)
    assert steps[-1].metric == pytest.approx(rmse, rel=1e-4)


@BOOSTED
def test_early_stopping_keeps_the_best_iterations_and_the_unit(model_class: ModelClass) -> None:
    sample, validation = halves(mixed_numbers(1.7e9, 500.0, n=200))
    hyperparams = {**few_trees(model_class, 300), "early_stopping_rounds": 5}
    fitted = fit(model_class, sample, hyperparams, validation=validation)
    curve = fitted.learning_curve
    assert curve is not None
    assert curve.validation is not None
    assert fitted.iterations == int(np.argmin(curve.validation)) + 1 < 300
    held_out = Sample(*validation, sample.contract)
    rmse = np.sqrt(np.mean((answers(model_class, fitted, held_out) - held_out.labels) ** 2))
    assert min(curve.validation) == pytest.approx(rmse, rel=1e-4)


def test_numbers_that_are_all_equal_are_answered_or_by_catboost_refused() -> None:
    """It is no fault of the training: a part of its rows may be so, and then it goes without that evaluation."""
    sample = mixed_numbers(7.0, 0.0)
    for model_class in (LINEAR, LIGHTGBM):
        assert_allclose(answers(model_class, fit(model_class, sample), sample), 7.0)
    with pytest.raises(InvalidArgument, match="could not fit: All train targets are equal"):
        fit(CATBOOST, sample)
