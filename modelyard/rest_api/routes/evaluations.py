"""Judging models by labelled tables, and what such tables have shown."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from modelyard.ml_core.desk import Desk
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.bodies import read_json, read_table
from modelyard.rest_api.openapi import error_responses, json_body, table_body
from modelyard.schemas import EvaluateRequest, EvaluationPage, EvaluationQuery, TableEvaluation

_ERRORS = error_responses(400, 404, 409, 413)


def router(desk: Desk) -> APIRouter:
    """Make the routes of evaluations."""
    routes = APIRouter(tags=["models"])

    @routes.post("/evaluate", responses=_ERRORS, openapi_extra=json_body(EvaluateRequest))
    async def evaluate(request: Request) -> TableEvaluation:
        """Judge up to ten models by a labelled table, and compare each pair of them."""
        return await desk.evaluate(await read_json(request, EvaluateRequest))

    @routes.post("/evaluate/file", responses=_ERRORS, openapi_extra=table_body(EvaluateRequest))
    async def evaluate_file(request: Request) -> TableEvaluation:
        """Judge up to ten models by an uploaded labelled table."""
        return await desk.evaluate(await read_table(request, EvaluateRequest))

    @routes.get("/models/{reference}/evaluations", responses=error_responses(400, 404))
    async def list_evaluations(reference: str, query: Annotated[EvaluationQuery, Query()]) -> EvaluationPage:
        """List the evaluations of a model, newest first; of one deleted for good, too."""
        return await desk.ask(Yard.list_evaluations, reference, query)

    return routes
