"""From a caller's fields to a request, or to the words for what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from modelyard.errors import (
    FieldError,
    InvalidHyperparams,
    InvalidRequest,
    InvalidTable,
    ModelClassNotFound,
    ModelyardError,
)

ValueT = TypeVar("ValueT", bound=BaseModel)

_OBJECTS = ("dict_type", "model_type")
"""What pydantic calls the errors where an object of JSON is due."""

_REFUSED_AS: dict[str, type[ModelyardError]] = {
    "model_class_key": ModelClassNotFound,
    "hyperparams": InvalidHyperparams,
    "target": InvalidTable,
    "feature_names": InvalidTable,
    "feature_types": InvalidTable,
}
"""What the core raises for a field that names what cannot exist; for the others it is InvalidRequest."""


def parse(kind: type[ValueT], fields: Mapping[str, Any]) -> ValueT:
    """Build a `kind` from a caller's fields.

    Raises InvalidRequest naming every field that is missing, unknown or of the wrong kind.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest.of([field_error(item, kind) for item in error.errors()]) from None


def field_error(item: Mapping[str, Any], kind: type[BaseModel] | None = None) -> FieldError:
    """Say in our words what pydantic found; `kind` is what was to be built, if that is known."""
    loc = tuple(item["loc"])
    where = ".".join(map(str, loc))
    if item["type"] == "missing":
        return FieldError(loc, f"field '{where}' is required")
    if item["type"] == "extra_forbidden":
        known = "" if kind is None else f"; known are: {', '.join(_model_at(kind, loc[:-1]).model_fields)}"
        return FieldError(loc, f"field '{where}' is unknown{known}", item["input"])
    message = "must be an object" if item["type"] in _OBJECTS else item["msg"].removeprefix("Value error, ")
    if item["type"] == "value_error":
        return FieldError(loc, message, item["input"])
    return FieldError(
        loc, f"field '{where}': {message[0].lower()}{message[1:]}, got {shortened(item['input'])}", item["input"]
    )


def not_unicode(name: str, value: object) -> ModelyardError:
    """Build the error for a request's field that holds text which is not Unicode, of the core's class for it."""
    message = f"field '{name}' must hold valid Unicode text, got {value!r}"
    return _REFUSED_AS.get(name, InvalidRequest)(message, errors=[FieldError((name,), message)])


def shortened(value: Any) -> str:
    """Return a value as Python writes it, cut to 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _model_at(kind: type[BaseModel], path: Sequence[str | int]) -> type[BaseModel]:
    """Return the model that a path of field names leads to."""
    for name in path:
        annotation = kind.model_fields[str(name)].annotation
        choices = (annotation, *get_args(annotation))
        kind = next(choice for choice in choices if isinstance(choice, type) and issubclass(choice, BaseModel))
    return kind
