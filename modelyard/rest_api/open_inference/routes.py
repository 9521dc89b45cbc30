"""The routes under `/v2`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from modelyard import calls
from modelyard.errors import Unavailable
from modelyard.ml_core.desk import Desk
from modelyard.open_inference import about_model, about_server, reference_of
from modelyard.rest_api.open_inference.inference import JSON_BYTES, Inference
from modelyard.rest_api.open_inference.schemas import (
    InferenceModelMetadata,
    InferenceResponse,
    ServerMetadata,
    error_responses,
    inference,
)
from modelyard.rest_api.prediction_formats import timing


def router(desk: Desk) -> APIRouter:
    """Make the routes of the protocol."""
    routes = APIRouter(prefix="/v2", tags=["open inference protocol"])

    @routes.get("", responses=error_responses())
    @routes.get("/", responses=error_responses())
    async def server_metadata() -> ServerMetadata:
        """Say which server this is."""
        return ServerMetadata(**about_server((await desk.health()).version))

    @routes.get("/health/live", responses=error_responses())
    async def server_live() -> dict[str, bool]:
        """Say that the process answers."""
        calls.name_verb("health")
        return {"live": True}

    @routes.get("/health/ready", response_model=dict[str, bool], responses=error_responses())
    async def server_ready() -> JSONResponse:
        """Say that models can be asked; 503 while they cannot."""
        if (await desk.health()).status == "ok":
            return JSONResponse({"ready": True})
        raise Unavailable("the yard cannot serve; GET /health says why")

    @routes.get("/models/{name}/ready", responses=error_responses(400, 404))
    @routes.get("/models/{name}/versions/{version}/ready", responses=error_responses(400, 404))
    async def model_ready(name: str, version: str | None = None) -> dict[str, Any]:
        """Say that a model can be asked; 404 if there is none, or it is deleted."""
        desk.get_active(reference_of(name, version))
        return {"name": name, "ready": True}

    @routes.get("/models/{name}", responses=error_responses(400, 404))
    @routes.get("/models/{name}/versions/{version}", responses=error_responses(400, 404))
    async def model_metadata(name: str, version: str | None = None) -> InferenceModelMetadata:
        """Say which tensors a model takes and gives."""
        model = desk.get_active(reference_of(name, version))
        return InferenceModelMetadata.model_validate(about_model(name, model, await desk.versions_of(model.name)))

    @routes.post("/models/{name}/infer", response_model=InferenceResponse, **inference())
    @routes.post("/models/{name}/versions/{version}/infer", response_model=InferenceResponse, **inference())
    async def infer(request: Request, name: str, version: str | None = None) -> Response:
        """Predict for each row of the input tensors."""
        body = await request.body()
        asked = Inference(desk, name, version, body, request.headers.get(JSON_BYTES))
        found = await desk.predict(len(body), asked.read, asked.write)
        headers = {**asked.headers, "Server-Timing": timing(found)}
        return Response(found.content, media_type=asked.media_type, headers=headers)

    return routes
