"""How the yard is, and what it can train."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from modelyard import calls
from modelyard.errors import Unavailable
from modelyard.ml_core.desk import Desk
from modelyard.ml_core.yard import Yard
from modelyard.monitoring.metrics import MEDIA_TYPE
from modelyard.rest_api.openapi import error_responses
from modelyard.schemas import Health, ModelClassInfo

_TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


def router(desk: Desk) -> APIRouter:
    """Make the routes of the service itself."""
    routes = APIRouter(tags=["service"])

    @routes.get("/health", responses=error_responses(), response_model_exclude_unset=True)
    async def health() -> Health:
        """Say how the yard is. Always 200: `status` says whether it can serve."""
        return await desk.health()

    @routes.get("/health/live", responses=error_responses())
    async def live() -> dict[str, str]:
        """Say that the process answers."""
        calls.name_verb("health")
        return {"status": "ok"}

    @routes.get("/health/ready", response_model=Health, responses=error_responses())
    async def ready() -> JSONResponse:
        """Say that the yard can serve; 503 while it cannot."""
        found = await desk.health()
        if found.status == "ok":
            return JSONResponse(found.model_dump(exclude_unset=True))
        calls.ends_as(Unavailable.code)
        return JSONResponse(found.model_dump(exclude_unset=True), status_code=503)

    @routes.get("/model-classes", responses=error_responses())
    async def model_classes() -> list[ModelClassInfo]:
        """List the algorithms there are, with a JSON Schema of their hyperparams."""
        return await desk.ask(Yard.list_model_classes)

    @routes.get("/metrics", response_class=Response, responses={**error_responses(), **_TEXT})
    async def metrics() -> Response:
        """Return what all workers of this server have counted, and what there is, as Prometheus reads it."""
        return Response(await desk.ask(Yard.metrics), media_type=MEDIA_TYPE)

    return routes
