"""What a Python server costs before it does anything: the applications that ours is measured against.

`uvicorn benchmarks.floors:fastapi_app` and `…:raw_app`; both read the same body and answer the same bytes.
"""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import FastAPI
from pydantic import BaseModel

ANSWER = {"model_id": "none", "predictions": ["no"], "classes": ["no", "yes"], "probabilities": None, "warnings": []}
_ANSWER_BYTES = orjson.dumps(ANSWER)


class Asked(BaseModel):
    """The body, as any FastAPI application would declare it."""

    model_id: str
    X: list[dict[str, float | str | None]]
    probabilities: bool = False


class Answered(BaseModel):
    """The answer, likewise."""

    model_id: str
    predictions: list[str]
    classes: list[str]
    probabilities: list[list[float]] | None
    warnings: list[str]


fastapi_app = FastAPI()


@fastapi_app.post("/predict")
async def predict(asked: Asked) -> Answered:
    """Validate the body and answer what is known before."""
    return Answered.model_validate(ANSWER)


async def raw_app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Read the body and answer, with nothing in between."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body", False):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(_ANSWER_BYTES)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _ANSWER_BYTES})
