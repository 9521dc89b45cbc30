"""How the probabilities of models become answers: look and decide."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi import Request as HttpRequest
from pydantic import Field

from modelyard.ml_core.desk import Desk
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.bodies import read_json
from modelyard.rest_api.openapi import error_responses, json_body
from modelyard.schemas import Decision, DecisionReport, ModelMetadata, Request


class DecisionQuery(Request):
    """What is to be told of a decision."""

    label: str | None = Field(
        None, alias="class", description="the class that the curve is of; else the decision's, or the second of two"
    )


def router(desk: Desk) -> APIRouter:
    """Make the routes of decisions."""
    routes = APIRouter(prefix="/models", tags=["models"])

    @routes.get("/{reference}/decision", responses=error_responses(400, 404, 409))
    async def get_decision(reference: str, query: Annotated[DecisionQuery, Query()]) -> DecisionReport:
        """Return how a model's probabilities become answers, and what that does on its validation."""
        return await desk.ask(Yard.get_decision, reference, query.label)

    @routes.put(
        "/{reference}/decision",
        response_model=ModelMetadata,
        responses=error_responses(400, 404, 409, 413),
        openapi_extra=json_body(Decision),
    )
    async def set_decision(reference: str, request: HttpRequest) -> ModelMetadata:
        """Have a model's answers obey a decision from now on, without training anew."""
        with (await read_json(request, Decision))() as decision:
            return await desk.ask(Yard.set_decision, reference, decision)

    return routes
