"""Inference: a request's JSON and the binary tensors behind it, and the answer in the same form."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import orjson

from modelyard.errors import FieldError, InvalidRequest
from modelyard.ml_core.desk import Desk
from modelyard.open_inference import (
    BY_DEFAULT,
    InferenceRequest,
    Output,
    outputs_of,
    packed,
    parameters_of,
    table_of,
    wants,
)
from modelyard.rest_api.bodies import loads
from modelyard.rest_api.formats import JSON
from modelyard.schemas import Predictions, PredictRequest
from modelyard.schemas.showing import shown

BINARY = "application/octet-stream"
JSON_BYTES = "Inference-Header-Content-Length"

_NONE: dict[str, str] = {}

_decoder = msgspec.json.Decoder(InferenceRequest)

_FAULT = re.compile(r"Expected `(.+?)`, got `(.+?)`(?: - at `\$\.?(.*)`)?|.*field `(.+?)`(?: - at `\$\.?(.*)`)?")
_WORDS = {"str": "text", "int": "an integer", "array": "a list", "object": "an object", "null": "null"}


class Inference:
    """A question to one model. `json_bytes` is how much of the body is JSON, if binary tensors follow."""

    __slots__ = (
        "_binary",
        "_body",
        "_desk",
        "_id",
        "_json_bytes",
        "_name",
        "_reference",
        "_wanted",
        "headers",
        "media_type",
    )

    def __init__(self, desk: Desk, name: str, version: str | None, body: bytes, json_bytes: str | None = None) -> None:
        self.media_type = JSON
        self.headers: dict[str, str] = _NONE
        self._desk = desk
        self._name = name
        self._reference = f"{name}:{version}" if version else name
        self._body = body
        self._json_bytes = json_bytes
        self._id: str | None = None
        self._wanted = BY_DEFAULT
        self._binary: frozenset[str] = frozenset()

    def read(self) -> PredictRequest:
        """Read the body. Raises InvalidRequest, InvalidTable, and for a table in one tensor ModelNotFound."""
        if self._json_bytes is None:
            request = _parsed(self._body)
        else:
            at = self._json_end(self._json_bytes)
            request = _parsed(self._body[:at])
            self._take_binary(request, at)
        self._id = request.id
        if request.outputs or request.parameters:
            self._wanted = wants(request.outputs, request.parameters)
            self._binary = _wanted_in_binary(request, self._wanted)
            if self._binary:
                self.media_type = BINARY
        return table_of(request.inputs, self._reference, self._wanted, self._desk.get_active)

    def write(self, found: Predictions) -> bytes:
        """Write the answer: JSON, and behind it the outputs that are wanted in binary form."""
        outputs: list[dict[str, Any]] = []
        pieces: list[bytes] = []
        for output in outputs_of(found, self._wanted):
            piece = packed(output.datatype, output.cells) if output.name in self._binary else None
            outputs.append(_described(output, piece))
            if piece is not None:
                pieces.append(piece)
        document: dict[str, Any] = {
            "model_name": self._name,
            "model_version": str(self._desk.version_of(found.model_id)),
            "parameters": parameters_of(found),
            "outputs": outputs,
        }
        if self._id is not None:
            document["id"] = self._id
        head = orjson.dumps(document)
        if not pieces:
            return head
        self.headers = {JSON_BYTES: str(len(head))}
        return b"".join([head, *pieces])

    def _json_end(self, given: str) -> int:
        size = len(self._body)
        if not (given.isascii() and given.isdigit() and len(given) < 20 and int(given) <= size):
            raise InvalidRequest(f"header {JSON_BYTES} must be at most the body's {size:,} bytes, got {shown(given)}")
        return int(given)

    def _take_binary(self, request: InferenceRequest, at: int) -> None:
        """Give each tensor that has its cells behind the JSON its piece of the body."""
        rest = memoryview(self._body)
        for tensor in request.inputs:
            size = (tensor.parameters or {}).get("binary_data_size")
            if size is None:
                continue
            if type(size) is not int or not 0 <= size <= len(rest) - at:
                raise InvalidRequest(
                    f"tensor {shown(tensor.name)}: binary_data_size must be at most the {len(rest) - at:,} bytes that "
                    f"are left of the body, got {shown(size)}"
                )
            if tensor.data is not None:
                raise InvalidRequest(f"tensor {shown(tensor.name)} has its cells twice, as data and as binary data")
            tensor.data = rest[at : at + size]
            at += size
        if at != len(rest):
            raise InvalidRequest(f"the body goes on for {len(rest) - at:,} bytes after its last tensor")


def _parsed(body: bytes) -> InferenceRequest:
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _fault(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    if b"NaN" not in body:
        loads(body, "the body")  # says where it breaks
    try:  # clients that write NaN for a missing number
        return msgspec.convert(json.loads(body), InferenceRequest)
    except msgspec.ValidationError as error:
        raise _fault(str(error)) from None
    except ValueError:
        loads(body, "the body")
        raise InvalidRequest("the body is not valid JSON") from None


def _fault(said: str) -> InvalidRequest:
    """Return what msgspec says of a field in our words."""
    match = _FAULT.match(said)
    due, got, place, missing, within = match.groups() if match else (None,) * 5
    if missing is not None:
        field = f"{within}.{missing}" if within else missing
        return InvalidRequest.of([FieldError((field,), f"field '{field}' is required")])  # type: ignore[return-value]
    if due is None or not place:
        return InvalidRequest(f"the body must be a JSON object with the field 'inputs': {said}")
    words = " or ".join(_WORDS.get(one, one) for one in due.split(" | "))
    message = f"field '{place}' must be {words}, got {_WORDS.get(str(got), got)}"
    return InvalidRequest.of([FieldError((place,), message)])  # type: ignore[return-value]


def _wanted_in_binary(request: InferenceRequest, wanted: tuple[str, ...]) -> frozenset[str]:
    """Return the outputs that are wanted in binary form: by their own parameter, else by the request's."""
    usual = (request.parameters or {}).get("binary_data_output", False)
    own = {one.name: (one.parameters or {}).get("binary_data", usual) for one in request.outputs or ()}
    return frozenset(name for name in wanted if own.get(name, usual) is True)


def _described(output: Output, piece: bytes | None) -> dict[str, Any]:
    parameters: dict[str, Any] = dict(output.parameters or {})
    described: dict[str, Any] = {"name": output.name, "datatype": output.datatype, "shape": output.shape}
    if piece is None:
        described["data"] = output.cells
    else:
        parameters["binary_data_size"] = len(piece)
    if parameters:
        described["parameters"] = parameters
    return described
