"""Answers that are kept, what really happened, and how good the answers were."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from modelyard.ml_core.desk import Desk
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.bodies import read_json, read_table
from modelyard.rest_api.openapi import error_responses, json_body, table_body
from modelyard.schemas import (
    AddedOutcomes,
    KeepAnswersRequest,
    KeptName,
    OutcomesRequest,
    Performance,
    PerformanceQuery,
)

_ERRORS = error_responses(400, 404, 409, 413)


def router(desk: Desk) -> APIRouter:
    """Make the routes of outcomes."""
    routes = APIRouter(tags=["outcomes"])

    @routes.post("/outcomes", responses=_ERRORS, openapi_extra=json_body(OutcomesRequest))
    async def add_outcomes(request: Request) -> AddedOutcomes:
        """Join what really happened to the answers that were kept."""
        return await desk.add_outcomes(await read_json(request, OutcomesRequest))

    @routes.post("/outcomes/file", responses=_ERRORS, openapi_extra=table_body(OutcomesRequest))
    async def add_outcomes_file(request: Request) -> AddedOutcomes:
        """Join what really happened, as an uploaded table says it, to the answers that were kept."""
        return await desk.add_outcomes(await read_table(request, OutcomesRequest))

    @routes.get("/models/{reference}/performance", responses=error_responses(400, 404))
    async def get_performance(reference: str, query: Annotated[PerformanceQuery, Query()]) -> Performance:
        """Say how good the answers of a model, or of all of a name, were by the week in which they were asked for."""
        return await desk.ask(Yard.get_performance, reference, query)

    @routes.put(
        "/models/{name}/keep-answers",
        response_model=KeptName,
        responses=error_responses(400, 404, 409, 413),
        openapi_extra=json_body(KeepAnswersRequest),
    )
    async def set_keep_answers(name: str, request: Request) -> KeptName:
        """Keep all predictions by a name from now on, or no longer."""
        with (await read_json(request, KeepAnswersRequest))() as wanted:
            return await desk.ask(Yard.set_keep_answers, name, wanted)

    return routes
