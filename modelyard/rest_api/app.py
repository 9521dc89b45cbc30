"""REST: the application. Routes are in `routes/`, what all calls share is in `gate.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

import modelyard
from modelyard import calls, errors
from modelyard.errors import ModelyardError
from modelyard.ml_core.desk import Desk
from modelyard.rest_api import formats, openapi, problems
from modelyard.rest_api.express.short_way import ShortWay
from modelyard.rest_api.gate import Gate
from modelyard.rest_api.open_inference import faults
from modelyard.rest_api.open_inference import routes as open_inference
from modelyard.rest_api.routes import (
    aliases,
    decisions,
    docs,
    drift,
    evaluations,
    explanations,
    jobs,
    keys,
    models,
    outcomes,
    predictions,
    service,
    tables,
    training,
)
from modelyard.schemas import field_error
from modelyard.settings import Settings

_DESCRIPTION = "Train, judge, serve and retire models on tables: classification and regression."

_VERBS = {
    "delete_model": "delete",
    "infer": "predict",
    "job_events": "watch_job",
    "live": "health",
    "model_classes": "list_model_classes",
    "model_metadata": "get_model",
    "model_ready": "get_model",
    "ready": "health",
    "restore_model": "restore",
    "server_live": "health",
    "server_metadata": "health_in_full",
    "server_ready": "health",
}
"""The verbs of routes that are named otherwise."""


def create_app(desk: Desk, settings: Settings) -> Gate:
    """Make the REST application of a core. Closing the application closes the core."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await desk.close()

    app = FastAPI(
        title="Modelyard",
        version=modelyard.__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        servers=[{"url": settings.root_path}] if settings.root_path else None,
        docs_url=None,
        redoc_url=None,
    )
    app.router.redirect_slashes = False
    app.openapi = lambda: _openapi_once(app)  # type: ignore[method-assign]
    checked = [Depends(_enter), Depends(formats.checking())]
    of_models = (models, aliases, decisions, evaluations, drift, outcomes)
    nouns = (service, predictions, explanations, *of_models, tables, jobs, keys)
    for noun in (*nouns, open_inference):
        app.include_router(noun.router(desk), dependencies=checked)
    app.include_router(training.router(desk, settings.root_path), dependencies=checked)
    app.include_router(docs.router(settings.root_path))
    app.add_exception_handler(ModelyardError, _on_our_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_unexpected_error)
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=settings.allowed_origins, allow_methods=["*"], allow_headers=["*"]
        )
    within = ShortWay(app, desk, cross_origin=bool(settings.allowed_origins)) if settings.rest_express else app
    return Gate(within, desk.calls, desk.guard, settings)


async def _enter(request: Request) -> None:
    """Let a call in, or refuse it before its body is read: the verb is known by the route."""
    name = request.scope["route"].name
    calls.enter(_VERBS.get(name, name.removesuffix("_file")))


def _openapi_once(app: FastAPI) -> dict[str, object]:
    if app.openapi_schema is None:
        app.openapi_schema = openapi.document(app)
    return app.openapi_schema


def _answer(
    request: Request, error: ModelyardError, status: int | None = None, headers: dict[str, str] | None = None
) -> Response:
    calls.ends_as(error.code)
    body, media_type = faults.written(error, request.scope["path"], calls.identity().get("request_id"), status)
    headers = {**(headers or {}), **problems.headers_of(error)}
    return Response(body, status or problems.status_of(error), headers, media_type=media_type)


async def _on_our_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ModelyardError)
    return _answer(request, error)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # The first word of a place says where it was (query, header, path); the name alone is what the caller knows.
    wrong = [field_error({**item, "loc": item["loc"][1:]}) for item in error.errors()]
    return _answer(request, errors.InvalidRequest.of(wrong))


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    where = f"{request.method} {request.scope['path']}"  # `url` takes what follows a double slash for a host
    kind = errors.NotFound if error.status_code == 404 else errors.InvalidRequest
    detail = f"there is no {where}" if error.status_code in (404, 405) else f"{where}: {error.detail}"
    return _answer(request, kind(detail), error.status_code, dict(error.headers or {}))


async def _on_unexpected_error(request: Request, error: Exception) -> Response:
    return _answer(request, errors.Internal(calls.UNEXPECTED))
