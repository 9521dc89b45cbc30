"""Every route, asked by every role and with every kind of key that is not valid."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi.routing import iter_route_contexts

from modelyard.bootstrap import build
from modelyard.ml_core.desk import Desk
from modelyard.rest_api.app import create_app
from modelyard.schemas import ROLES
from modelyard.settings import Settings
from tests.access.callers import Caller, Served, may
from tests.access.who_may import OF_ALL_MODELS, OPEN, ROUTES
from tests.waiting import PATIENCE_S

BODY_BYTES = 50_000_000


def routes_of_the_application(folder: Path) -> set[str]:
    with build(Settings(storage_dir=folder)) as yard:
        app: Any = create_app(Desk(yard), Settings(rest_express=False))._app
        return {
            f"{method} {route.path}"
            for route in iter_route_contexts(app.routes)
            for method in route.methods or ()
            if method != "HEAD"
        }


def test_the_table_knows_every_route(tmp_path: Path) -> None:
    known = {route.partition("?")[0].replace("/v2/models/{reference}", "/v2/models/{name}") for route in ROUTES}
    assert known == routes_of_the_application(tmp_path / "yard")


def path_of(route: str) -> tuple[str, str]:
    method, path = route.split(" ")
    job_id = "01890000-0000-7000-8000-000000000000"
    path = path.replace("{reference}", "mine").replace("{version}", "1").replace("{alias}", "live")
    path = path.replace("/models/{name}", "/models/mine")
    return method, path.replace("{name}", "nothing").replace("{job_id}", job_id)


def ask(url: str, route: str, caller: Caller, *, body: bytes | None) -> tuple[http.client.HTTPResponse, bytes]:
    """Ask for a route; without a body, one is announced and never sent."""
    method, path = path_of(route)
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_S)
    connection.putrequest(method, path)
    for name, value in caller.headers.items():
        connection.putheader(name, value)
    if method in ("POST", "PUT", "PATCH"):
        connection.putheader("content-type", "application/json")
        connection.putheader("content-length", str(BODY_BYTES if body is None else len(body)))
    connection.endheaders(body if method in ("POST", "PUT", "PATCH") else None)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def test_each_role_may_ask_for_the_routes_that_the_table_gives_it_and_no_others(served: Served, caller: Caller) -> None:
    """A refusal comes before the body: it is announced, and never sent."""
    found, due = {}, {}
    for route, needed in ROUTES.items():
        is_valid = caller.role is not None
        due[route] = "let in"
        if not is_valid and (needed is not OPEN or caller.key is not None):
            due[route] = "401 Bearer UNAUTHENTICATED"
        elif is_valid and not may(caller.role, needed):
            first = ROUTES[route.partition("?")[0]]  # what a query asks for beyond the route is looked at afterwards
            named = needed if may(caller.role, first) else first
            due[route] = f"403 None PERMISSION_DENIED, {named} is needed"
        elif caller.name == "limited admin" and any(word in route for word in OF_ALL_MODELS):
            due[route] = "403 None PERMISSION_DENIED, no role is needed"
        answer, content = ask(served.rest, route, caller, body=b"{}" if due[route] == "let in" else None)
        found[route] = said(answer, content)
    assert found == due


def said(answer: http.client.HTTPResponse, content: bytes) -> str:
    if answer.status not in (401, 403):
        return "let in"
    problem = json.loads(content)
    detail = problem.get("error") or problem["detail"]  # the Open Inference Protocol has a form of its own
    code = problem.get("code", {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}[answer.status])
    needed = next((role for role in ROLES if f"needs the role {role!r}" in detail), "no role")
    needed = f", {needed} is needed" if answer.status == 403 else ""
    return f"{answer.status} {answer.getheader('www-authenticate')} {code}{needed}"
