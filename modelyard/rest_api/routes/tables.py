"""Checking tables before anything is trained on them."""

from __future__ import annotations

from fastapi import APIRouter, Request

from modelyard.ml_core.desk import Desk
from modelyard.rest_api.bodies import read_json, read_table
from modelyard.rest_api.openapi import error_responses, json_body, table_body
from modelyard.schemas import CheckRequest, TableCheck

_ERRORS = error_responses(400, 404, 413)


def router(desk: Desk) -> APIRouter:
    """Make the routes of tables."""
    routes = APIRouter(prefix="/tables", tags=["training"])

    @routes.post("/check", responses=_ERRORS, openapi_extra=json_body(CheckRequest))
    async def check_table(request: Request) -> TableCheck:
        """Read a table as a training would, and say what its owner should know before one."""
        return await desk.check_table(await read_json(request, CheckRequest))

    @routes.post("/check/file", responses=_ERRORS, openapi_extra=table_body(CheckRequest))
    async def check_table_file(request: Request) -> TableCheck:
        """Check an uploaded table."""
        return await desk.check_table(await read_table(request, CheckRequest))

    return routes
