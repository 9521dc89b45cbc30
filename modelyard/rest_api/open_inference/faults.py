"""Errors in the protocol's form: `{"error": "…"}`."""

from __future__ import annotations

import orjson

from modelyard.errors import ModelyardError
from modelyard.rest_api import problems
from modelyard.rest_api.formats import JSON

ROOT = "/v2"


def written(error: ModelyardError, path: str, request_id: str | None, status: int | None = None) -> tuple[bytes, str]:
    """Return an error as a call of a path answers it, and the media type: below ROOT as the protocol has it."""
    if path == ROOT or path.startswith(f"{ROOT}/"):
        return orjson.dumps({"error": error.detail.encode(errors="replace").decode()}), JSON
    return problems.to_problem(error, request_id, status), problems.MEDIA_TYPE
