"""Errors on the wire: RFC 9457 problem documents, each way."""

from __future__ import annotations

from typing import Any

import orjson

from modelyard import errors
from modelyard.errors import FieldError, ModelyardError
from modelyard.schemas import hide_keys
from modelyard.schemas.showing import presentable

MEDIA_TYPE = "application/problem+json"
PROBLEM_EVENT = "problem"
"""The event that tells of an error in a stream of events."""

TYPE_PREFIX = "urn:modelyard:error:"

STATUS: dict[type[ModelyardError], int] = {
    errors.InvalidArgument: 400,
    errors.FormatNotGiven: 406,
    errors.FormatNotTaken: 415,
    errors.Unauthenticated: 401,
    errors.PermissionDenied: 403,
    errors.NotFound: 404,
    errors.AlreadyExists: 409,
    errors.Aborted: 409,
    errors.FailedPrecondition: 409,
    errors.PayloadTooLarge: 413,
    errors.ResourceExhausted: 429,
    errors.Cancelled: 409,
    errors.RequestTimedOut: 408,
    errors.DeadlineExceeded: 504,
    errors.Unavailable: 503,
    errors.DataLoss: 500,
    errors.Internal: 500,
    ModelyardError: 500,
}


def status_of(error: ModelyardError) -> int:
    """Return the HTTP status of the nearest of the error's classes that has one."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def headers_of(error: ModelyardError) -> dict[str, str]:
    """Return the headers that go with an error."""
    if isinstance(error, errors.TooManyRequests):
        return {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, errors.Unauthenticated):
        return {"WWW-Authenticate": "Bearer"}
    return {}


def to_problem(error: ModelyardError, request_id: str | None, status: int | None = None) -> bytes:
    """Write an error as a problem document."""
    document = {
        "type": TYPE_PREFIX + type(error).slug(),
        "title": error.title,
        "status": status or status_of(error),
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
        "errors": [
            {"loc": list(wrong.loc), "message": wrong.message, "value": presentable(wrong.value)}
            for wrong in error.errors
        ],
    }
    options = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
    return hide_keys(orjson.dumps(document, default=repr, option=options).decode()).encode()


def from_problem(document: dict[str, Any]) -> ModelyardError:
    """Build the error that a problem document tells of."""
    slug = str(document.get("type", "")).removeprefix(TYPE_PREFIX)
    kind = errors.error_class(slug, document.get("code"))
    found = [
        FieldError(tuple(item["loc"]), item["message"], item.get("value")) for item in document.get("errors") or []
    ]
    error = kind(document.get("detail") or document.get("title") or "no detail", errors=found)
    error.request_id = document.get("request_id")
    return error
