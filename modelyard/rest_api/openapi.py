"""What OpenAPI says of the routes beyond their answers: request bodies with examples, and the errors."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from modelyard.rest_api import problems
from modelyard.rest_api.bodies import TABLE_BODIES, TEXT_FIELDS, is_due
from modelyard.rest_api.open_inference import schemas as open_inference
from modelyard.rest_api.prediction_formats import MEDIA_TYPES
from modelyard.schemas import (
    AliasRequest,
    CheckRequest,
    Decision,
    DefaultAlias,
    EvaluateRequest,
    ExplainRequest,
    KeepAnswersRequest,
    KeyRequest,
    OutcomesRequest,
    PredictRequest,
    RetrainRequest,
    RotateRequest,
    SearchRequest,
    TrainRequest,
    UpdateRequest,
)

_REF = "#/components/schemas/{model}"
_BODIES: tuple[type[BaseModel], ...] = (
    TrainRequest,
    SearchRequest,
    RetrainRequest,
    PredictRequest,
    ExplainRequest,
    EvaluateRequest,
    CheckRequest,
    UpdateRequest,
    Decision,
    KeyRequest,
    RotateRequest,
    AliasRequest,
    DefaultAlias,
    KeepAnswersRequest,
    OutcomesRequest,
)

_X = [
    {"age": 39, "job": "clerk"},
    {"age": 50, "job": "smith"},
    {"age": 38, "job": "smith"},
    {"age": 53, "job": "clerk"},
]
TRAIN_EXAMPLE: dict[str, Any] = {
    "model_class_key": "logistic_regression",
    "name": "credit",
    "X": _X,
    "y": ["no", "yes", "no", "yes"],
    "hyperparams": {"C": 0.5},
    "evaluation": {"method": "none"},
}
SEARCH_EXAMPLE: dict[str, Any] = {
    "name": "credit",
    "X": _X * 3,
    "y": ["no", "yes", "no", "yes"] * 3,
    "model_classes": ["logistic_regression"],
    "trials": 1,
}
RETRAIN_EXAMPLE: dict[str, Any] = {
    "model_id": "credit",
    "X": _X,
    "y": ["no", "yes", "no", "no"],
    "hyperparams": {"C": 2.0},
}
PREDICT_EXAMPLE: dict[str, Any] = {
    "model_id": "credit",
    "X": [{"age": 44, "job": "clerk"}],
    "probabilities": True,
}
EXPLAIN_EXAMPLE: dict[str, Any] = {
    "model_id": "credit",
    "X": [{"age": 44, "job": "clerk"}],
    "top": 5,
}
EVALUATE_EXAMPLE: dict[str, Any] = {
    "model_ids": ["credit", "credit:1"],
    "X": _X,
    "y": ["no", "yes", "yes", "yes"],
    "label": "March",
}
CHECK_EXAMPLE: dict[str, Any] = {"X": _X, "y": ["no", "yes", "no", "yes"]}
UPDATE_EXAMPLE: dict[str, Any] = {"tags": ["risk"], "description": "Trained on the applications of March."}
DECISION_EXAMPLE: dict[str, Any] = {"rule": "costs", "costs": {"yes": {"no": 10}, "no": {"yes": 1}}}
KEY_EXAMPLE: dict[str, Any] = {"name": "crm", "role": "predictor", "models": ["churn*"], "expires_in_days": 365}
OUTCOMES_EXAMPLE: dict[str, Any] = {
    "model_id": "credit",
    "outcomes": [{"prediction_id": "20260302-9f3c2a1b7d5e4f60", "row": 0, "label": "yes"}],
}
EXAMPLES: dict[type[BaseModel], dict[str, Any]] = {
    TrainRequest: TRAIN_EXAMPLE,
    SearchRequest: SEARCH_EXAMPLE,
    RetrainRequest: RETRAIN_EXAMPLE,
    PredictRequest: PREDICT_EXAMPLE,
    ExplainRequest: EXPLAIN_EXAMPLE,
    EvaluateRequest: EVALUATE_EXAMPLE,
    CheckRequest: CHECK_EXAMPLE,
    UpdateRequest: UPDATE_EXAMPLE,
    Decision: DECISION_EXAMPLE,
    KeyRequest: KEY_EXAMPLE,
    RotateRequest: {"grace_s": 3600},
    AliasRequest: {"version": 3, "expected": 2},
    DefaultAlias: {"alias": "live"},
    KeepAnswersRequest: {"keep": True},
    OutcomesRequest: OUTCOMES_EXAMPLE,
}

_PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "An error as RFC 9457 has it.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id", "errors"],
    "properties": {
        "type": {"type": "string", "description": "which error it is"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what, which value, what is allowed"},
        "code": {"type": "string", "description": "the canonical code word"},
        "request_id": {"type": ["string", "null"]},
        "errors": {
            "type": "array",
            "maxItems": 50,
            "items": {
                "type": "object",
                "required": ["loc", "message"],
                "properties": {
                    "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
                    "message": {"type": "string"},
                    "value": {},
                },
            },
        },
    },
}

_WHEN = {
    400: "the request is wrong: `errors` names the places",
    401: "a key is asked for, and there is none, or one that is not valid",
    403: "the key's role or models do not allow it, or a browser's request comes from elsewhere",
    406: "`Accept` excludes every format that there is an answer in",
    404: "no such model, model class or job, or a deleted model where an active one is needed",
    409: "the state of things does not allow it",
    413: "the body is over the limit",
    415: "the body is of a type or in a `Content-Encoding` that is not taken",
    429: "too many calls, or trainings that wait (`Retry-After` says when to come back), or one took too much memory",
    500: "stored data does not match its checksum, or something unexpected",
    503: "the storage cannot be reached or written, or the server is stopping",
    504: "the training took too long",
}


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the errors of a route."""
    content = {problems.MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}
    return {
        status: {"description": _WHEN[status], "content": content}
        for status in (*statuses, 401, 403, 406, 415, 429, 500, 503)
    }


