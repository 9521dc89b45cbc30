"""The quick predictors answer what the libraries' own `predict_proba` answers, to 1e-12, on any checked table."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from modelyard.models_registry import BUILT_IN
from modelyard.tables.contract import MISSING_CATEGORY, escape_category
from tests.models_registry_tables import (
    CLASSIFIERS,
    LABELS,
    REGRESSORS,
    Sample,
    few_trees,
    fit,
    library_predictor,
    mixed,
    mixed_numbers,
    rows_of,
    sample_for,
    sample_of,
)

SCALES = ((0.0, 1.0), (1.7e18, 1e14), (1.7e9, 1.0), (0.0, 1e-12), (-5e5, 1e7), (3.0, 0.0))
TEXTS = st.sampled_from(["a", "b", "", "1", "é", "nan", MISSING_CATEGORY, escape_category(MISSING_CATEGORY)])

PATTERNS = ("*", "^.*$", "c")
"""Names of columns that polars takes for several, where it may."""


@st.composite
def tables(draw: st.DrawFn) -> tuple[Sample, pl.DataFrame]:
    """A training sample of any scales, and a frame to predict for with cells that training never saw."""
    classes = LABELS[draw(st.sampled_from(sorted(LABELS)))]
    n = draw(st.integers(4, 12)) * len(classes)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    codes = np.arange(n) % len(classes)
    trained: dict[str, Any] = {"sure": codes + random.normal(size=n)}
    asked: dict[str, Any] = {"sure": random.normal(size=n)}
    for i, (centre, spread) in enumerate(draw(st.lists(st.sampled_from(SCALES), max_size=4))):
        for columns, factor in ((trained, 1.0), (asked, 3.0)):
            numbers = pl.Series(centre + spread * factor * random.normal(size=n))
            columns[f"n{i}"] = numbers.set(pl.Series(random.random(n) < draw(st.sampled_from([0.0, 0.3, 1.0]))), None)
    for name in draw(st.lists(st.sampled_from(PATTERNS), max_size=3, unique=True)):
        trained[name] = draw(st.lists(TEXTS, min_size=n, max_size=n))
        asked[name] = draw(st.lists(TEXTS | st.text(max_size=3).map(escape_category), min_size=n, max_size=n))
    names = draw(st.permutations(sorted(trained)))
    frames = (pl.DataFrame({name: columns[name] for name in names}) for columns in (trained, asked))
    sample_frame, asked_frame = (frame.with_columns(pl.col(pl.Null).cast(pl.Float64)) for frame in frames)
    return sample_of(sample_frame, codes, classes), asked_frame


@pytest.mark.parametrize(
    ("key", "hyperparams"),
    [
        ("logistic_regression", {}),
        ("logistic_regression", {"solver": "newton-cholesky", "penalty": "none"}),
        ("catboost_classifier", {"iterations": 10, "depth": 3}),
        ("lightgbm_classifier", {"n_estimators": 10, "num_leaves": 4}),
        ("linear_regression", {}),
        ("linear_regression", {"solver": "sparse_cg", "alpha": 0.01}),
        ("catboost_regressor", {"iterations": 10, "depth": 3}),
        ("lightgbm_regressor", {"n_estimators": 10, "num_leaves": 4}),
    ],
)
@given(tables())
def test_few_and_many_equal_the_library(
    key: str, hyperparams: dict[str, Any], table: tuple[Sample, pl.DataFrame]
) -> None:
    sample, asked = table
    model_class = BUILT_IN[key]
    if key in REGRESSORS:
        sample = sample_of(sample.frame, 7.0 + 3.0 * np.arange(sample.frame.height), ())
    estimator = fit(model_class, sample, hyperparams).estimator
    expected = library_predictor(estimator, sample.contract).many(asked)
    predictor = model_class.predictor(estimator, sample.contract)
    atol = 1e-12 * max(1.0, float(np.abs(expected).max()))
    assert_allclose(predictor.many(asked), expected, rtol=0, atol=atol)
    assert model_class.reads_enums
    texts = [name for name, column in sample.contract.categorical.items() if set(asked[name]) <= {*column.categories}]
    enums = asked.with_columns(asked[name].cast(sample.contract.categorical[name].enum) for name in texts)
    assert np.array_equal(predictor.many(enums), predictor.many(asked))
    assert_allclose(predictor.few(rows_of(asked)), expected, rtol=0, atol=atol)
    assert_allclose(predictor.few(rows_of(asked)[:1]), expected[:1], rtol=0, atol=atol)


@pytest.mark.parametrize("classes", [(False, True), (0, 1, 2)])
def test_numbers_far_outside_the_training_stay_probabilities(classes: tuple[int, ...]) -> None:
    sample = mixed(classes)
    for model_class in CLASSIFIERS.values():
        estimator = fit(model_class, sample, few_trees(model_class, 5)).estimator
        predictor = model_class.predictor(estimator, sample.contract)
        for age in (1e300, -1e300, 1e18, -1e18, 1e5, -1e5):
            asked = sample.frame.head(1).with_columns(age=pl.lit(age))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # the pipeline's own overflows
                expected = library_predictor(estimator, sample.contract).many(asked)
            assert_allclose(predictor.many(asked), expected, rtol=0, atol=1e-12)
            assert_allclose(predictor.few(rows_of(asked)), expected, rtol=0, atol=1e-12)


def test_the_size_grows_with_the_model() -> None:
    small, large = mixed(), mixed(LABELS["three integers"])
    texts = [f"text number {i}" for i in range(len(large.frame))]
    large = sample_of(large.frame.with_columns(many=pl.Series(texts)), np.arange(len(texts)) % 3, (0, 1, 2))
    for model_class in CLASSIFIERS.values():
        given = [few_trees(model_class, 5), few_trees(model_class, 50)]
        sizes = [
            model_class.predictor(fit(model_class, sample, hyperparams).estimator, sample.contract).size_bytes
            for sample, hyperparams in zip((small, large), given, strict=True)
        ]
        assert 1_000 < sizes[0] < sizes[1] < 10_000_000


@pytest.mark.parametrize("classes", ["two", "three"])
def test_numbers_far_out_still_have_probabilities(classes: str) -> None:
    """Their shares are infinite and cancel to NaN, or meet a weight of 0; the largest share then decides."""
    random = np.random.default_rng(0)
    k = 2 if classes == "two" else 3
    codes = np.arange(120) % k
    frame = pl.DataFrame({"a": codes + random.normal(size=120), "b": 2.0 * codes + random.normal(size=120)})
    sample = sample_of(frame, codes, tuple(range(k)))
    model_class = BUILT_IN["logistic_regression"]
    predictor = model_class.predictor(fit(model_class, sample).estimator, sample.contract)
    far = pl.DataFrame({"a": [1e308, -1e308, 1e308, None, 0.5], "b": [-1e308, 1e308, 1e308, 1e308, 0.5]})
    many = predictor.many(far)
    few = predictor.few(rows_of(far))
    assert np.isfinite(many).all()
    assert_allclose(many.sum(axis=1), 1.0)
    assert_allclose(few, many, atol=1e-12)
    assert many[2].argmax() == many[3].argmax() == k - 1
    assert_allclose(many[4], predictor.many(far.tail(1))[0], atol=1e-12)


@pytest.mark.parametrize("key", REGRESSORS)
def test_a_regression_answers_with_a_finite_number_however_far_out_the_row_is(key: str) -> None:
    """Shares of a sum that are infinite cancel to NaN, which is no answer; the largest share then decides."""
    sample = mixed_numbers()
    model_class = REGRESSORS[key]
    predictor = model_class.predictor(fit(model_class, sample, few_trees(model_class, 5)).estimator, sample.contract)
    far = [1e308, -1e308, 1e300, 1e18, None]
    asked = pl.concat([sample.frame.head(1)] * len(far)).with_columns(
        pl.Series("age", far, dtype=pl.Float64), pl.Series("seen at", far[::-1], dtype=pl.Float64)
    )
    many = predictor.many(asked)
    assert np.isfinite(many).all()
    assert_allclose(predictor.few(rows_of(asked)), many, rtol=1e-12)


@pytest.mark.parametrize("key", REGRESSORS)
def test_the_size_of_a_regression_grows_with_the_model(key: str) -> None:
    model_class = REGRESSORS[key]
    small = sample_for(model_class)
    texts = pl.Series("many", [f"text number {i}" for i in range(small.frame.height)])
    large = sample_of(small.frame.with_columns(texts), small.labels, ())
    given = [few_trees(model_class, 5), few_trees(model_class, 50)]
    sizes = [
        model_class.predictor(fit(model_class, sample, hyperparams).estimator, sample.contract).size_bytes
        for sample, hyperparams in zip((small, large), given, strict=True)
    ]
    assert 1_000 < sizes[0] < sizes[1] < 10_000_000
