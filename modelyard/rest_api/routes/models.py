"""The models there are: list, look, describe, download, retire, bring back."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi import Request as HttpRequest
from pydantic import Field

from modelyard.ml_core.desk import Desk
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.bodies import read_json
from modelyard.rest_api.openapi import error_responses, json_body
from modelyard.schemas import (
    ModelHistory,
    ModelMetadata,
    ModelPage,
    ModelQuery,
    NamePage,
    NameQuery,
    Report,
    Request,
    UpdateRequest,
)

PICKLE = "application/octet-stream"
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_DOWNLOAD: dict[int | str, dict[str, Any]] = {200: {"content": {PICKLE: _BINARY}}}


class DeleteQuery(Request):
    """How a model is deleted."""

    hard: bool = Field(False, description="for good: its artifact is gone, and it cannot be restored")


def router(desk: Desk) -> APIRouter:
    """Make the routes of models."""
    routes = APIRouter(tags=["models"])

    @routes.get("/names", responses=error_responses(400, 404))
    async def list_names(query: Annotated[NameQuery, Query()]) -> NamePage:
        """List models by their names, each with its line of versions, the newest first."""
        return await desk.ask(Yard.list_names, query)

    @routes.get("/models", responses=error_responses(400, 404))
    async def list_models(query: Annotated[ModelQuery, Query()]) -> ModelPage:
        """List models, newest first."""
        return await desk.ask(Yard.list_models, query)

    @routes.get("/models/{reference}", responses=error_responses(400, 404))
    async def get_model(reference: str) -> ModelMetadata:
        """Return what is known of a model, by its id, its name (the latest active version) or `name:3`."""
        return desk.get_model(reference)

    @routes.patch(
        "/models/{reference}", responses=error_responses(400, 404, 413), openapi_extra=json_body(UpdateRequest)
    )
    async def update_model(reference: str, request: HttpRequest) -> ModelMetadata:
        """Replace the tags or the description of a model; what is left out stays as it is."""
        with (await read_json(request, UpdateRequest))() as changes:
            return await desk.ask(Yard.update_model, reference, changes)

    @routes.get("/models/{reference}/report", responses=error_responses(400, 404))
    async def get_report(reference: str) -> Report:
        """Return what the evaluation of a model showed."""
        return await desk.ask(Yard.get_report, reference)

    @routes.get("/models/{reference}/history", responses=error_responses(400, 404))
    async def get_history(reference: str) -> ModelHistory:
        """Return what happened to a model, when and by which verb; of one deleted for good, too."""
        return await desk.ask(Yard.get_history, reference)

    @routes.get(
        "/models/{reference}/artifact", response_class=Response, responses={**error_responses(400, 404), **_DOWNLOAD}
    )
    async def get_artifact(reference: str) -> Response:
        """Return the fitted estimator as a `.pkl`, its SHA-256 in `Repr-Digest`."""
        model, body = await desk.get_artifact(reference)
        digest = base64.b64encode(bytes.fromhex(model.artifact.sha256)).decode()
        headers = {
            "Repr-Digest": f"sha-256=:{digest}:",
            "Content-Disposition": f'attachment; filename="{model.name}-{model.version}.pkl"',
        }
        return Response(body, media_type=PICKLE, headers=headers)

    @routes.delete(
        "/models/{reference}",
        response_model=ModelMetadata,
        responses={**error_responses(400, 404), 204: {"description": "deleted for good"}},
    )
    async def delete_model(reference: str, query: Annotated[DeleteQuery, Query()]) -> ModelMetadata | Response:
        """Retire a model: soft, it can be restored; hard, its artifact is gone for good."""
        _, model = await desk.delete(reference, hard=query.hard)
        return Response(status_code=204) if model is None else model

    @routes.post("/models/{reference}/restore", responses=error_responses(400, 404, 409))
    async def restore_model(reference: str) -> ModelMetadata:
        """Make a soft-deleted model active again."""
        return await desk.ask(Yard.restore, reference)

    return routes
