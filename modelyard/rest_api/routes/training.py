"""Training and retraining, from JSON and from files."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.concurrency import run_in_threadpool

from modelyard.ml_core.yard import Yard
from modelyard.rest_api.bodies import read_json, read_upload
from modelyard.rest_api.openapi import error_responses, json_body, upload_body
from modelyard.schemas import ModelMetadata, RetrainRequest, TrainRequest

IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=200, description="a key of your own; the same key trains only once in 24 hours"),
]
_ERRORS = error_responses(400, 404, 409, 413)


def router(yard: Yard) -> APIRouter:
    """Make the routes that train."""
    routes = APIRouter(tags=["training"])

    @routes.post("/train", status_code=201, responses=_ERRORS, openapi_extra=json_body(TrainRequest))
    async def train(request: Request, idempotency_key: IdempotencyKey = None) -> ModelMetadata:
        """Train a model on a table."""
        asked = await read_json(request, TrainRequest)
        return await run_in_threadpool(partial(yard.train, asked, idempotency_key=idempotency_key))

    @routes.post("/train/file", status_code=201, responses=_ERRORS, openapi_extra=upload_body(TrainRequest))
    async def train_file(request: Request, idempotency_key: IdempotencyKey = None) -> ModelMetadata:
        """Train a model on an uploaded table."""
        async with read_upload(request, TrainRequest) as asked:
            return await run_in_threadpool(partial(yard.train, asked, idempotency_key=idempotency_key))

    @routes.post("/retrain", status_code=201, responses=_ERRORS, openapi_extra=json_body(RetrainRequest))
    async def retrain(request: Request, idempotency_key: IdempotencyKey = None) -> ModelMetadata:
        """Train the next version of a model on a new table."""
        asked = await read_json(request, RetrainRequest)
        return await run_in_threadpool(partial(yard.retrain, asked, idempotency_key=idempotency_key))

    @routes.post("/retrain/file", status_code=201, responses=_ERRORS, openapi_extra=upload_body(RetrainRequest))
    async def retrain_file(request: Request, idempotency_key: IdempotencyKey = None) -> ModelMetadata:
        """Train the next version of a model on an uploaded table."""
        async with read_upload(request, RetrainRequest) as asked:
            return await run_in_threadpool(partial(yard.retrain, asked, idempotency_key=idempotency_key))

    return routes
