"""Keys and the audit: who may call, who calls, and who did what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi import Request as HttpRequest

from modelyard.ml_core.desk import Desk
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.bodies import read_json
from modelyard.rest_api.openapi import error_responses, json_body
from modelyard.schemas import AuditPage, AuditQuery, KeyList, KeyRequest, NewKey, RotateRequest, Whoami


def router(desk: Desk) -> APIRouter:
    """Make the routes of keys."""
    routes = APIRouter(tags=["keys"])

    @routes.post(
        "/keys",
        status_code=201,
        response_model=NewKey,
        responses=error_responses(400, 409, 413),
        openapi_extra=json_body(KeyRequest),
    )
    async def create_key(request: HttpRequest) -> NewKey:
        """Make a key for a person or a program. It is shown this once."""
        with (await read_json(request, KeyRequest))() as wanted:
            return await desk.ask(Yard.create_key, wanted)

    @routes.get("/keys", responses=error_responses())
    async def list_keys() -> KeyList:
        """List the keys that were not revoked, by name, never what is shown to a server."""
        return await desk.ask(Yard.list_keys)

    @routes.delete("/keys/{name}", status_code=204, responses=error_responses(404))
    async def revoke_key(name: str) -> Response:
        """Make a key invalid for the next request."""
        await desk.ask(Yard.revoke_key, name)
        return Response(status_code=204)

    @routes.post(
        "/keys/{name}/rotate",
        response_model=NewKey,
        responses=error_responses(400, 404, 409, 413),
        openapi_extra=json_body(RotateRequest),
    )
    async def rotate_key(name: str, request: HttpRequest) -> NewKey:
        """Put another key in the place of one, which stays valid for `grace_s` seconds more."""
        with (await read_json(request, RotateRequest))() as wanted:
            return await desk.ask(Yard.rotate_key, name, grace_s=wanted.grace_s)

    @routes.get("/audit", responses=error_responses(400))
    async def list_audit(query: Annotated[AuditQuery, Query()]) -> AuditPage:
        """List what was done and refused, newest first. A page may be short and still have a next one."""
        return await desk.ask(Yard.list_audit, query)

    @routes.get("/whoami", responses=error_responses())
    async def whoami() -> Whoami:
        """Say who calls, in which role, and limited to which models."""
        return await desk.ask(Yard.whoami)

    return routes
