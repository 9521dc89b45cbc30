"""Contributions add up to the library's own raw score, and are the library's own, or the closed form by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given, settings
from numpy.testing import assert_allclose

from modelyard.models_registry import BUILT_IN, keys_that_explain
from modelyard.models_registry.contributions import Contributions
from modelyard.models_registry.lightgbm.codes import Codes
from modelyard.models_registry.predictors import class_order
from tests.models_registry.test_predictors import tables
from tests.models_registry_tables import (
    LABELS,
    REGRESSORS,
    Sample,
    few_trees,
    fit,
    library_predictor,
    mixed,
    mixed_numbers,
    sample_named,
    sample_of,
)

LINEAR = ("logistic_regression", "linear_regression")

Numbers = npt.NDArray[np.float64]


def explained(key: str, sample: Sample, asked: pl.DataFrame) -> tuple[Any, Contributions]:
    """Fit a model class, and take the scores of a frame's rows apart."""
    model_class = BUILT_IN[key]
    estimator = fit(model_class, sample, few_trees(model_class, 10)).estimator
    found = model_class.contributions(model_class.predictor(estimator, sample.contract), asked)
    assert found is not None
    return estimator, found


def raw_scores(estimator: Any, sample: Sample, asked: pl.DataFrame) -> Numbers:
    """Return the library's own raw scores, shape (n, d), in the order of the contract's classes."""
    classes = sample.contract.classes
    if not classes:
        return library_predictor(estimator, sample.contract).many(asked)
    if hasattr(estimator, "booster_"):
        raw = estimator.booster_.predict(Codes(sample.contract).matrix(asked), raw_score=True)
    elif hasattr(estimator, "decision_function"):
        raw = estimator.decision_function(asked)
    else:
        raw = estimator.predict(asked, prediction_type="RawFormulaVal")
    order = class_order(estimator.classes_, sample.contract)
    if len(classes) == 2:
        return np.asarray(raw).reshape(-1, 1) * (1.0 if order == [0, 1] else -1.0)
    return np.asarray(raw, dtype=np.float64)[:, order]


def assert_adds_up(found: Contributions, raw: Numbers) -> None:
    assert found.shares.shape[:2] == raw.shape
    atol = 1e-6 * np.maximum(1e-300, np.abs(raw))
    assert (np.abs(found.base + found.shares.sum(axis=2) - raw) <= np.maximum(atol, 1e-9)).all()


@pytest.mark.parametrize("key", BUILT_IN)
@settings(max_examples=25)
@given(tables())
def test_base_and_contributions_add_up_to_the_raw_score(key: str, table: tuple[Sample, pl.DataFrame]) -> None:
    sample, asked = table
    if key in REGRESSORS:
        sample = sample_of(sample.frame, 7.0 + 3.0 * np.arange(sample.frame.height), ())
    estimator, found = explained(key, sample, asked)
    assert found.shares.shape[2] == asked.width
    assert found.warnings == ()
    assert_adds_up(found, raw_scores(estimator, sample, asked))


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("key", [key for key in BUILT_IN if key not in REGRESSORS])
def test_the_outputs_are_in_the_order_of_the_contracts_classes(key: str, labels: str) -> None:
    sample = mixed(LABELS[labels])
    estimator, found = explained(key, sample, sample.frame)
    raw = raw_scores(estimator, sample, sample.frame)
    assert_adds_up(found, raw)
    shares = 1 / (1 + np.exp(-raw[:, 0])) if raw.shape[1] == 1 else np.exp(raw) / np.exp(raw).sum(axis=1)[:, None]
    likely = library_predictor(estimator, sample.contract).many(sample.frame)
    assert_allclose(shares, likely[:, 1] if raw.shape[1] == 1 else likely, atol=1e-9)


def test_two_classes_in_the_other_order_change_the_sign_and_several_their_places() -> None:
    two = Contributions(np.array([1.0]), np.array([[[2.0, -3.0]]])).in_order([1, 0])
    assert (two.base.tolist(), two.shares.tolist()) == ([-1.0], [[[-2.0, 3.0]]])
    three = Contributions(np.array([1.0, 2.0, 3.0]), np.array([[[1.0], [2.0], [3.0]]])).in_order([2, 0, 1])
    assert (three.base.tolist(), three.shares.tolist()) == ([3.0, 1.0, 2.0], [[[3.0], [1.0], [2.0]]])


