"""Predicting, from JSON and from files."""

from __future__ import annotations

import json
from collections.abc import Callable
from time import perf_counter

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from modelyard.ml_core.yard import Yard
from modelyard.rest_api import tables_out
from modelyard.rest_api.bodies import read_table
from modelyard.rest_api.openapi import error_responses, json_body, table_answer, table_body
from modelyard.rest_api.express.json_predictions import answer, encode, timing
from modelyard.schemas import ModelWarning, Predictions, PredictRequest

_MAX_HEADER_CHARS = 4000
_ERRORS = error_responses(400, 404, 409, 413)


def router(yard: Yard) -> APIRouter:
    """Make the routes that predict."""
    routes = APIRouter(tags=["prediction"])

    @routes.post("/predict", response_model=Predictions, responses=_ERRORS, openapi_extra=json_body(PredictRequest))
    async def predict(request: Request) -> Response:
        """Predict the label of each row."""
        content, laps = await answer(yard, await request.body())
        return Response(content, media_type=tables_out.JSON, headers={"Server-Timing": laps})

    @routes.post(
        "/predict/file",
        response_model=Predictions,
        responses={**_ERRORS, **table_answer()},
        openapi_extra=table_body(PredictRequest),
    )
    async def predict_file(request: Request) -> Response:
        """Predict the label of each row of an uploaded table, answered in the format of `Accept`.

        Quickest is an Arrow stream as the body itself, the other fields in the query.
        """
        began = perf_counter()
        media_type = tables_out.choose(request.headers.get("accept"))
        async with read_table(request, PredictRequest) as read:
            found, parsed, predicted, body = await run_in_threadpool(_predict, yard, read, media_type)
        laps = timing(parse=parsed - began, predict=predicted - parsed, encode=perf_counter() - predicted)
        headers = {"Server-Timing": laps, "X-Model-Id": found.model_id, **_in_header(found.warnings)}
        return Response(body, media_type=media_type, headers=headers)

    return routes


def _predict(
    yard: Yard, read: Callable[[], PredictRequest], media_type: str
) -> tuple[Predictions, float, float, bytes]:
    """Return the predictions, when the request was read, when they were there, and how they are written."""
    asked = read()
    parsed = perf_counter()
    found = yard.predict(asked)
    predicted = perf_counter()
    written = encode(found) if media_type == tables_out.JSON else tables_out.write(found, media_type)
    return found, parsed, predicted, written


def _in_header(warnings: list[ModelWarning]) -> dict[str, str]:
    if not warnings:
        return {}
    written = [json.dumps(warning.model_dump(exclude_none=True)) for warning in warnings]  # in ASCII, as headers are
    while sum(map(len, written)) > _MAX_HEADER_CHARS:
        written.pop()
    if left_out := len(warnings) - len(written):
        written.append(json.dumps({"code": "more_warnings", "message": f"{left_out} more", "count": left_out}))
    return {"X-Warnings": f"[{', '.join(written)}]"}
