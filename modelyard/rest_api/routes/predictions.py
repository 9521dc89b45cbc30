"""Predicting, from JSON and from files."""

from __future__ import annotations

import json
from functools import partial

from fastapi import APIRouter, Request, Response

from modelyard.ml_core.desk import Desk
from modelyard.rest_api.bodies import read_table
from modelyard.rest_api.formats import JSON, accept_of, choose
from modelyard.rest_api.openapi import error_responses, json_body, table_answer, table_body
from modelyard.rest_api.prediction_formats import MEDIA_TYPES, answer_headers, timing, write
from modelyard.rest_api.questions import PredictQuestion
from modelyard.schemas import Predictions, PredictRequest

_ERRORS = error_responses(400, 404, 409, 413)


def router(desk: Desk) -> APIRouter:
    """Make the routes that predict."""
    routes = APIRouter(tags=["prediction"])

    @routes.post("/predict", response_model=Predictions, responses=_ERRORS, openapi_extra=json_body(PredictRequest))
    async def predict(request: Request) -> Response:
        """Predict the label, or the number, of each row."""
        body = await request.body()
        question = PredictQuestion(body)
        found = await desk.predict(len(body), question.read, question.write)
        return Response(found.content, media_type=JSON, headers={"Server-Timing": timing(found)})

    @routes.post(
        "/predict/file",
        response_model=Predictions,
        responses={**_ERRORS, **table_answer()},
        openapi_extra=table_body(PredictRequest),
    )
    async def predict_file(request: Request) -> Response:
        """Predict the label, or the number, of each row of an uploaded table, in the format of `Accept`.

        Quickest is an Arrow stream as the body itself, the other fields in the query.
        """
        write = partial(_as_file, media_type=choose(accept_of(request), MEDIA_TYPES))
        found = await desk.predict_many(await read_table(request, PredictRequest), write)
        found.content.headers["Server-Timing"] = timing(found)
        return found.content

    return routes


def _as_file(found: Predictions, media_type: str) -> Response:
    headers = answer_headers(found.model_id, found.warnings) | _decision_header(found)
    if found.prediction_id is not None:
        headers["X-Prediction-Id"] = found.prediction_id
    return Response(write(found, media_type), media_type=media_type, headers=headers)


def _decision_header(found: Predictions) -> dict[str, str]:
    """Return the decision without its costs, which may be longer than a header."""
    if found.decision is None:
        return {}
    return {"X-Decision": json.dumps(found.decision.model_dump(exclude={"costs"}))}  # in ASCII, as headers are
