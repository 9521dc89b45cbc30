"""One call for each verb, by whatever door: who is told of it, what was found out, and how it ended."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from modelyard import calls, identities
from modelyard.bootstrap import build
from modelyard.calls import Call, Calls, request_id
from modelyard.errors import DeadlineExceeded, ModelNotFound, Unavailable
from modelyard.grpc_server.client import GrpcClient
from modelyard.ml_core.desk import Desk
from modelyard.ml_core.workers import Workers
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.app import create_app
from modelyard.schemas import Evaluation, PredictRequest, TrainRequest
from modelyard.settings import Settings
from tests import doors
from tests.doors import serving_grpc

X = [{"age": i, "job": "ab"[i % 2]} for i in range(30)]
Y = ["high" if i > 14 else "low" for i in range(30)]
ORDER = TrainRequest(model_class_key="logistic_regression", X=X, y=Y, name="one", evaluation=Evaluation(method="none"))
ASKED = PredictRequest(model_id="one", X=X[:2])
BODY = orjson.dumps({"model_id": "one", "X": X[:2]})


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with doors.core(tmp_path_factory.mktemp("calls") / "yard") as opened:
        opened.train(ORDER)
        yield opened


@pytest.fixture
def told(yard: Yard) -> Iterator[list[Call]]:
    """The calls that have ended since the test began."""
    heard: list[Call] = []
    yard.calls.listeners.append(heard.append)
    yield heard
    yard.calls.listeners.remove(heard.append)


def ends(told: list[Call]) -> list[tuple[str, str, str]]:
    return [(call.door, call.verb, call.code) for call in told]


def test_a_verb_of_the_core_is_one_call_by_local_and_needs_no_line(
    yard: Yard, told: list[Call], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "modelyard.local"):
        yard.train(ORDER)
        with pytest.raises(ModelNotFound):
            yard.get_report("none")
    assert ends(told) == [("local", "train", "OK"), ("local", "get_report", "NOT_FOUND")]
    assert [call.caller for call in told] == [identities.itself().name] * 2
    assert told[0].facts["rows"] == 30
    assert told[0].facts["model_id"]
    assert not caplog.records


@pytest.fixture(scope="module")
def rest(yard: Yard) -> Iterator[Callable[..., httpx.Response]]:
    """Ask the REST door, with its quick ways or without."""
    apps = {express: create_app(Desk(yard), Settings(rest_express=express)) for express in (True, False)}

    async def send(method: str, path: str, express: bool, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(apps[express], raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **options)

    with asyncio.Runner() as loop:
        yield lambda method, path, *, express=True, **options: loop.run(send(method, path, express, **options))


@pytest.mark.parametrize(
    ("method", "path", "verb", "code"),
    [
        ("GET", "/health", "health", "OK"),
        ("GET", "/health/live", "health", "OK"),
        ("HEAD", "/health/ready", "health", "OK"),
        ("GET", "/model-classes", "list_model_classes", "OK"),
        ("GET", "/models", "list_models", "OK"),
        ("GET", "/models/one", "get_model", "OK"),
        ("GET", "/models/none", "get_model", "NOT_FOUND"),
        ("GET", "/models/one/report", "get_report", "OK"),
        ("GET", "/models/one/history", "get_history", "OK"),
        ("GET", "/models/one/artifact", "get_artifact", "OK"),
        ("DELETE", "/models/none?hard=true", "delete", "NOT_FOUND"),
        ("POST", "/models/one/restore", "restore", "OK"),
        ("GET", "/jobs", "list_jobs", "OK"),
        ("GET", "/jobs?limit=x", "list_jobs", "INVALID_ARGUMENT"),
        ("GET", "/jobs/none", "get_job", "NOT_FOUND"),
        ("DELETE", "/jobs/none", "cancel_job", "NOT_FOUND"),
        ("GET", "/jobs/none/events", "watch_job", "NOT_FOUND"),
        ("POST", "/train", "train", "INVALID_ARGUMENT"),
        ("POST", "/retrain?wait=false", "submit_retraining", "INVALID_ARGUMENT"),
        ("POST", "/predict", "predict", "INVALID_ARGUMENT"),
        ("PUT", "/models/one/decision", "set_decision", "INVALID_ARGUMENT"),
        ("PUT", "/models", "", "INVALID_ARGUMENT"),
        ("GET", "/nowhere", "", "NOT_FOUND"),
    ],
)
def test_a_request_is_one_call_of_its_verb(
    rest: Callable[..., httpx.Response], told: list[Call], *, method: str, path: str, verb: str, code: str
) -> None:
    answer = rest(method, path)
    assert ends(told) == [("rest", verb, code)]
    assert told[0].facts["status"] == answer.status_code
    assert told[0].request_id == answer.headers["x-request-id"]
    assert told[0].seconds > 0


@pytest.mark.parametrize("express", [True, False])
def test_a_prediction_says_what_was_found_out(
    rest: Callable[..., httpx.Response], told: list[Call], express: bool
) -> None:
    answer = rest("POST", "/predict", express=express, content=BODY)
    assert ends(told) == [("rest", "predict", "OK")]
    facts = {"model_class": "logistic_regression", "rows": 2, "bytes_in": len(BODY), "bytes_out": len(answer.content)}
    assert facts.items() <= told[0].facts.items()
    assert told[0].facts["model_id"] == answer.json()["model_id"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/models/one"), ("POST", "/predict")])
def test_what_is_not_ours_goes_to_the_log_and_not_to_the_caller(
    rest: Callable[..., httpx.Response],
    yard: Yard,
    told: list[Call],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    method: str,
    path: str,
) -> None:
    def fail(*_: Any) -> Any:
        raise ZeroDivisionError("a secret of ours")

    monkeypatch.setattr(yard._store, "get", fail)
    monkeypatch.setattr(yard.loaded, "get_loaded", fail)
    answer = rest(method, path, content=BODY)
    assert (answer.status_code, answer.json()["detail"]) == (500, calls.UNEXPECTED)
    assert answer.json()["type"] == "urn:modelyard:error:internal"
    assert ends(told)[0][2] == "INTERNAL"
    assert [record.levelname for record in caplog.records if record.name == "modelyard.rest"] == ["ERROR", "WARNING"]
    assert "a secret of ours" in caplog.text


def test_grpc_is_one_call_of_its_verb_too(tmp_path: Path) -> None:
    settings = Settings(storage_dir=tmp_path / "yard", grpc_port=0)
    told: list[Call] = []
    with doors.core(tmp_path / "yard") as trainer:
        trainer.train(ORDER)
    yard = build(settings)
    yard.calls.listeners.append(told.append)
    with serving_grpc(yard, settings) as address, GrpcClient(address) as client:
        client.predict(ASKED)
        client.list_models()
        with pytest.raises(ModelNotFound):
            client.delete("none")
        client.health()
    ours = [call for call in told if call.door == "grpc"]
    assert ends(ours) == [
        ("grpc", "predict", "OK"),
        ("grpc", "list_models", "OK"),
        ("grpc", "delete", "NOT_FOUND"),
        ("grpc", "health", "OK"),
    ]
    assert ours[0].facts["rows"] == 2


@pytest.mark.parametrize("door", ["rest", "grpc"])
@pytest.mark.parametrize(
    ("verb", "error", "level"),
    [
        ("health", None, "DEBUG"),
        ("metrics", None, "DEBUG"),
        ("predict", None, "INFO"),
        ("health", ModelNotFound("no"), "INFO"),
        ("predict", Unavailable("no disk"), "WARNING"),
        ("train", DeadlineExceeded("too long"), "WARNING"),
    ],
)
def test_both_doors_log_an_ending_at_one_level(
    caplog: pytest.LogCaptureFixture, door: str, verb: str, error: Exception | None, level: str
) -> None:
    with caplog.at_level(logging.DEBUG), Call(Calls(), door, "title", request_id="mine") as call:
        calls.name_verb(verb)
        calls.note(rows=3)
        if error is not None:
            call.refusal(error)
        call.end(status="X")
    (line,) = caplog.records
    assert (line.levelname, line.getMessage()) == (level, "title")
    assert list(line.facts) == ["request_id", "rows", "status", "ms"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("given", [None, "", "a b", "x" * 129, "b\u00e9"])
def test_an_id_that_is_none_is_made(given: str | None) -> None:
    assert request_id(given) != given
    assert request_id(request_id(given)) != request_id(given)
    assert request_id("a-b.c:1") == "a-b.c:1"


def test_who_hangs_up_has_no_further_step_taken() -> None:
    begun, left = threading.Event(), threading.Event()

    def work(has_left: Callable[[], bool]) -> None:
        begun.set()
        while not has_left():
            left.wait(0.001)
        left.set()

    async def hang_up() -> None:
        asked = asyncio.ensure_future(Workers(1).run_while_wanted(work))
        await asyncio.to_thread(begun.wait, 60)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        assert await asyncio.to_thread(left.wait, 60)

    asyncio.run(hang_up())
