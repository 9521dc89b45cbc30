"""A body of a type that a route does not take is a 415, an Accept that excludes all answers a 406."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from modelyard.bootstrap import build
from modelyard.errors import FormatNotGiven
from modelyard.ml_core.desk import Desk
from modelyard.rest_api.app import create_app
from modelyard.rest_api.formats import choose, formats_of
from modelyard.settings import Settings
from tests import doors
from tests.rest_api.test_rest_api import CSV, X, Y, refusal
from tests.waiting import PATIENCE_S

JSON, CSV_TYPE, ARROW = GIVEN = ("application/json", "text/csv", "application/vnd.apache.arrow.stream")


@pytest.fixture(scope="module", params=[True, False], ids=["quick ways", "framework"])
def http(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server with a model called `kept`."""
    folder = tmp_path_factory.mktemp("formats") / "models_storage"
    with (
        doors.rest_thread(folder, rest_express=request.param) as url,
        httpx.Client(base_url=url, timeout=PATIENCE_S) as client,
    ):
        order = {"model_class_key": "logistic_regression", "X": X, "y": Y, "name": "kept"}
        assert client.post("/train", json=order).status_code == 201
        yield client


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("*/*", JSON),
        ("", JSON),
        ("text/html, application/xml;q=0.9, */*;q=0.8", JSON),
        ("application/*", JSON),
        ("text/*", CSV_TYPE),
        ("text/csv, application/json", CSV_TYPE),
        ("application/json;q=0.5, text/csv;q=0.6", CSV_TYPE),
        ("*/*, application/json;q=0", CSV_TYPE),
        ("*/*;q=0.1, application/vnd.apache.arrow.stream", ARROW),
        ("Application/JSON; charset=utf-8; q=1", JSON),
        ("image/png", None),
        ("application/json;q=0", None),
        ("*/*;q=0", None),
    ],
)
def test_the_best_liked_format_is_chosen(accept: str, chosen: str | None) -> None:
    if chosen is not None:
        assert choose(accept, GIVEN) == chosen
        return
    with pytest.raises(FormatNotGiven, match="text/csv"):
        choose(accept, GIVEN)


@pytest.mark.parametrize("path", ["/health", "/models", "/models/kept", "/models/kept/report", "/model-classes"])
def test_an_accept_that_excludes_json_is_a_406(http: httpx.Client, path: str) -> None:
    problem = refusal(http.get(path, headers={"Accept": "text/csv, image/*"}), 406, "INVALID_ARGUMENT")
    assert "application/json" in problem["detail"]
    assert "'text/csv, image/*'" in problem["detail"]


def test_predictions_mind_accept_on_either_way(http: httpx.Client) -> None:
    asked = {"model_id": "kept", "X": X}
    refusal(http.post("/predict", json=asked, headers={"Accept": "text/csv"}), 406, "INVALID_ARGUMENT")
    for accept in ("text/html, */*;q=0.1", "application/*", "application/json; charset=utf-8"):
        assert http.post("/predict", json=asked, headers={"Accept": accept}).status_code == 200


@pytest.mark.parametrize("others", [("text/html", JSON), (JSON, "text/html")])
def test_accepts_that_come_in_several_headers_are_one_list(http: httpx.Client, others: tuple[str, str]) -> None:
    headers = [("Accept", other) for other in others]  # the client's own Accept stands aside for them
    assert http.post("/predict", json={"model_id": "kept", "X": X}, headers=headers).status_code == 200
    upload = {"files": {"file": ("x.json", json.dumps(X))}, "data": {"model_id": "kept"}}
    assert http.post("/predict/file", **upload, headers=headers).headers["content-type"] == JSON  # type: ignore[arg-type]


def test_each_route_gives_what_is_its_own(http: httpx.Client) -> None:
    assert http.get("/models/kept/artifact", headers={"Accept": "application/octet-stream"}).status_code == 200
    refusal(http.get("/models/kept/artifact", headers={"Accept": "application/json"}), 406, "INVALID_ARGUMENT")
    job = http.get("/jobs").json()["jobs"][0]["job_id"]
    assert http.get(f"/jobs/{job}/events", headers={"Accept": "text/event-stream"}).status_code == 200
    refusal(http.get(f"/jobs/{job}/events", headers={"Accept": "application/json"}), 406, "INVALID_ARGUMENT")


@pytest.mark.parametrize("path", ["/predict", "/train", "/retrain"])
@pytest.mark.parametrize(
    "kind",
    [
        "text/csv",
        "application/xml",
        "multipart/form-data; boundary=b",
        "text/plain",
        "*/*",
        "application/json, text/plain, */*",
    ],
)
def test_a_body_of_another_type_is_a_415_that_names_what_is_taken(http: httpx.Client, path: str, kind: str) -> None:
    answer = http.post(path, content=b"age,kind\n1,a\n", headers={"Content-Type": kind})
    problem = refusal(answer, 415, "INVALID_ARGUMENT")
    assert "application/json" in problem["detail"]
    assert repr(kind) in problem["detail"]


@pytest.mark.parametrize(
    "kind", [None, "application/json", "Application/JSON; charset=utf-8", "application/problem+json"]
)
def test_json_is_taken_by_its_names(http: httpx.Client, kind: str | None) -> None:
    body = json.dumps({"model_id": "kept", "X": X})
    assert http.post("/predict", content=body, headers={"Content-Type": kind} if kind else {}).status_code == 200


def test_json_is_taken_under_the_name_that_curl_gives_it_but_a_form_is_not(http: httpx.Client) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = json.dumps({"model_id": "kept", "X": X})
    assert http.post("/predict", content=body, headers=headers).status_code == 200
    refusal(http.post("/predict", data={"model_id": "kept", "X": "1"}), 415, "INVALID_ARGUMENT")


@pytest.mark.parametrize("path", ["/predict/file", "/train/file", "/retrain/file"])
def test_a_file_route_names_what_it_takes(http: httpx.Client, path: str) -> None:
    answer = http.post(path, content=CSV, headers={"Content-Type": "image/png"})
    assert "multipart/form-data" in refusal(answer, 415, "INVALID_ARGUMENT")["detail"]
    assert "multipart/form-data" in refusal(http.post(path, content=CSV), 415, "INVALID_ARGUMENT")["detail"]


def test_the_formats_of_each_route_are_those_of_the_document(tmp_path: Path) -> None:
    settings = Settings(storage_dir=tmp_path / "yard")
    with build(settings) as yard:
        app: Any = create_app(Desk(yard), settings.model_copy(update={"rest_express": False}))._app
        document = app.openapi()["paths"]
        routes = [context.original_route for context in iter_route_contexts(app.routes)]
        told = {
            (route.path_format, method): formats_of(route, method)
            for route in routes
            if isinstance(route, APIRoute) and route.include_in_schema
            for method in route.methods or ()
        }
    assert {(path, method.upper()) for path, operations in document.items() for method in operations} == told.keys()
    for (path, method), (taken, given) in told.items():
        operation = document[path][method.lower()]
        assert list(taken) == list(operation.get("requestBody", {}).get("content", {}))
        good = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
        assert set(given) == {kind for answer in good for kind in answer.get("content", {})}
