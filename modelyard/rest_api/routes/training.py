"""Training, searching and retraining, from JSON and from files: jobs, whose end the answer waits for or not."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema

from modelyard import schemas
from modelyard.ml_core.desk import Desk
from modelyard.rest_api.bodies import read_json, read_table
from modelyard.rest_api.openapi import error_responses, json_body, table_body
from modelyard.schemas import Job, ModelMetadata, RetrainRequest, SearchRequest, TrainRequest


def _checked_key(key: str | None) -> str | None:
    schemas.check_idempotency_key(key)
    return key


IdempotencyKey = Annotated[
    str | None,
    Header(description="a key of your own; the same key trains only once in 24 hours"),
    AfterValidator(_checked_key),
    WithJsonSchema({"type": "string", "pattern": f"^{schemas.IDEMPOTENCY_KEY_PATTERN}$"}),
]


class TrainQuery(schemas.Request):
    """How a training is answered."""

    wait: bool = Field(True, description="false: answer 202 with the job at once, instead of 201 with the model")


class TrainFileQuery(TrainQuery):
    """How a training on a file is answered; the other parameters are fields of the request."""

    model_config = ConfigDict(extra="ignore")


Asked = Annotated[TrainQuery, Query()]
AskedForFile = Annotated[TrainFileQuery, Query()]
_ANSWERS: dict[int | str, dict[str, Any]] = {
    **error_responses(400, 404, 409, 413, 429, 504),
    202: {"model": Job, "description": "the job that trains the model, if `wait` is false"},
}

_OPTIONS: dict[str, Any] = {"status_code": 201, "response_model": ModelMetadata, "responses": _ANSWERS}


def router(desk: Desk, root_path: str) -> APIRouter:
    """Make the routes that train; a job's Location is below `root_path`."""
    routes = APIRouter(tags=["training"])

    def answer(found: ModelMetadata | Job) -> ModelMetadata | Response:
        if isinstance(found, ModelMetadata):
            return found
        location = {"Location": f"{root_path}/jobs/{found.job_id}"}
        return JSONResponse(found.model_dump(mode="json"), 202, headers=location)

    @routes.post("/train", **_OPTIONS, openapi_extra=json_body(TrainRequest))
    async def train(request: Request, query: Asked, idempotency_key: IdempotencyKey = None) -> ModelMetadata | Response:
        """Train a model on a table."""
        read = await read_json(request, TrainRequest)
        return answer(await desk.train(read, idempotency_key, wait=query.wait))

    @routes.post("/train/file", **_OPTIONS, openapi_extra=table_body(TrainRequest))
    async def train_file(
        request: Request, query: AskedForFile, idempotency_key: IdempotencyKey = None
    ) -> ModelMetadata | Response:
        """Train a model on an uploaded table."""
        read = await read_table(request, TrainRequest, TrainQuery.model_fields)
        return answer(await desk.train(read, idempotency_key, wait=query.wait))

    @routes.post("/search", **_OPTIONS, openapi_extra=json_body(SearchRequest))
    async def search(
        request: Request, query: Asked, idempotency_key: IdempotencyKey = None
    ) -> ModelMetadata | Response:
        """Find the best model for a table among many model classes and hyperparams."""
        read = await read_json(request, SearchRequest)
        return answer(await desk.search(read, idempotency_key, wait=query.wait))

    @routes.post("/search/file", **_OPTIONS, openapi_extra=table_body(SearchRequest))
    async def search_file(
        request: Request, query: AskedForFile, idempotency_key: IdempotencyKey = None
    ) -> ModelMetadata | Response:
        """Find the best model for an uploaded table."""
        read = await read_table(request, SearchRequest, TrainQuery.model_fields)
        return answer(await desk.search(read, idempotency_key, wait=query.wait))

    @routes.post("/retrain", **_OPTIONS, openapi_extra=json_body(RetrainRequest))
    async def retrain(
        request: Request, query: Asked, idempotency_key: IdempotencyKey = None
    ) -> ModelMetadata | Response:
        """Train the next version of a model on a new table."""
        read = await read_json(request, RetrainRequest)
        return answer(await desk.retrain(read, idempotency_key, wait=query.wait))

    @routes.post("/retrain/file", **_OPTIONS, openapi_extra=table_body(RetrainRequest))
    async def retrain_file(
        request: Request, query: AskedForFile, idempotency_key: IdempotencyKey = None
    ) -> ModelMetadata | Response:
        """Train the next version of a model on an uploaded table."""
        read = await read_table(request, RetrainRequest, TrainQuery.model_fields)
        return answer(await desk.retrain(read, idempotency_key, wait=query.wait))

    return routes
