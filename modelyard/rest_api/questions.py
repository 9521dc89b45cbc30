"""Questions: requests for predictions as their routes and the express ways ask them."""

from __future__ import annotations

from typing import Protocol

from modelyard.rest_api.bodies import parse_json
from modelyard.rest_api.formats import JSON
from modelyard.rest_api.prediction_formats import write_json
from modelyard.schemas import Predictions, PredictRequest


class Question(Protocol):
    """A body that was received, asked once: how it is read, and how its answer is written."""

    media_type: str
    """Of the answer; it is known once the body is read."""

    headers: dict[str, str]
    """Of the answer, beside the usual ones; they are known once it is written."""

    def read(self) -> PredictRequest:
        """Read the body. Raises InvalidRequest, InvalidTable."""
        ...

    def write(self, found: Predictions) -> bytes:
        """Write the answer."""
        ...


class PredictQuestion:
    """The body of `POST /predict`."""

    media_type = JSON
    headers: dict[str, str] = {}

    def __init__(self, body: bytes) -> None:
        self._body = body

    def read(self) -> PredictRequest:
        """Read the body. Raises InvalidRequest."""
        return parse_json(self._body, PredictRequest)

    def write(self, found: Predictions) -> bytes:
        """Write the answer."""
        return write_json(found)
