"""A key that is limited to some names learns nothing of other models: asked for one, it hears what it hears of none.

All routes and RPCs that take a reference or a job's id are walked, so that a later one is held to the same.
"""

from __future__ import annotations

import re
from typing import Any

import httpx
import orjson
import pytest

from tests.access.foreign import FOREIGN, NEVER_ID, NEVER_NAME, OWN, UNNAMED, Foreign, X, Y, masked, pairs
from tests.access.who_may import ROUTES

CSV = "age,job,label\n" + "".join(f"{row['age']},{row['job']},{label}\n" for row, label in zip(X, Y, strict=True))

V2 = {
    "inputs": [
        {"name": "age", "datatype": "INT64", "shape": [1], "data": [3]},
        {"name": "job", "datatype": "BYTES", "shape": [1], "data": ["a"]},
    ]
}

BODIES: dict[str, Any] = {
    "PUT /models/{reference}/decision": {"rule": "most_probable"},
    "PATCH /models/{reference}": {"tags": ["mine"]},
    "POST /predict": {"model_id": "REF", "X": X},
    "POST /explain": {"model_id": "REF", "X": X},
    "POST /outcomes": {"model_id": "REF", "outcomes": [{"id": 1, "label": "low"}]},
    "POST /retrain": {"model_id": "REF", "X": X, "y": Y},
    "POST /v2/models/{reference}/infer": V2,
    "POST /evaluate": {"model_ids": [OWN, "REF"], "X": X, "y": Y},
    "POST /predict/file": "?model_id=REF",
    "POST /explain/file": "?model_id=REF",
    "POST /outcomes/file": "?model_id=REF",
    "POST /retrain/file": "?model_id=REF&target=label",
    "POST /evaluate/file": f'?model_ids=["{OWN}","REF"]&target=label',
}
"""What a call that names a model sends, beside the path; a text is the query of a file."""

NAME_NONE = {"POST /train", "POST /train/file", "POST /tables/check", "POST /tables/check/file", "GET /models"}
"""The routes that could name a model, and do so by no reference."""


BY_NAME = {
    "GET /models/{name}/aliases": None,
    "GET /models/{name}/aliases/{alias}/history": None,
    "PUT /models/{name}/aliases/{alias}": {"version": 1},
    "DELETE /models/{name}/aliases/{alias}": None,
    "PUT /models/{name}/keep-answers": {"keep": True},
    "GET /v2/models/{reference}/versions/{version}": None,
    "GET /v2/models/{reference}/versions/{version}/ready": None,
    "POST /v2/models/{reference}/versions/{version}/infer": V2,
}
"""The routes that name a model by its name alone, and what they are sent."""


def takes_reference(route: str) -> bool:
    return ("{reference}" in route and "{version}" not in route) or route in BODIES


def test_each_route_that_may_name_a_model_is_asked() -> None:
    others = {route for route in ROUTES if not takes_reference(route)} - NAME_NONE - set(BY_NAME)
    assert not [
        route for route in others if re.match(r"\w+ /(models|predict|explain|train|retrain|evaluate|outcomes)", route)
    ]


