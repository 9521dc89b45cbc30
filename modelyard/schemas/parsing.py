"""From a caller's fields to a request, or to the words for what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args

import orjson
from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo

from modelyard.errors import (
    FieldError,
    InvalidHyperparams,
    InvalidRequest,
    InvalidTable,
    ModelClassNotFound,
    ModelyardError,
)
from modelyard.schemas.showing import shown

ValueT = TypeVar("ValueT", bound=BaseModel)

_A_MOMENT = "must be a date or a moment, such as 2026-11-28T12:00:00Z"
_WORDS = {
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "list_type": "must be a list",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must not be empty",
    "too_long": "must have at most {max_length} items",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "int_parsing_size": "must be an integer",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "datetime_type": _A_MOMENT,
    "datetime_parsing": _A_MOMENT,
    "datetime_from_date_parsing": _A_MOMENT,
    "literal_error": "must be {expected}",
    "greater_than": "must be more than {gt:g}",
    "less_than": "must be less than {lt:g}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}
"""Our words for pydantic's errors: the same form as everywhere."""

_REFUSED_AS: dict[str, type[ModelyardError]] = {
    "model_class_key": ModelClassNotFound,
    "hyperparams": InvalidHyperparams,
    "target": InvalidTable,
    "feature_names": InvalidTable,
    "feature_types": InvalidTable,
    "column_roles": InvalidTable,
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
        known = "" if kind is None else f"; known are: {', '.join(_fields_of(_model_at(kind, loc[:-1])))}"
        return FieldError(loc, f"field '{where}' is unknown{known}", item["input"])
    if item["type"] == "value_error":
        return FieldError(loc, item["msg"].removeprefix("Value error, "), item["input"])
    words = _WORDS.get(item["type"])
    due = f": {item['msg']}" if words is None else " " + words.format_map(item.get("ctx", {}))
    return FieldError(loc, f"field '{where}'{due}, got {shown(item['input'])}", item["input"])


def check_unicode(**fields: object) -> None:
    """Refuse fields that hold text which is not valid Unicode, or anything else that JSON has no word for.

    Raises the core's class of error for each field: InvalidTable, InvalidHyperparams, ModelClassNotFound,
    InvalidRequest.
    """
    for name, value in fields.items():
        try:
            orjson.dumps(value)
        except orjson.JSONEncodeError:
            message = f"field '{name}' must hold valid Unicode text, got {value!r}"
            raise _REFUSED_AS.get(name, InvalidRequest)(message, errors=[FieldError((name,), message)]) from None


def _fields_of(kind: type[BaseModel]) -> list[str]:
    """Return the names of a model's fields, those that are required first."""
    fields = kind.model_fields
    names = sorted(fields, key=lambda name: not fields[name].is_required())
    return [_name_outside(fields[name]) or name for name in names]


def _name_outside(field: FieldInfo) -> str | None:
    """Return the name by which a field is given, if that is not its own; the first of several."""
    aliases = field.validation_alias
    found = aliases.choices[0] if isinstance(aliases, AliasChoices) else field.alias
    return found if isinstance(found, str) else None


def _model_at(kind: type[BaseModel], path: Sequence[str | int]) -> type[BaseModel]:
    """Return the model that a path of field names leads to."""
    for name in path:
        annotation = kind.model_fields[str(name)].annotation
        choices = (annotation, *get_args(annotation))
        kind = next(choice for choice in choices if isinstance(choice, type) and issubclass(choice, BaseModel))
    return kind
