"""Drift behind every door: what is asked beside the training, column by column, and in one word."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modelyard import errors
from modelyard.client import Client
from modelyard.schemas import (
    Decision,
    Drift,
    DriftQuery,
    Evaluation,
    ModelMetadata,
    PredictRequest,
    TrainRequest,
    parse,
)
from modelyard.verbs import Verbs
from tests.test_contract import name, yard
from tests.waiting import wait_until

__all__ = ["name", "yard"]

COLUMNS = ["age", "job", "flag", "joined", "serial"]


def rows(n: int, seed: int, **changed: Any) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    return [
        {
            "age": draw.gauss(40, 10),
            "job": draw.choice(["clerk", "smith", "", "a\x00b"]),
            "flag": draw.random() < 0.3,
            "joined": f"2024-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}",
            "serial": 1000 + row,
        }
        | {column: make(draw) for column, make in changed.items()}
        for row in range(n)
    ]


X = rows(800, seed=1)
Y = ["yes" if row["age"] > 42 else "no" for row in X]


def train(yard: Verbs, name: str, **fields: Any) -> ModelMetadata:
    asked: dict[str, Any] = {"model_class_key": "logistic_regression", "X": X, "y": Y, "name": name, **fields}
    return yard.train(TrainRequest(**asked))


def after(yard: Verbs, name: str, X: list[dict[str, Any]]) -> Drift:
    """Return the drift once these rows have been predicted for."""
    before = yard.get_drift(name).rows
    yard.predict(PredictRequest(model_id=name, X=X))
    wait_until(lambda: yard.get_drift(name).rows == before + len(X))
    return yard.get_drift(name)


def test_few_rows_are_shown_and_not_judged(yard: Verbs, name: str) -> None:
    model = train(yard, name)
    found = yard.get_drift(name)
    assert (found.model_id, found.name, found.version) == (model.model_id, name, 1)
    assert (found.rows, found.status) == (0, "too_few_rows")
    assert found.message == "0 rows in 24 hours; it takes 200 to tell"
    assert found.columns.keys() == set(COLUMNS)
    assert found.until - timedelta(hours=25) <= found.since <= found.until - timedelta(hours=24)
    assert abs(found.until - datetime.now(UTC)) < timedelta(hours=1)
    assert found.hourly == []
    one, *others = rows(199, seed=2, age=lambda _: 90.0)
    assert after(yard, name, [one]).message == "1 row in 24 hours; it takes 200 to tell"
    found = after(yard, name, others)
    assert sum(one.rows for one in found.hourly) == 199
    assert all(found.since <= one.hour <= found.until and one.hour.minute == 0 for one in found.hourly)
    assert (found.rows, found.status) == (199, "too_few_rows")
    assert {one.status for one in found.columns.values()} == {"not_judged"}
    assert found.columns["age"].psi > 1


def test_rows_like_trainings_are_ok(yard: Verbs, name: str) -> None:
    train(yard, name)
    found = after(yard, name, rows(1000, seed=3))
    assert (found.rows, found.status) == (1000, "ok")
    assert found.message == "1,000 rows in 24 hours; they are like training's"
    assert {name: one.status for name, one in found.columns.items()} == {
        "age": "ok",
        "job": "ok",
        "flag": "ok",
        "joined": "not_judged",
        "serial": "not_judged",
    }
    for one in (*found.columns.values(), found.predictions):
        assert one is not None
        assert len(one.bins) == len(one.expected) == len(one.seen)
        assert sum(one.expected) == pytest.approx(1)
        assert sum(one.seen) == pytest.approx(1)
    assert found.predictions is not None
    assert (found.predictions.status, found.predictions.bins) == ("ok", ["no", "yes"])
    assert found.columns["job"].bins[-2:] == ["others", "missing"]
    assert {"clerk", "smith", "a\x00b"} < set(found.columns["job"].bins)
    assert found.columns["flag"].bins == ["false", "true", "others", "missing"]
    assert found.columns["joined"].bins[1].startswith("2024-")


def test_what_drifts_is_named(yard: Verbs, name: str) -> None:
    train(yard, name)
    moved = {"age": lambda draw: draw.gauss(60, 10), "job": lambda draw: draw.choice(["clerk", "new", "newer"])}
    found = after(yard, name, rows(1000, seed=4, **moved, joined=lambda _: "2031-01-01", serial=lambda _: 5))
    assert found.status == "drifted"
    statuses = {name: one.status for name, one in found.columns.items()}
    assert statuses == {
        "age": "drifted",
        "job": "drifted",
        "flag": "ok",
        "joined": "not_judged",
        "serial": "not_judged",
    }
    assert found.columns["job"].unknown == pytest.approx(2 / 3, abs=0.05)
    assert found.columns["joined"].out_of_range == 1
    assert found.columns["joined"].psi > 1
    assert 0.01 < found.columns["age"].out_of_range < 0.2
    assert found.columns["age"].p_value < 1e-9
    assert found.predictions is not None
    assert found.predictions.status == "drifted"
    for named in ("age (drifted, psi ", "job (drifted, psi ", "the predictions (drifted, psi "):
        assert named in found.message


def test_missing_cells_drift(yard: Verbs, name: str) -> None:
    train(yard, name)
    found = after(yard, name, rows(500, seed=5, age=lambda draw: None if draw.random() < 0.2 else draw.gauss(40, 10)))
    age = found.columns["age"]
    assert (age.status, age.bins[-1], age.expected[-1]) == ("drifted", "missing", 0)
    assert age.missing == age.seen[-1] == pytest.approx(0.2, abs=0.05)


def test_the_answers_are_compared_by_the_decision_that_is_obeyed(yard: Verbs, name: str) -> None:
    train(yard, name)
    after(yard, name, rows(300, seed=6))
    yard.set_decision(name, Decision(rule="threshold", threshold=0.02))
    found = yard.get_drift(name)
    assert found.predictions is not None
    assert (found.predictions.seen, found.predictions.status) == ([0, 0], "not_judged")
    assert found.predictions.expected[1] > 0.5
    found = after(yard, name, rows(300, seed=7))
    assert found.predictions is not None
    assert (found.rows, found.predictions.status) == (600, "ok")
    assert found.predictions.seen[1] > 0.5


def test_numbers_that_are_answered_are_compared_by_deciles(yard: Verbs, name: str) -> None:
    y = [row["age"] * 2 for row in X]
    train(yard, name, model_class_key="linear_regression", y=y, evaluation={"method": "cv", "folds": 3})
    found = after(yard, name, rows(400, seed=8))
    assert found.predictions is not None
    assert (found.predictions.status, len(found.predictions.bins)) == ("ok", 11)
    found = after(yard, name, rows(800, seed=9, age=lambda draw: draw.gauss(70, 5)))
    assert found.predictions is not None
    assert (found.status, found.predictions.status) == ("drifted", "drifted")
    assert found.predictions.out_of_range > 0


def test_a_model_that_was_not_validated_has_no_answers_to_compare(yard: Verbs, name: str) -> None:
    for key, y in (("logistic_regression", Y), ("linear_regression", [row["age"] for row in X])):
        model = train(yard, f"{name}-{key}", model_class_key=key, y=y, evaluation=Evaluation(method="none"))
        found = after(yard, model.name, rows(250, seed=10))
        assert (found.status, found.predictions) == ("ok", None)


def test_each_version_has_counts_of_its_own_and_a_deleted_one_keeps_them(yard: Verbs, name: str) -> None:
    first, _ = train(yard, name), train(yard, name)
    yard.predict(PredictRequest(model_id=f"{name}:1", X=X[:5]))
    wait_until(lambda: yard.get_drift(f"{name}:1").rows == 5)
    assert yard.get_drift(name).rows == 0
    yard.delete(first.model_id)
    assert yard.get_drift(first.model_id, DriftQuery(hours=2160)).rows == 5
    yard.delete(first.model_id, hard=True)
    with pytest.raises(errors.ModelNotFound, match="deleted for good"):
        yard.get_drift(first.model_id)


@pytest.mark.parametrize("hours", [0, -1, 2161])
def test_hours_are_bounded(yard: Verbs, hours: int) -> None:
    with pytest.raises(errors.InvalidRequest, match="hours"):
        parse(DriftQuery, {"hours": hours})
    if isinstance(yard, Client):
        with pytest.raises(errors.InvalidRequest, match="hours"):
            yard.get_drift("any", DriftQuery.model_construct(hours=hours))


def test_an_unknown_model_has_no_drift(yard: Verbs) -> None:
    with pytest.raises(errors.ModelNotFound):
        yard.get_drift("never-there")