def json_body(kind: type[BaseModel]) -> dict[str, Any]:
    """Describe a JSON body, with its example."""
    schema = {"$ref": _REF.format(model=kind.__name__)}
    content = {"application/json": {"schema": schema, "example": EXAMPLES[kind]}}
    return {"requestBody": {"required": is_due(kind), "content": content}}


def table_body(kind: type[BaseModel]) -> dict[str, Any]:
    """Describe a file as a body: in a multipart form in the place of X, or as it is with the fields in the query.

    Text fields are written as they are, the others as JSON.
    """
    file = {"type": "string", "format": "binary", "description": "CSV, JSON, JSON lines, Parquet, Arrow or Excel"}
    required = [name for name, field in kind.model_fields.items() if field.is_required() and name != "X"]
    fields: dict[str, dict[str, Any]] = {
        name: {"type": "string", "description": "text" if name in TEXT_FIELDS else "JSON"}
        for name in kind.model_fields
        if name not in ("X", "y")
    }
    for name in required:
        fields[name]["minLength"] = 1
    form = {"type": "object", "properties": {"file": file, **fields}, "required": ["file", *required]}
    content = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in TABLE_BODIES}
    return {
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": form}, **content},
            "description": "a form with the file, or the file as it is with the fields in the query",
        },
        "parameters": [{"name": name, "in": "query", "required": False, "schema": fields[name]} for name in fields],
    }


def table_answer() -> dict[int | str, dict[str, Any]]:
    """Describe the formats of predictions as a file beyond JSON."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"content": dict.fromkeys(MEDIA_TYPES[1:], binary)}}


def _with_defaults_in_words(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a body with its defaults in the descriptions.

    Generators of TypeScript take a field with a `default` for one that is always there, and then demand it of callers.
    """
    fields = {}
    for name, field in schema.get("properties", {}).items():
        kept = {key: value for key, value in field.items() if key != "default"}
        if field.get("default") is not None:
            words = f"default: {json.dumps(field['default'])}"
            kept["description"] = f"{field['description']}; {words}" if "description" in field else words
        fields[name] = kept
    return {**schema, "properties": fields} if fields else schema


def document(app: FastAPI) -> dict[str, Any]:
    """Build the OpenAPI document, the request bodies' schemas among its components."""
    made = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, servers=app.servers
    )
    _, bodies = models_json_schema([(kind, "validation") for kind in _BODIES], ref_template=_REF)
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    for name, schema in bodies["$defs"].items():
        schemas[name] = _with_defaults_in_words(schema)
    schemas |= open_inference.SCHEMAS
    schemas["Problem"] = _PROBLEM
    made["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "bearerFormat": "my_ID_SECRET"}
    }
    made["security"] = [{}, {"key": []}]  # a key is needed if the yard asks for keys
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path in made["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    return made
