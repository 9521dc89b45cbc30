"""How the probabilities of models become answers: look and decide."""

from __future__ import annotations

from fastapi import APIRouter, Request

from modelyard.ml_core.desk import Desk
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.bodies import read_json
from modelyard.rest_api.openapi import error_responses, json_body
from modelyard.schemas import Decision, DecisionReport, ModelMetadata


def router(desk: Desk) -> APIRouter:
    """Make the routes of decisions."""
    routes = APIRouter(prefix="/models", tags=["models"])

    @routes.get("/{reference}/decision", responses=error_responses(400, 404, 409))
    async def get_decision(reference: str) -> DecisionReport:
        """Return how a model's probabilities become answers, and what that does on its validation."""
        return await desk.ask(Yard.get_decision, reference)

    @routes.put(
        "/{reference}/decision",
        response_model=ModelMetadata,
        responses=error_responses(400, 404, 409, 413),
        openapi_extra=json_body(Decision),
    )
    async def set_decision(reference: str, request: Request) -> ModelMetadata:
        """Have a model's answers obey a decision from now on, without training anew."""
        with (await read_json(request, Decision))() as decision:
            return await desk.ask(Yard.set_decision, reference, decision)

    return routes
