"""The protocol's documents as OpenAPI describes them."""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic import BaseModel

from modelyard.open_inference import InferenceRequest
from modelyard.rest_api.formats import JSON
from modelyard.rest_api.open_inference.inference import BINARY, JSON_BYTES

_REF = "#/components/schemas/{name}"
SCHEMAS = msgspec.json.schema_components([InferenceRequest], ref_template=_REF)[1]
"""The schemas of request bodies."""

_EXAMPLE = {
    "inputs": [
        {"name": "age", "datatype": "FP64", "shape": [2], "data": [44, None]},
        {"name": "job", "datatype": "BYTES", "shape": [2], "data": ["clerk", "smith"]},
    ],
    "outputs": [{"name": "predict"}, {"name": "probabilities"}],
}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_INFER: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"$ref": _REF.format(name="InferenceRequest")}, "example": _EXAMPLE},
            BINARY: _BYTES,
        },
        "description": f"JSON, or JSON of the length in the header {JSON_BYTES} and binary tensors behind it",
    },
}


class InferenceError(BaseModel):
    """What is wrong."""

    error: str


class ServerMetadata(BaseModel):
    """The server; `version` is empty for callers who may not know it."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    """A tensor; -1 in its shape is any number of rows."""

    name: str
    datatype: str
    shape: list[int]


class InferenceModelMetadata(BaseModel):
    """The tensors of a model. The parameter `matrix`: one tensor [n, k] may hold all inputs, in this order."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    parameters: dict[str, bool]


class OutputTensor(BaseModel):
    """An output; its cells are behind the JSON if its parameters have a `binary_data_size`."""

    name: str
    datatype: str
    shape: list[int]
    data: list[bool | int | float | str] = []
    parameters: dict[str, str | int] = {}


class InferenceResponse(BaseModel):
    """The answer. Its parameters are the model's id and, as JSON, the warnings, if there are any."""

    model_name: str
    model_version: str
    id: str = ""
    parameters: dict[str, str]
    outputs: list[OutputTensor]


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the errors of a route."""
    return {status: {"model": InferenceError} for status in (*statuses, 401, 403, 406, 415, 429, 500, 503)}


def inference() -> dict[str, Any]:
    """Describe the routes of inference."""
    answers: dict[int | str, dict[str, Any]] = {200: {"content": {BINARY: _BYTES}}}
    return {"responses": {**answers, **error_responses(400, 404, 409, 413)}, "openapi_extra": _INFER}
