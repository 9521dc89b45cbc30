"""Comparing models on one table: what is said to be shown is rarely there by chance, and what is there is shown."""

from __future__ import annotations

import numpy as np
import pytest

from modelyard.ml_core.evaluating.differences import Judged, differences
from modelyard.ml_core.resampling import Floats, bootstrap, means, replicates
from modelyard.ml_core.tasks import TASKS
from modelyard.ml_core.tasks.base import Truth
from modelyard.schemas import PairDifference


def judged(model_id: str, truth: Truth, scores: Floats, task: str = "regression") -> Judged:
    judge = TASKS[task]
    metrics = judge.metrics_of(truth, scores)
    replicated = replicates(judge.measure(truth, scores), bootstrap(len(truth), 0, rounds=200))
    return Judged(model_id, model_id, metrics, replicated)


def of_metric(found: list[PairDifference], metric: str) -> list[PairDifference]:
    return [pair for pair in found if pair.metric == metric]


def test_equal_models_are_seldom_told_apart() -> None:
    rng = np.random.default_rng(1)
    tables, wrong = 300, 0
    for _ in range(tables):
        missed = np.abs(rng.normal(size=(200, 4)))
        replicated = np.concatenate([means(missed)(weights) for weights in bootstrap(200, 0, rounds=100)])
        models = [
            Judged(name, name, {"mae": missed[:, at].mean()}, {"mae": replicated[:, at]})
            for at, name in enumerate("abcd")
        ]
        pairs = differences(models, 200)
        assert len(pairs) == 6
        wrong += any(pair.words != "no difference shown" for pair in pairs)
    # Six pairs, each by itself at 10 %, would go wrong in some 40 % of the tables.
    assert 0.02 < wrong / tables < 0.14


def test_a_real_difference_is_shown_although_each_model_alone_is_uncertain() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(size=300)
    hard = rng.normal(size=300)  # what makes a row hard, it makes so for both
    near, far = (truth + hard * size for size in (1.0, 1.04))
    models = [judged("near", truth, near[:, None]), judged("far", truth, far[:, None])]
    low, high = np.quantile(models[0].replicated["rmse"], [0.05, 0.95])
    assert low < (models[1].metrics["rmse"] or 0) < high
    (pair,) = of_metric(differences(models, 300), "rmse")
    assert pair.words == "near is better"
    assert pair.low < pair.difference < pair.high < 0


def test_intervals_leave_out_0_exactly_if_a_difference_is_shown() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(2, size=150)
    skills = (0.3, 0.6, 0.65, 1.2, 2.0)
    models = []
    for place, skill in enumerate(skills):
        chance = 1 / (1 + np.exp(-skill * (2 * truth - 1) - rng.normal(size=150)))
        models.append(judged(str(place), truth, np.column_stack([1 - chance, chance]), "classification"))
    found = differences(models, 150)
    assert {pair.words == "no difference shown" for pair in found} == {True, False}
    for pair in found:
        assert (pair.low <= 0 <= pair.high) == (pair.words == "no difference shown")
        assert pair.difference == pytest.approx(
            (models[int(pair.a)].metrics[pair.metric] or 0) - (models[int(pair.b)].metrics[pair.metric] or 0)
        )
    assert [(pair.a, pair.b) for pair in of_metric(found, "roc_auc")] == [
        (str(a), str(b)) for a in range(5) for b in range(a + 1, 5)
    ]
    # The more pairs, the wider the interval of the clearest.
    (alone,) = of_metric(differences([models[0], models[4]], 150), "log_loss")
    (among,) = [pair for pair in of_metric(found, "log_loss") if (pair.a, pair.b) == ("0", "4")]
    assert among.difference == alone.difference
    assert among.high - among.low > alone.high - alone.low


def test_a_difference_of_every_row_is_shown() -> None:
    truth = np.arange(40) % 2
    right = np.column_stack([1.0 - truth, truth.astype(np.float64)])
    models = [judged("right", truth, right, "classification"), judged("wrong", truth, 1 - right, "classification")]
    (pair,) = of_metric(differences(models, 40), "accuracy")
    assert (pair.difference, pair.low, pair.high, pair.words) == (1.0, 1.0, 1.0, "right is better")
