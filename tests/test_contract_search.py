"""Searches behind every door: what they make, tell and refuse."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelyard import errors
from modelyard.schemas import (
    AuditQuery,
    ExplainRequest,
    PredictRequest,
    RetrainRequest,
    SearchRequest,
    TrainRequest,
    parse,
)
from modelyard.verbs import Verbs
from tests.test_contract import LABELS, RECORDS, name, order, yard

__all__ = ["name", "yard"]

CHANCE = random.Random(7)
MIXED = [{"a": CHANCE.uniform(-3, 3), "b": CHANCE.uniform(-3, 3)} for _ in range(150)]
SUMS = [3 * row["a"] + 4 * (row["b"] > 0) + CHANCE.gauss(0, 0.4) for row in MIXED]
"""Half a line and half a step: neither a linear model nor trees are best alone."""


def search(name: str, **fields: Any) -> SearchRequest:
    defaults: dict[str, Any] = {"X": RECORDS, "y": LABELS, "name": name, "trials": 2}
    defaults["model_classes"] = ["logistic_regression"]
    return parse(SearchRequest, {**defaults, **fields})


def test_a_search_makes_a_model_with_its_leaderboard(yard: Verbs, name: str) -> None:
    model = yard.search(search(name, tags=["found"], description="The best.", metric="roc_auc", trials=3))
    assert (model.name, model.version, model.model_class_key) == (name, 1, "logistic_regression")
    assert (model.tags, model.description) == (["found"], "The best.")
    assert model.search is not None
    assert (model.search.trials, model.search.metric) == (3, "roc_auc")
    assert model.search.seconds > 0
    assert model.metrics["validation_roc_auc"] is not None
    assert model == yard.get_model(name).model_copy(update={"message": model.message})
    board = yard.get_report(name).leaderboard
    assert board is not None
    assert len(board) == 3
    complete = [entry for entry in board if entry.status == "complete"]
    assert [entry.metric for entry in complete] == sorted((entry.metric or 0 for entry in complete), reverse=True)
    (chosen,) = [entry for entry in board if entry.weight]
    assert (chosen.weight, chosen.words, chosen.hyperparams) == (1.0, "the model", model.hyperparams)
    assert chosen.metric is not None
    assert chosen.low is not None
    assert chosen.high is not None
    assert chosen.low <= chosen.metric <= chosen.high
    assert len(yard.predict(PredictRequest(model_id=name, X=RECORDS)).predictions) == len(RECORDS)
    noted = [entry for entry in yard.list_audit(AuditQuery(verb="search")).entries if entry.what["name"] == name]
    assert [entry.what["model_class"] for entry in noted] == ["auto"]


def test_an_ensemble_is_served_explained_and_retrained_like_any_model(yard: Verbs, name: str) -> None:
    members = ["linear_regression", "lightgbm_regressor"]
    model = yard.search(search(name, X=MIXED, y=SUMS, model_classes=members, evaluation={"method": "none"}))
    assert model.model_class_key == "ensemble"
    assert model.task == "regression"
    assert sum(model.hyperparams[key] for key in members) == pytest.approx(1)
    board = yard.get_report(name).leaderboard
    assert board is not None
    assert (board[0].model_class_key, board[0].words, board[0].weight) == ("ensemble", "the model", None)
    assert {entry.model_class_key: entry.weight for entry in board[1:]} == {
        key: pytest.approx(model.hyperparams[key]) for key in members
    }
    many = yard.predict(PredictRequest(model_id=name, X=MIXED)).predictions
    assert yard.predict(PredictRequest(model_id=name, X=MIXED[5:6])).predictions == many[5:6]
    told = yard.explain(ExplainRequest(model_id=name, X=MIXED))
    scores = [told.score(row, 0) for row in range(len(MIXED))]
    np.testing.assert_allclose(scores, np.array(many, dtype=float), rtol=1e-9)

    changed = {"lightgbm_regressor.n_estimators": 20, "linear_regression": 2.5}
    child = yard.retrain(RetrainRequest(model_id=name, X=MIXED, y=SUMS, hyperparams=changed))
    assert (child.model_class_key, child.version, child.search) == ("ensemble", 2, None)
    assert child.hyperparams == {**model.hyperparams, **changed}
    with pytest.raises(errors.InvalidHyperparams, match="'depth' is unknown"):
        yard.retrain(RetrainRequest(model_id=name, X=MIXED, y=SUMS, hyperparams={"depth": 3}))
    assert {one.name for one in yard.list_models().models if one.model_class_key == "ensemble"} >= {name}


def test_a_search_can_be_ordered_followed_and_cancelled(yard: Verbs, name: str) -> None:
    job = yard.submit_search(search(name))
    assert (job.kind, job.model_class_key, job.name) == ("search", "auto", name)
    *_, ended = yard.watch_job(job.job_id)
    assert ended.status == "succeeded"
    assert (ended.progress.step, ended.progress.total) == (2, 2)
    assert ended.progress.model_class_key == "logistic_regression"
    (leader,) = ended.progress.board
    assert (leader.model_class_key, leader.metric, leader.trials) == ("logistic_regression", ended.progress.metric, 2)
    assert leader.low is not None
    assert leader.high is not None
    assert leader.low <= leader.metric <= leader.high
    assert leader.seconds > 0
    assert (ended.progress.phase, ended.progress.held_out) == ("final fit", True)
    assert ended.progress.max_seconds == search(name).max_seconds
    assert ended.progress.metric is not None

    endless = yard.submit_training(order(name, model_class_key="Auto", evaluation={"method": "holdout"}))
    assert endless.kind == "search"
    assert yard.cancel_job(endless.job_id).status == "cancelled"
    *_, ended = yard.watch_job(endless.job_id)
    assert (ended.status, ended.model_id) == ("cancelled", None)


def test_a_table_of_numbers_is_searched_by_the_classes_of_regression(yard: Verbs, name: str) -> None:
    X = pl.DataFrame(MIXED)
    model = yard.search(parse(SearchRequest, {"X": X, "y": SUMS, "name": name, "trials": 1}))
    assert (model.task, model.model_class_key) == ("regression", "linear_regression")
    assert model.search is not None
    assert model.search.metric == "rmse"


def test_an_idempotency_key_searches_once(yard: Verbs, name: str) -> None:
    first = yard.submit_search(search(name), idempotency_key=name)
    assert yard.submit_search(search(name), idempotency_key=name).job_id == first.job_id
    with pytest.raises(errors.IdempotencyConflict):
        yard.submit_search(search(name, trials=1), idempotency_key=name)
    yard.cancel_job(first.job_id)


@pytest.mark.parametrize(
    ("fields", "kind", "words"),
    [
        ({"evaluation": {"method": "cv"}}, errors.InvalidRequest, "'cv', which would take a search"),
        (
            {"metric": "rmse"},
            errors.InvalidRequest,
            "metric of classification must be one of 'accuracy', .*, got 'rmse'",
        ),
        ({"model_classes": ["logistic_regression", "linear_regression"]}, errors.InvalidRequest, "all be of one task"),
        ({"model_classes": ["ensemble"]}, errors.ModelClassNotFound, "made by a search"),
        ({"model_classes": ["catbost"]}, errors.ModelClassNotFound, "did you mean"),
        ({"task": "regression", "model_classes": None}, errors.InvalidTable, "number"),
        ({"monotone": {"age": 1}}, errors.InvalidRequest, "monotone is not heeded by model class"),
        ({"y": LABELS[:-1]}, errors.InvalidTable, "60 rows"),
    ],
)
def test_a_wrong_search_is_refused_in_words(
    yard: Verbs, name: str, fields: dict[str, Any], kind: type[errors.ModelyardError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        yard.submit_search(search(name, **fields))


def test_a_search_by_training_takes_no_hyperparams(yard: Verbs, name: str) -> None:
    request = TrainRequest(model_class_key="auto", X=RECORDS, y=LABELS, name=name, hyperparams={"C": 1.0})
    with pytest.raises(errors.InvalidRequest, match="hyperparams cannot be given with model class 'auto'"):
        yard.submit_training(request)
