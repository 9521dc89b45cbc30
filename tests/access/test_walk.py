"""Every route and every RPC, asked by every role and with every kind of key that is not valid.

Who may what is written down here once more, as the design has it. A route or RPC that this table lacks fails.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
from fastapi.routing import iter_route_contexts
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from modelyard.bootstrap import build
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.server import SERVICE
from modelyard.ml_core.desk import Desk
from modelyard.rest_api.app import create_app
from modelyard.schemas import ROLES, Role
from modelyard.settings import Settings
from tests import doors
from tests.access.callers import Caller, invalid_keys, make_key, many_guesses, may, role_callers, two_yards
from tests.waiting import PATIENCE_S

OPEN = None

ROUTES: dict[str, Role | None] = {
    "GET /": OPEN,
    "GET /docs": OPEN,
    "GET /docs/{name}": OPEN,
    "GET /openapi.json": OPEN,
    "GET /health": OPEN,
    "GET /health/live": OPEN,
    "GET /health/ready": OPEN,
    "GET /whoami": "reader",
    "GET /model-classes": "reader",
    "GET /models": "reader",
    "GET /models/{reference}": "reader",
    "GET /models/{reference}/report": "reader",
    "GET /models/{reference}/history": "reader",
    "GET /models/{reference}/decision": "reader",
    "GET /models/{reference}/evaluations": "reader",
    "GET /jobs": "reader",
    "GET /jobs/{job_id}": "reader",
    "GET /jobs/{job_id}/events": "reader",
    "POST /predict": "predictor",
    "POST /predict/file": "predictor",
    "POST /explain": "predictor",
    "POST /explain/file": "predictor",
    "POST /tables/check": "predictor",
    "POST /tables/check/file": "predictor",
    "POST /train": "trainer",
    "POST /train/file": "trainer",
    "POST /retrain": "trainer",
    "POST /retrain/file": "trainer",
    "POST /evaluate": "trainer",
    "POST /evaluate/file": "trainer",
    "PUT /models/{reference}/decision": "trainer",
    "PATCH /models/{reference}": "trainer",
    "DELETE /models/{reference}": "trainer",
    "POST /models/{reference}/restore": "trainer",
    "DELETE /jobs/{job_id}": "trainer",
    "DELETE /models/{reference}?hard=true": "admin",
    "GET /models/{reference}/artifact": "admin",
    "POST /keys": "admin",
    "GET /keys": "admin",
    "GET /audit": "admin",
    "DELETE /keys/{name}": "admin",
    "POST /keys/{name}/rotate": "admin",
}

RPCS: dict[str, Role | None] = {
    "HealthCheck": OPEN,
    "Whoami": "reader",
    "ListAvailableModels": "reader",
    "ListTrainedModels": "reader",
    "GetModelInfo": "reader",
    "GetReport": "reader",
    "GetHistory": "reader",
    "GetDecision": "reader",
    "ListEvaluations": "reader",
    "GetJob": "reader",
    "ListJobs": "reader",
    "WatchJob": "reader",
    "Predict": "predictor",
    "PredictStream": "predictor",
    "Explain": "predictor",
    "CheckTable": "predictor",
    "Train": "trainer",
    "TrainStream": "trainer",
    "Retrain": "trainer",
    "Evaluate": "trainer",
    "SetDecision": "trainer",
    "UpdateModel": "trainer",
    "DeleteModel": "trainer",
    "RestoreModel": "trainer",
    "CancelJob": "trainer",
    "DeleteModel for good": "admin",
    "GetArtifact": "admin",
    "CreateKey": "admin",
    "ListKeys": "admin",
    "ListAudit": "admin",
    "RevokeKey": "admin",
    "RotateKey": "admin",
}

REFLECTION: dict[str, Role | None] = {
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo": "reader" for version in ("v1alpha",)
}

NAMES = [
    *ROLES,
    "limited admin",
    "nobody",
    "misspelt",
    "known id, another secret",
    "unknown",
    "of another yard",
    "revoked",
    "rotated",
    "expired",
    "no key",
    "cut off",
    "too long",
]
BODY_BYTES = 50_000_000


@dataclass(frozen=True)
class Served:
    rest: str
    grpc: str
    callers: dict[str, Caller]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("walk")
    with two_yards(folder) as (yard, other):
        limited = Caller("limited admin", make_key(yard, "limited", "admin", "mine*"), "admin")
        callers = [*role_callers(yard), *invalid_keys(yard, other), Caller("nobody", None, None), limited]
    with (
        many_guesses(),
        doors.rest_thread(folder / "one", auth="keys") as url,
        doors.grpc_thread(folder / "one", auth="keys") as target,
    ):
        yield Served(url, target, {caller.name: caller for caller in callers})


@pytest.fixture(params=NAMES)
def caller(request: pytest.FixtureRequest, served: Served) -> Caller:
    return served.callers[request.param]


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
    assert {route.partition("?")[0] for route in ROUTES} == routes_of_the_application(tmp_path / "yard")


def test_the_table_knows_every_rpc() -> None:
    assert {rpc.removesuffix(" for good") for rpc in RPCS} == {method.name for method in SERVICE.methods}


def path_of(route: str) -> tuple[str, str]:
    method, path = route.split(" ")
    job_id = "01890000-0000-7000-8000-000000000000"
    return method, path.replace("{reference}", "mine").replace("{name}", "nothing").replace("{job_id}", job_id)


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
        elif caller.name == "limited admin" and ("/keys" in route or "/audit" in route):
            due[route] = "403 None PERMISSION_DENIED, no role is needed"
        answer, content = ask(served.rest, route, caller, body=b"{}" if due[route] == "let in" else None)
        found[route] = said(answer, content)
    assert found == due


def said(answer: http.client.HTTPResponse, content: bytes) -> str:
    if answer.status not in (401, 403):
        return "let in"
    problem = json.loads(content)
    needed = next((role for role in ROLES if f"needs the role {role!r}" in problem["detail"]), "no role")
    needed = f", {needed} is needed" if answer.status == 403 else ""
    return f"{answer.status} {answer.getheader('www-authenticate')} {problem['code']}{needed}"


def call(target: str, path: str, caller: Caller, message: bytes, *, streaming: bool) -> grpc.StatusCode:
    """Make a call by gRPC; with `streaming`, its caller says nothing until it is answered."""
    answered = threading.Event()

    def requests() -> Iterator[bytes]:
        if message:
            yield message
        else:
            answered.wait(PATIENCE_S)

    with grpc.insecure_channel(target) as channel:
        multi = channel.stream_stream(path) if streaming else channel.unary_stream(path)
        under_way = multi(
            requests() if streaming else message, metadata=tuple(caller.headers.items()), timeout=PATIENCE_S
        )
        under_way.add_done_callback(lambda _: answered.set())
        try:
            next(under_way, None)
            code: grpc.StatusCode = grpc.StatusCode.OK
        except grpc.RpcError as error:
            code = error.code()
        under_way.cancel()
    return code


def test_each_role_may_call_the_rpcs_that_the_table_gives_it_and_no_others(served: Served, caller: Caller) -> None:
    found, due = {}, {}
    for rpc, needed in RPCS.items():
        method = SERVICE.methods_by_name[rpc.removesuffix(" for good")]
        due[rpc] = due_code(caller, needed)
        if caller.name == "limited admin" and ("Key" in rpc or "Audit" in rpc):
            due[rpc] = "PERMISSION_DENIED"
        message = pb.DeleteModelRequest(model_id="mine", hard=True) if "for good" in rpc else None
        streaming, sent = method.client_streaming, b"" if message is None else message.SerializeToString()
        if streaming and due[rpc] == "let in":
            sent = pb.TrainStreamRequest().SerializeToString() or b"\x7a\x00"  # a field that no message has
        found[rpc] = shown(call(served.grpc, f"/{SERVICE.full_name}/{method.name}", caller, sent, streaming=streaming))
    assert found == due


def due_code(caller: Caller, needed: Role | None) -> str:
    if caller.role is None and (needed is not OPEN or caller.key is not None):
        return "UNAUTHENTICATED"
    return "let in" if may(caller.role, needed) else "PERMISSION_DENIED"


def shown(code: grpc.StatusCode) -> str:
    refusals = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
    return str(code.name) if code in refusals else "let in"


def test_reflection_is_for_holders_of_a_key_and_the_standard_health_for_everybody(
    served: Served, caller: Caller
) -> None:
    asked = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
    for path, needed in REFLECTION.items():
        code = call(served.grpc, path, caller, asked, streaming=True)
        assert shown(code) == due_code(caller, needed)
        assert (code is grpc.StatusCode.OK) == (caller.role is not None)
    asked = health_pb2.HealthCheckRequest().SerializeToString()
    for method in ("Check", "Watch"):
        assert call(served.grpc, f"/grpc.health.v1.Health/{method}", caller, asked, streaming=False) is (
            grpc.StatusCode.OK
        )
