"""Ensembles: made of model classes, answering by their weights, for two classes, for three and for numbers."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelyard import errors, models_registry
from modelyard.ml_core.training.orders import check_hyperparams, order_training
from modelyard.ml_core.training.plan import TrainingPlan
from modelyard.ml_core.training.trainings import run_training
from modelyard.models_registry.ensemble.blending import blend
from modelyard.models_registry.ensemble.ensemble import Ensemble
from modelyard.schemas import TrainRequest, parse

N = 80
RNG = np.random.default_rng(2)
X = pl.DataFrame({"a": RNG.normal(size=N), "b": RNG.choice(["u", "v", "w"], N), "c": RNG.normal(size=N)})
TARGETS: dict[str, list[Any]] = {
    "classification": np.where(X["a"] + RNG.normal(size=N) / 3 > 0, "yes", "no").tolist(),
    "three classes": RNG.choice(["x", "y", "z"], N).tolist(),
    "regression": (3 * X["a"] + X["c"]).to_list(),
}
MEMBERS = {
    "classification": ["logistic_regression", "catboost_classifier", "lightgbm_classifier"],
    "regression": ["linear_regression", "catboost_regressor", "lightgbm_regressor"],
}
QUICK = {"iterations": 10, "n_estimators": 10}


def members(case: str) -> list[str]:
    return MEMBERS.get(case, MEMBERS["classification"])


def plan(case: str) -> TrainingPlan:
    keys = members(case)
    given = {"model_class_key": keys[0], "X": X, "y": TARGETS[case], "evaluation": {"method": "none"}}
    quick = {
        f"{key}.{name}": value
        for key in keys
        for name, value in QUICK.items()
        if name in {one.name for one in models_registry.model_class(key).hyperparams}
    }
    hyperparams = {keys[0]: 0.5, keys[1]: 0.3, keys[2]: 0.2, **quick}
    model_class = models_registry.class_of_model("Ensemble", hyperparams)
    ordered = order_training(parse(TrainRequest, given), ()).plan
    return replace(ordered, model_class=model_class, hyperparams=check_hyperparams(model_class, hyperparams))


@pytest.mark.parametrize("case", TARGETS)
def test_an_ensemble_blends_its_members_and_is_explained_by_their_weights(case: str) -> None:
    ordered = plan(case)
    trained = run_training(ordered)
    contract, frame = ordered.table.contract, ordered.table.frame
    estimator = pickle.loads(pickle.dumps(trained.estimator))
    assert type(estimator) is dict
    predictor = ordered.model_class.predictor(estimator, contract)
    scores = predictor.many(frame)
    each = [
        models_registry.model_class(key).predictor(estimator["estimators"][key], contract).many(frame)
        for key in members(case)
    ]
    weights = [0.5, 0.3, 0.2]
    if contract.classes:
        logs = sum(weight * np.log(one) for weight, one in zip(weights, each, strict=True))
        expected = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
    else:
        expected = sum(weight * one for weight, one in zip(weights, each, strict=True))
    np.testing.assert_allclose(scores, expected, rtol=1e-9)

    rows = [list(row) for row in ordered.table.text_frame.rows()]
    assert predictor.few(rows[:3]) == scores[:3].tolist()
    assert predictor.few(rows[2:3]) == scores[2:3].tolist()
    assert predictor.few([]) == []
    assert predictor.many(frame[:0]).shape == (0, scores.shape[1])

    told = ordered.model_class.contributions(predictor, frame)
    assert told is not None
    raw = told.base + told.shares.sum(axis=2)
    if len(contract.classes) == 2:
        np.testing.assert_allclose(raw[:, 0], np.log(scores[:, 1] / scores[:, 0]), rtol=1e-6, atol=1e-9)
    elif contract.classes:
        np.testing.assert_allclose(np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True), scores, rtol=1e-6)
    else:
        np.testing.assert_allclose(raw, scores, rtol=1e-6)

    importances = trained.report.feature_importances
    assert importances is not None
    assert sum(importances.values()) == pytest.approx(100)


def test_what_an_ensemble_needs_and_heeds_follows_from_its_members() -> None:
    linear, trees = (models_registry.model_class(key) for key in ("logistic_regression", "lightgbm_classifier"))
    assert Ensemble([linear, trees]).libraries == ("scikit-learn", "lightgbm")
    assert not Ensemble([linear, trees]).takes_monotone
    assert Ensemble([trees]).takes_monotone
    assert Ensemble([trees]).task == "classification"
    assert not Ensemble([trees]).gains_by_batching


def test_hyperparams_of_members_are_checked_under_their_names() -> None:
    ensemble = models_registry.class_of_model("ensemble", {"catboost_classifier": 1.0})
    with pytest.raises(errors.InvalidHyperparams, match=r"'catboost_classifier\.depth' must be at most 16, got 20"):
        check_hyperparams(ensemble, {"catboost_classifier.depth": 20})
    with pytest.raises(errors.InvalidHyperparams, match="'catboost_classifier' must be greater than 0"):
        check_hyperparams(ensemble, {"catboost_classifier": 0})
    with pytest.raises(errors.InvalidHyperparams, match=r"early_stopping_rounds' is unknown"):
        check_hyperparams(ensemble, {"catboost_classifier.early_stopping_rounds": 5})
    linear = models_registry.class_of_model("ensemble", {"logistic_regression": 1.0})
    with pytest.raises(errors.InvalidHyperparams, match=r"logistic_regression: .*'penalty' cannot be 'l1'") as caught:
        check_hyperparams(linear, {"logistic_regression.penalty": "l1"})
    assert caught.value.errors[0].loc == ("hyperparams", "logistic_regression.penalty")


def test_an_ensemble_is_no_class_to_choose_from() -> None:
    assert "ensemble" not in json.dumps([info.key for info in models_registry.describe_all()])
    with pytest.raises(errors.ModelClassNotFound, match="made by a search"):
        models_registry.model_class("Ensemble")


def test_a_member_that_is_certain_of_the_wrong_class_does_not_outvote_all_others() -> None:
    blended = blend([np.array([[1.0, 0.0]]), np.array([[1e-12, 1 - 1e-12]])], [0.4, 0.6], are_probabilities=True)
    assert blended[0, 1] > blended[0, 0]
    assert blended.sum() == pytest.approx(1)
