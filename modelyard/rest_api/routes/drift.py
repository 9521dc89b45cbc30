"""How far what models are asked is from their training."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from modelyard.ml_core.desk import Desk
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.openapi import error_responses
from modelyard.schemas import Drift, DriftQuery


def router(desk: Desk) -> APIRouter:
    """Make the route of drift."""
    routes = APIRouter(tags=["models"])

    @routes.get("/models/{reference}/drift", responses=error_responses(400, 404))
    async def get_drift(reference: str, query: Annotated[DriftQuery, Query()]) -> Drift:
        """Tell how far what a model was asked, and answered, in the last hours is from its training."""
        return await desk.ask(Yard.get_drift, reference, query)

    return routes
