"""One prediction over JSON, from the bytes of the body to those of the answer.

The route and its short way both answer by it. Small requests to a loaded model are answered where they are read, all
others in a thread.
"""

from __future__ import annotations

from contextlib import suppress
from time import perf_counter
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool

from modelyard.errors import ModelyardError
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.express import cut_out
from modelyard.rest_api.bodies import parse_json
from modelyard.schemas import Predictions, PredictRequest

SMALL_BODY_BYTES = 16 * 1024
"""Below it a prediction takes less time than handing it to a thread and back saves."""


async def answer(yard: Yard, body: bytes) -> tuple[bytes, str]:
    """Return the answer to a body, and how long it took as a Server-Timing header. Raises what `Verbs.predict` does."""
    if len(body) > SMALL_BODY_BYTES:
        return await run_in_threadpool(_answer, yard, body)
    began = perf_counter()
    asked = parse_json(body, PredictRequest)
    parsed = perf_counter()
    found = await yard.predict_soon(asked)
    if found is None:
        found = await run_in_threadpool(yard.predict, asked)
    return _encoded(found, began, parsed)


def _answer(yard: Yard, body: bytes) -> tuple[bytes, str]:
    began = perf_counter()
    asked = cut_out.read(body)
    if asked is not None:
        parsed = perf_counter()
        with suppress(ModelyardError):  # what is wrong, and where in the body, the long way says
            return _encoded(yard.predict(asked), began, parsed)
    asked = parse_json(body, PredictRequest)
    parsed = perf_counter()
    return _encoded(yard.predict(asked), began, parsed)


def _encoded(found: Predictions, began: float, parsed: float) -> tuple[bytes, str]:
    predicted = perf_counter()
    content = encode(found)
    return content, timing(parse=parsed - began, predict=predicted - parsed, encode=perf_counter() - predicted)


def timing(*, parse: float, predict: float, encode: float) -> str:
    """Return a Server-Timing header (in milliseconds) of laps in seconds."""
    return f"parse;dur={parse * 1e3:.3f}, predict;dur={predict * 1e3:.3f}, encode;dur={encode * 1e3:.3f}"


def encode(found: Predictions) -> bytes:
    """Write predictions as JSON."""
    document: dict[str, Any] = {
        "model_id": found.model_id,
        "predictions": found.predictions,
        "classes": found.classes,
        "probabilities": found.probabilities,
        "warnings": [warning.model_dump(exclude_none=True) for warning in found.warnings],
    }
    return orjson.dumps(document)
