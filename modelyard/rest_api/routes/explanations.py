"""Explaining predictions, from JSON and from files."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response

from modelyard.ml_core.desk import Desk
from modelyard.rest_api.bodies import read_json, read_table
from modelyard.rest_api.explanation_formats import write
from modelyard.rest_api.formats import JSON, accept_of, choose
from modelyard.rest_api.openapi import error_responses, json_body, table_answer, table_body
from modelyard.rest_api.prediction_formats import MEDIA_TYPES, answer_headers, timing
from modelyard.schemas import ExplainRequest, Explanations

_ERRORS = error_responses(400, 404, 409, 413)


def router(desk: Desk) -> APIRouter:
    """Make the routes that explain."""
    routes = APIRouter(tags=["prediction"])

    @routes.post("/explain", response_model=Explanations, responses=_ERRORS, openapi_extra=json_body(ExplainRequest))
    async def explain(request: Request) -> Response:
        """Say how far each column moved the score of each row away from the base."""
        found = await desk.explain(await read_json(request, ExplainRequest), partial(_answer, media_type=JSON))
        found.content.headers["Server-Timing"] = timing(found)
        return found.content

    @routes.post(
        "/explain/file",
        response_model=Explanations,
        responses={**_ERRORS, **table_answer()},
        openapi_extra=table_body(ExplainRequest),
    )
    async def explain_file(request: Request) -> Response:
        """Explain each row of an uploaded table, in the format of `Accept`."""
        media_type = choose(accept_of(request), MEDIA_TYPES)
        found = await desk.explain(await read_table(request, ExplainRequest), partial(_answer, media_type=media_type))
        found.content.headers["Server-Timing"] = timing(found)
        return found.content

    return routes


def _answer(found: Explanations, media_type: str) -> Response:
    headers = answer_headers(found.model_id, found.warnings)
    return Response(write(found, media_type), media_type=media_type, headers=headers)
