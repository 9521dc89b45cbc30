"""Errors on the wire: a canonical status with google.rpc details, each way.

The details travel in the trailers, which clients bound (to 8 KB unless they say otherwise); what does not fit is left
out from the end, the wrong values before the wrong places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import orjson
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo, RetryInfo
from google.rpc.status_pb2 import Status

from modelyard import errors
from modelyard.errors import FieldError, ModelyardError
from modelyard.grpc_server.paths import read_path, write_path
from modelyard.schemas import hide_keys
from modelyard.schemas.showing import cut, presentable, valid_unicode

DETAILS_KEY = "grpc-status-details-bin"
REQUEST_ID_KEY = "x-request-id"
ERROR_BYTES_KEY = "x-error-bytes"
DEFAULT_ERROR_BYTES = 7000
"""What fits into the 8 KB of trailers that every client takes, beside the status itself."""

DOMAIN = "modelyard"

Trailers = tuple[tuple[str, str | bytes], ...]


def status_code(error: ModelyardError) -> grpc.StatusCode:
    """Return gRPC's status of the error's code word."""
    return grpc.StatusCode[error.code]


def to_status(error: ModelyardError, request_id: str, max_bytes: int = DEFAULT_ERROR_BYTES) -> Status:
    """Write an error as a google.rpc.Status of about `max_bytes` at most, its detail included."""
    status = Status(code=Code.Value(error.code), message=cut(hide_keys(error.detail), max_bytes // 8))
    info = ErrorInfo(reason=type(error).slug().replace("-", "_").upper(), domain=DOMAIN)
    room = max_bytes - _bytes_of_detail(status.message) - 300
    places = BadRequest()
    values: list[bytes] = []
    for wrong in error.errors:
        value = hide_keys(orjson.dumps(presentable(wrong.value), default=repr).decode()).encode()
        description = hide_keys(valid_unicode(wrong.message))
        violation = BadRequest.FieldViolation(field=write_path(wrong.loc), description=description)
        room -= violation.ByteSize() + 4 + len(value) + 1
        if room < 0:
            info.metadata["left_out"] = str(len(error.errors) - len(values))
            break
        places.field_violations.append(violation)
        values.append(value)
    if values:
        info.metadata["values"] = (b"[" + b",".join(values) + b"]").decode()
    details: list[Message] = [places, info, RequestInfo(request_id=request_id)]
    if isinstance(error, errors.TooManyRequests):
        details.append(RetryInfo(retry_delay=Duration(seconds=error.retry_after_s)))
    for detail in details:
        status.details.add().Pack(detail)
    return status


def from_status(status: Status) -> ModelyardError:
    """Build the error that a google.rpc.Status tells of."""
    places, info, request, retry = BadRequest(), ErrorInfo(), RequestInfo(), RetryInfo()
    for detail in status.details:
        for known in (places, info, request, retry):
            if detail.Is(known.DESCRIPTOR):
                detail.Unpack(known)
    kind = errors.error_class(info.reason.replace("_", "-").lower(), _code_word(status.code))
    values: Sequence[Any] = orjson.loads(info.metadata["values"]) if "values" in info.metadata else ()
    wrong = [
        FieldError(_place(violation.field), violation.description, values[i] if i < len(values) else None)
        for i, violation in enumerate(places.field_violations)
    ]
    error = kind(status.message or "no detail", errors=wrong)
    error.request_id = request.request_id or None
    if isinstance(error, errors.TooManyRequests) and retry.HasField("retry_delay"):
        error.retry_after_s = retry.retry_delay.seconds
    return error


def from_call(error: Any, target: str) -> ModelyardError:
    """Build the error that a failed call tells of: the server's own one, or what gRPC itself says of the connection."""
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY:
            try:
                return from_status(Status.FromString(value))
            except (DecodeError, ValueError):
                break
    said = error.details() or "no reason given"
    match error.code():
        case grpc.StatusCode.UNAVAILABLE:
            return errors.Unavailable(f"no server answers at {target}: {said}")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return errors.DeadlineExceeded(f"{target} did not answer in time")
        case grpc.StatusCode.CANCELLED:
            return errors.Cancelled(f"the call was cancelled: {said}")
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return errors.PayloadTooLarge(f"{said}; larger tables go by TrainStream and PredictStream")
        case code:
            return errors.Internal(f"{target} answered {code.name} ({said}); is it a Modelyard server?")


def _bytes_of_detail(detail: str) -> int:
    """Count a detail's bytes in the trailers: once in the details, and once as grpc-message, percent-encoded."""
    content = detail.encode()
    return 2 * len(content) + 2 * sum(not 32 <= byte <= 126 or byte == ord("%") for byte in content)


def _code_word(number: int) -> str | None:
    known = Code.DESCRIPTOR.values_by_number.get(number)
    return None if known is None else known.name


def _place(field: str) -> tuple[str | int, ...]:
    try:
        return read_path(field)
    except ValueError:
        return (field,)
