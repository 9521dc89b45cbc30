"""Small predictions of one turn of the loop: one look-up and one call for all, and nobody suffers from another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard import calls
from modelyard.calls import Call
from modelyard.errors import InvalidRequest, InvalidTable, ModelNotFound
from modelyard.ml_core.desk import Desk
from modelyard.ml_core.yard import Yard
from modelyard.schemas import Decision, Predictions, PredictRequest, TrainRequest
from tests import doors

X = [{"age": i, "job": "ab"[i % 2]} for i in range(30)]
Y = ["high" if i > 14 else "low" for i in range(30)]


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with doors.core(tmp_path_factory.mktemp("turns") / "yard") as yard:
        for name in ("one", "two"):
            train(yard, name)
        yield yard


def train(yard: Yard, name: str) -> None:
    yard.train(TrainRequest(model_class_key="logistic_regression", X=X, y=Y, name=name, evaluation={"method": "none"}))


def together(desk: Desk, *requests: PredictRequest) -> list[Any]:
    async def ask(request: PredictRequest) -> Predictions:
        return (await desk.predict(0, lambda: request, lambda found: found)).content

    async def run() -> list[Any]:
        return await asyncio.gather(*map(ask, requests), return_exceptions=True)

    return asyncio.run(run())


def test_one_look_up_serves_all_who_ask_for_a_model(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [PredictRequest(model_id=name, X=X[i : i + 1]) for i in range(0, 30, 5) for name in ("one", "two", "two:1")]
    alone = [yard.predict(request) for request in asked]
    looked_up: list[str] = []

    def get_loaded(reference: str, decision: Decision | None) -> Any:
        looked_up.append(reference)
        return original(reference, decision)

    original = yard.loaded.get_loaded
    monkeypatch.setattr(yard.loaded, "get_loaded", get_loaded)
    assert together(Desk(yard), *asked) == alone
    assert sorted(looked_up) == ["one", "two", "two:1"]


def test_decisions_of_requests_in_one_turn_do_not_mix(yard: Yard) -> None:
    always, never = (Decision(rule="threshold", threshold=threshold) for threshold in (0.0, 1.0))
    wrong = Decision(rule="threshold", label="?", threshold=0.5)
    asked = [
        PredictRequest(model_id="one", X=X[:2], decision=decision)
        for decision in (always, None, never, wrong, always, None)
    ]
    desk = Desk(yard)
    for _ in range(2):  # the first time they are resolved in a thread
        found = together(desk, *asked)
        second, first = sorted(set(Y), reverse=True)
        assert found[0].predictions == found[4].predictions == [second] * 2
        assert found[2].predictions == [first] * 2
        assert found[1] == found[5] == yard.predict(PredictRequest(model_id="one", X=X[:2]))
        assert isinstance(found[3], InvalidRequest)


def test_what_is_wrong_with_one_is_told_to_it_alone(yard: Yard) -> None:
    wrong = PredictRequest(model_id="one", X=[{"age": "x", "job": "a"}])
    none = PredictRequest(model_id="none", X=X[:1])
    columns = PredictRequest(model_id="one", X={"age": [1], "job": ["a"]})
    good = PredictRequest(model_id="one", X=X[:1])
    found = together(Desk(yard), good, wrong, none, columns, good)
    assert found[0] == found[4] == yard.predict(good)
    assert found[3] == yard.predict(columns)
    assert [type(error) for error in found[1:3]] == [InvalidTable, ModelNotFound]


def test_an_answer_that_cannot_be_made_is_told_to_its_caller_alone(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(scores: Any, contract: Any, decider: Any) -> Any:
        if len(scores) == 2:
            raise ArithmeticError
        return original(scores, contract, decider)

    task = yard.loaded.get("one").task
    original = task.answers
    monkeypatch.setattr(task, "answers", answers)
    one, two = (PredictRequest(model_id="one", X=X[:rows]) for rows in (1, 2))
    found = together(Desk(yard), one, two, one)
    assert found[0] == found[2] == yard.predict(one)
    assert isinstance(found[1], ArithmeticError)


def test_models_that_are_not_loaded_are_loaded_meanwhile(tmp_path: Path) -> None:
    with doors.core(tmp_path / "yard") as yard:
        train(yard, "new")
        asked = [PredictRequest(model_id="new", X=X[i : i + 1]) for i in range(3)]
        found = together(Desk(yard), *asked)
        assert found == [yard.predict(request) for request in asked]


def test_a_model_that_was_deleted_does_not_answer_in_the_same_turn(yard: Yard) -> None:
    asked = PredictRequest(model_id="two", X=X[:1])

    async def run() -> list[Any]:
        desk = Desk(yard)
        task = asyncio.ensure_future(desk.predict(0, lambda: asked, lambda found: found))
        asyncio.get_running_loop().call_soon(yard.delete, "two")
        return list(await asyncio.gather(task, return_exceptions=True))

    assert together(Desk(yard), asked) == [yard.predict(asked)]
    assert [type(found) for found in asyncio.run(run())] == [ModelNotFound]
    yard.restore("two:1")


def test_what_a_door_reads_and_writes_at_once_is_done_for_its_caller(yard: Yard) -> None:
    """To read a request may take a look at its model."""
    request = PredictRequest(model_id="one", X=X[:1])
    seen: list[Call | None] = []

    def read() -> PredictRequest:
        seen.append(calls.under_way())
        return request

    def write(found: Predictions) -> Predictions:
        seen.append(calls.under_way())
        return found

    async def run(desk: Desk, asked: list[Call]) -> list[Any]:
        found = [asyncio.get_running_loop().create_future() for _ in asked]
        for call, future in zip(asked, found, strict=True):
            desk.predict_soon(call, read, write, future.set_result)
        return [answer.content for answer in await asyncio.gather(*found)]

    asked = [Call(yard.calls, "rest", "POST /predict", request_id=str(i)) for i in range(2)]
    yard.loaded.get("one")
    assert asyncio.run(run(Desk(yard), asked)) == [yard.predict(request)] * 2
    assert seen == asked * 2
