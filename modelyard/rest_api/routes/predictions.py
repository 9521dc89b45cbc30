"""Predicting, from JSON and from files. Small requests to a loaded model are answered where they are read."""

from __future__ import annotations

import time
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from modelyard.ml_core.yard import Yard
from modelyard.rest_api import tables_out
from modelyard.rest_api.bodies import read_json, read_upload
from modelyard.rest_api.openapi import error_responses, json_body, table_answer, upload_body
from modelyard.schemas import ModelWarning, Predictions, PredictRequest

SMALL_BODY_BYTES = 16 * 1024
"""Below it a prediction takes less time than handing it to a thread and back saves."""

_MAX_HEADER_CHARS = 4000
_ERRORS = error_responses(400, 404, 409, 413)


def router(yard: Yard) -> APIRouter:
    """Make the routes that predict."""
    routes = APIRouter(tags=["prediction"])

    @routes.post("/predict", response_model=Predictions, responses=_ERRORS, openapi_extra=json_body(PredictRequest))
    async def predict(request: Request) -> Response:
        """Predict the label of each row."""
        clock = Clock()
        asked = await read_json(request, PredictRequest)
        clock.lap("parse")
        small = len(await request.body()) <= SMALL_BODY_BYTES and yard.is_loaded(asked.model_id)
        found = yard.predict(asked) if small else await run_in_threadpool(yard.predict, asked)
        clock.lap("predict")
        body = encode(found)
        clock.lap("encode")
        return Response(body, media_type=tables_out.JSON, headers={"Server-Timing": clock.header()})

    @routes.post(
        "/predict/file",
        response_model=Predictions,
        responses={**_ERRORS, **table_answer()},
        openapi_extra=upload_body(PredictRequest),
    )
    async def predict_file(request: Request) -> Response:
        """Predict the label of each row of an uploaded table, answered in the format of `Accept`."""
        clock = Clock()
        media_type = tables_out.choose(request.headers.get("accept"))
        async with read_upload(request, PredictRequest) as asked:
            clock.lap("parse")
            found = await run_in_threadpool(yard.predict, asked)
            clock.lap("predict")
        write = encode if media_type == tables_out.JSON else tables_out.write
        body = await run_in_threadpool(write, found, media_type)
        clock.lap("encode")
        headers = {"Server-Timing": clock.header(), "X-Model-Id": found.model_id, **_in_header(found.warnings)}
        return Response(body, media_type=media_type, headers=headers)

    return routes


class Clock:
    """Laps of one request, as a Server-Timing header tells them (in milliseconds)."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._laps: list[str] = []

    def lap(self, name: str) -> None:
        """End a lap."""
        now = time.perf_counter()
        self._laps.append(f"{name};dur={(now - self._last) * 1000:.3f}")
        self._last = now

    def header(self) -> str:
        """Return the laps so far."""
        return ", ".join(self._laps)


def encode(found: Predictions, media_type: str = tables_out.JSON) -> bytes:
    """Write predictions as JSON."""
    return orjson.dumps(
        {
            "model_id": found.model_id,
            "predictions": found.predictions,
            "classes": found.classes,
            "probabilities": found.probabilities,
            "warnings": [_warning(warning) for warning in found.warnings],
        }
    )


def _warning(warning: ModelWarning) -> dict[str, Any]:
    return warning.model_dump(exclude_none=True)


def _in_header(warnings: list[ModelWarning]) -> dict[str, str]:
    if not warnings:
        return {}
    text = "; ".join(warning.message for warning in warnings)
    return {"X-Warnings": text.encode("ascii", "replace").decode().replace("\n", " ")[:_MAX_HEADER_CHARS]}
