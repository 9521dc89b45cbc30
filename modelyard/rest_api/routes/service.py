"""How the yard is, and what it can train."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from modelyard.ml_core.yard import Yard
from modelyard.rest_api.openapi import error_responses
from modelyard.schemas import Health, ModelClassInfo


def router(yard: Yard) -> APIRouter:
    """Make the routes of the service itself."""
    routes = APIRouter(tags=["service"])

    @routes.get("/health", responses=error_responses())
    async def health() -> Health:
        """Say how the yard is. Always 200: `status` says whether it can serve."""
        return await run_in_threadpool(yard.health)

    @routes.get("/health/live", responses=error_responses())
    async def live() -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "ok"}

    @routes.get("/health/ready", response_model=Health, responses=error_responses())
    async def ready() -> JSONResponse:
        """Say that the yard can serve; 503 while it cannot."""
        found = await run_in_threadpool(yard.health)
        return JSONResponse(found.model_dump(), status_code=200 if found.status == "ok" else 503)

    @routes.get("/model-classes", responses=error_responses())
    async def model_classes() -> list[ModelClassInfo]:
        """List the algorithms there are, with a JSON Schema of their hyperparams."""
        return yard.list_model_classes()

    return routes