@pytest.mark.parametrize("target", ["two texts", "three integers", "numbers near 0", "timestamps"])
def test_a_linear_model_is_explained_around_the_means_of_training_by_hand(target: str) -> None:
    sample = sample_named(target)
    key = "logistic_regression" if sample.contract.classes else "linear_regression"
    asked = mixed(seed=1).frame
    pipeline, found = explained(key, sample, asked)
    dense = [np.asarray(pipeline[0].transform(frame)) for frame in (sample.frame, asked)]
    trained, wanted = (matrix if matrix.ndim else matrix.item().toarray() for matrix in dense)
    coef, mean = np.atleast_2d(pipeline[-1].coef_), trained.mean(axis=0)
    single = (wanted - mean)[:, None, :] * coef  # one a feature of the pipeline
    names = [name.split("__", 1)[1] for name in pipeline[0].get_feature_names_out()]
    for at, column in enumerate(sample.contract.feature_names):
        parts = [i for i, name in enumerate(names) if name == column or name.startswith(f"{column}_")]
        assert_allclose(found.shares[:, :, at], single[:, :, parts].sum(axis=2), rtol=0, atol=1e-9)
    assert_allclose(found.base, pipeline[-1].intercept_ + coef @ mean, rtol=1e-9)


@pytest.mark.parametrize("target", ["two texts", "three integers", "numbers near 0", "large numbers"])
def test_catboosts_are_its_own_shap_values(target: str) -> None:
    from catboost import Pool

    sample = sample_named(target)
    key = "catboost_classifier" if sample.contract.classes else "catboost_regressor"
    estimator, found = explained(key, sample, sample.frame)
    scale, bias = (1.0, 0.0) if sample.contract.classes else estimator.get_scale_and_bias()
    unscaled = estimator if sample.contract.classes else estimator.copy()
    if not sample.contract.classes:
        unscaled.set_scale_and_bias(1.0, 0.0)
    categorical = [i for i, dtype in enumerate(sample.frame.dtypes) if dtype == pl.String]
    own = unscaled.get_feature_importance(Pool(sample.frame, cat_features=categorical), type="ShapValues")
    own = own.reshape(len(own), -1, own.shape[-1])
    assert_allclose(found.shares, own[:, :, :-1] * scale, rtol=1e-12)
    assert_allclose(found.base, own[0, :, -1] * scale + bias, rtol=1e-12)


@pytest.mark.parametrize("key", LINEAR)
def test_a_row_however_far_out_has_finite_contributions(key: str) -> None:
    sample = mixed_numbers() if key in REGRESSORS else mixed()
    far = [1e308, -1e308, 1e300, 1e18, None]
    asked = pl.concat([sample.frame.head(1)] * len(far)).with_columns(
        pl.Series("age", far, dtype=pl.Float64), pl.Series("tiny", far[::-1], dtype=pl.Float64)
    )
    _, found = explained(key, sample, asked)
    assert np.isfinite(found.shares).all()
    assert (found.shares != 0).any(axis=(1, 2)).all()


@pytest.mark.parametrize("key", LINEAR)
def test_a_model_that_did_not_keep_how_frequent_categories_were_says_so_and_still_adds_up(key: str) -> None:
    sample = mixed_numbers() if key in REGRESSORS else mixed()
    uncounted = {name: replace(column, counts=None) for name, column in sample.contract.categorical.items()}
    before = replace(sample, contract=replace(sample.contract, categorical=uncounted))
    estimator, found = explained(key, before, sample.frame)
    assert [(warning.code, warning.count) for warning in found.warnings] == [("categories_not_counted", 2)]
    assert_adds_up(found, raw_scores(estimator, sample, sample.frame))
    _, counted = explained(key, sample, sample.frame)
    assert not np.allclose(counted.base, found.base)


@pytest.mark.parametrize("target", ["two texts", "three integers", "numbers near 0", "timestamps"])
def test_lightgbms_are_its_own_contributions(target: str) -> None:
    sample = sample_named(target)
    key = "lightgbm_classifier" if sample.contract.classes else "lightgbm_regressor"
    estimator, found = explained(key, sample, sample.frame)
    own = estimator.booster_.predict(Codes(sample.contract).matrix(sample.frame), pred_contrib=True)
    own = own.reshape(len(own), len(found.base), -1)
    assert_allclose(found.shares, own[:, :, :-1], rtol=1e-12)
    assert_allclose(found.base, own[0, :, -1], rtol=1e-12)


def test_all_built_in_classes_explain() -> None:
    assert keys_that_explain() == list(BUILT_IN)