def ask(http: httpx.Client, route: str, reference: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return status, headers and body with the reference left out."""
    method, path = route.split(" ")
    sent = BODIES.get(route)
    options: dict[str, Any] = {}
    if isinstance(sent, str):
        path += sent.replace("REF", reference)
        options = {"content": CSV, "headers": {"content-type": "text/csv"}}
    elif sent is not None:
        options = {"json": orjson.loads(orjson.dumps(sent).replace(b"REF", reference.encode()))}
    answer = http.request(method, path.replace("{reference}", reference), **options)
    known = [header for header in answer.headers.items() if header[0] not in ("date", "content-length")]
    return answer.status_code, known, masked(answer.content, reference)


@pytest.mark.parametrize("route", [route for route in ROUTES if takes_reference(route)])
def test_rest_says_of_a_foreign_model_what_it_says_of_none(http: httpx.Client, foreign: Foreign, route: str) -> None:
    for reference, nothing, status in pairs(foreign):
        heard = ask(http, route, reference)
        assert heard == ask(http, route, nothing)
        assert heard[0] == status
    if route.startswith(("GET", "POST /predict", "POST /explain")):
        assert ask(http, route, foreign.own_id)[0] == 200


def test_rest_says_of_a_foreign_job_what_it_says_of_none(http: httpx.Client, foreign: Foreign) -> None:
    routes = [route for route in ROUTES if "{job_id}" in route]
    assert len(routes) >= 3
    for route in routes:
        for job_id in foreign.jobs.values():
            for written in (job_id, job_id.upper()):
                of_job = ask(http, route.replace("{job_id}", written), written)
                assert of_job == ask(http, route.replace("{job_id}", NEVER_ID), NEVER_ID)
                assert of_job[0] == 404
        if route.startswith("GET"):
            assert ask(http, route.replace("{job_id}", foreign.own_job), foreign.own_job)[0] == 200


def test_no_answer_without_a_reference_holds_a_word_of_a_foreign_model(http: httpx.Client, foreign: Foreign) -> None:
    routes = [route for route in ROUTES if route.startswith("GET") and "{" not in route]
    queries = ["", "?limit=1000", "?status=all", "?status=deleted", "?status=cancelled", "?status=succeeded"]
    asked = [f"{path}{query}" for path in (route.split(" ")[1] for route in routes) for query in queries]
    asked += [f"/models/{OWN}/{what}" for what in ("", "evaluations", "history", "report", "decision")]
    for path in asked:
        said = http.get(path).text
        assert not [word for word in foreign.words if word in said], path


def test_lists_and_counts_are_of_the_keys_own(http: httpx.Client, url: str, foreign: Foreign) -> None:
    models = http.get("/models?status=all").json()
    assert {model["name"] for model in models["models"]} == {OWN}
    assert {job["name"] for job in http.get("/jobs?limit=1000").json()["jobs"]} == {OWN}
    assert http.get("/jobs?status=cancelled").json() == {"jobs": [], "next_cursor": None}
    assert http.get("/models?status=deleted&limit=1").json() == {"models": [], "next_cursor": None}
    assert http.get("/models?tag=hidden-tag").json() == {"models": [], "next_cursor": None}
    assert http.get("/health").json()["models"] == len(http.get("/models").json()["models"])
    everything = httpx.get(f"{url}/health", headers={"authorization": f"Bearer {foreign.admin}"}).json()
    assert everything["models"] > http.get("/health").json()["models"]


def test_a_cursor_that_another_was_given_leads_to_ones_own(http: httpx.Client, url: str, foreign: Foreign) -> None:
    theirs = {"authorization": f"Bearer {foreign.admin}"}
    for what in ("models", "jobs"):
        cursor: str | None = ""
        met = 0
        while cursor is not None:
            page = httpx.get(f"{url}/{what}?limit=1&cursor={cursor}".removesuffix("&cursor="), headers=theirs).json()
            cursor = page["next_cursor"]
            if cursor is not None:
                seen = http.get(f"/{what}?limit=1&cursor={cursor}").json()
                met += len(seen[what])
                assert {one["name"] for one in seen[what]} <= {OWN}
                assert seen["next_cursor"] is None or len(seen[what]) == 1
        assert met


def test_a_foreign_name_in_a_list_is_refused_whether_it_exists_or_not(http: httpx.Client) -> None:
    asked = [http.get(f"/models?name={name}") for name in (FOREIGN, NEVER_NAME)]
    assert [answer.status_code for answer in asked] == [403, 403]
    assert masked(asked[0].content, FOREIGN) == masked(asked[1].content, NEVER_NAME)


def test_evaluations_show_neither_foreign_models_nor_pairs_with_them(http: httpx.Client, foreign: Foreign) -> None:
    *_, first = http.get(f"/models/{OWN}/evaluations").json()["evaluations"]
    assert [model["model_id"] for model in first["models"]] == [foreign.own_id]
    assert first["pairs"] == []
    assert first["label"] == "March"


@pytest.mark.parametrize("name", [None, FOREIGN, NEVER_NAME, "CHURN-1", "xchurn", "churn"[:4], "Churn"])
@pytest.mark.parametrize("way", ["/train", "/train?wait=false", "/train/file", "/search", "/search/file"])
def test_a_limited_key_trains_under_its_own_names_alone(http: httpx.Client, name: str | None, way: str) -> None:
    fields = {"model_class_key": "logistic_regression"} if way.startswith("/train") else {}
    fields |= {} if name is None else {"name": name}
    if way.endswith("file"):
        query = {**fields, "target": "label"}
        answer = http.post(way, params=query, content=CSV, headers={"content-type": "text/csv"})
    else:
        answer = http.post(way, json={**fields, "X": X, "y": Y})
    assert answer.status_code == 403
    wanted = "a model without a name" if name is None else f"models named {name!r}"
    assert answer.json()["detail"] == f"key 'limited' may not use {wanted}; it is limited to: churn*"


def test_foreign_models_are_as_they_were(url: str, foreign: Foreign) -> None:
    """Whatever a limited admin has tried in the tests before."""
    theirs = {"authorization": f"Bearer {foreign.admin}"}
    seen = httpx.get(f"{url}/models?status=all&name={FOREIGN}", headers=theirs).json()["models"]
    assert {model["model_id"]: model["status"] for model in seen} == {
        foreign.models["deleted"]: "deleted",
        foreign.models["active"]: "active",
    }
    assert httpx.get(f"{url}/models/{foreign.models[UNNAMED]}", headers=theirs).json()["status"] == "active"


@pytest.mark.parametrize("route", BY_NAME)
def test_a_foreign_name_is_refused_whether_it_exists_or_not(http: httpx.Client, route: str) -> None:
    method, path = route.split(" ")
    for field, value in {"version": "1", "alias": "live"}.items():
        path = path.replace(f"{{{field}}}", value)
    for name in (FOREIGN, NEVER_NAME):
        answer = http.request(method, re.sub(r"\{\w+\}", name, path), json=BY_NAME[route])
        problem = answer.json()
        detail = f"key 'limited' may not use models named {name!r}; it is limited to: churn*"
        assert (answer.status_code, problem.get("error") or problem["detail"]) == (403, detail)
