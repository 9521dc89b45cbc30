"""Hyperparams: each declared once, and everything that follows from the declaration.

The check of given values, their JSON Schema, their reading from text (a command line, gRPC's map of strings) and the
tests' wrong values all derive from it. Rules between two hyperparams are not here: they are the
model class's own (`ModelClass.rules`).
"""

from __future__ import annotations

import difflib
import math
import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from modelyard.errors import FieldError, InvalidHyperparams
from modelyard.schemas import from_texts
from modelyard.schemas.showing import shown

Kind = Literal["bool", "int", "float", "str"]

_BOUNDS: tuple[tuple[str, str, Callable[[Any, Any], bool], str], ...] = (
    ("minimum", "minimum", operator.lt, "at least"),
    ("maximum", "maximum", operator.gt, "at most"),
    ("exclusive_minimum", "exclusiveMinimum", operator.le, "greater than"),
    ("exclusive_maximum", "exclusiveMaximum", operator.ge, "less than"),
)
"""Each bound: its name here and in JSON Schema, which values break it, and how it is said."""

_JSON_TYPES: dict[Kind, str] = {"bool": "boolean", "int": "integer", "float": "number", "str": "string"}
_SPOKEN: dict[Kind, str] = {"bool": "a boolean", "int": "an integer", "float": "a number", "str": "a text"}


@dataclass(frozen=True, slots=True)
class Hyperparam:
    """One setting of a model class.

    `kinds` are the types its value may have (a value of several is a union), `nullable` adds null. The bounds hold
    for numbers, `choices` for texts. Building one whose default breaks its own declaration raises ValueError.
    """

    name: str
    kinds: tuple[Kind, ...]
    default: Any
    description: str
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: float | None = None
    exclusive_maximum: float | None = None
    choices: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse a declaration that contradicts itself."""
        if not self.kinds:
            raise ValueError(f"hyperparam {self.name!r} is declared without a type")
        try:
            _read(self, self.default)
        except _Wrong as wrong:
            raise ValueError(f"hyperparam {self.name!r}: its default {wrong}") from None

    @property
    def title(self) -> str:
        """The name as a label on a form."""
        spoken = self.name.replace("_", " ")
        return spoken[:1].upper() + spoken[1:]


def check(declared: Sequence[Hyperparam], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all hyperparams: those `given`, checked and in their declared type, and the defaults of the rest.

    Raises InvalidHyperparams naming every one that is wrong.
    """
    checked = _check_given(declared, given)
    return {one.name: checked.get(one.name, one.default) for one in declared}


def from_text(declared: Sequence[Hyperparam], given: Mapping[str, str]) -> dict[str, Any]:
    """Read the `given` hyperparams from their texts and check them; the defaults are left out.

    Raises InvalidHyperparams.
    """
    return _check_given(declared, from_texts(json_schema(declared), given))


def json_schema(declared: Sequence[Hyperparam]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of an object of these hyperparams, none of them required."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {one.name: _property(one) for one in declared},
        "additionalProperties": False,
    }


class _Wrong(Exception):
    """Why a value is refused; its text follows the name of the hyperparam."""


def _check_given(declared: Sequence[Hyperparam], given: Mapping[str, Any]) -> dict[str, Any]:
    by_name = {one.name: one for one in declared}
    checked: dict[str, Any] = {}
    errors: list[FieldError] = []
    for name, value in given.items():
        try:
            checked[name] = _read(_find(by_name, name), value)
        except _Wrong as wrong:
            errors.append(FieldError(("hyperparams", name), f"hyperparam {shown(name)} {wrong}", value))
    if errors:
        raise InvalidHyperparams.of(errors)
    return checked


def _find(by_name: Mapping[str, Hyperparam], name: str) -> Hyperparam:
    found = by_name.get(name)
    if found is not None:
        return found
    near = difflib.get_close_matches(name.casefold(), {known.casefold(): known for known in by_name}, n=3, cutoff=0.6)
    spelled = [known for known in by_name if known.casefold() in near]
    hint = f"; did you mean {' or '.join(map(repr, spelled))}?" if spelled else ";"
    known = ", ".join(repr(known) for known in by_name) or "none"
    raise _Wrong(f"is unknown{hint} known are: {known}")


def _read(declared: Hyperparam, value: Any) -> Any:
    """Return `value` in the declared type or raise _Wrong. A boolean is never a number; a whole float is an integer."""
    if value is None:
        if declared.nullable:
            return None
    elif isinstance(value, bool):
        if "bool" in declared.kinds:
            return value
    elif isinstance(value, str):
        if "str" in declared.kinds and (declared.choices is None or value in declared.choices):
            return value
    elif isinstance(value, int | float):
        return _read_number(declared, value)
    raise _Wrong(f"must be {_expected(declared)}, got {shown(value)}")


def _read_number(declared: Hyperparam, value: float) -> int | float:
    finite = isinstance(value, int) or math.isfinite(value)
    if finite and "int" in declared.kinds and value == int(value):
        return int(_within(declared, value, value))
    if finite and "float" in declared.kinds and abs(value) <= sys.float_info.max:
        return _within(declared, float(value), value)
    raise _Wrong(f"must be {_expected(declared)}, got {shown(value)}")


def _within(declared: Hyperparam, value: float, given: float) -> float:
    for name, _, breaks, words in _BOUNDS:
        bound = getattr(declared, name)
        if bound is not None and breaks(value, bound):
            raise _Wrong(f"must be {words} {bound}, got {shown(given)}")
    return value


def _expected(declared: Hyperparam) -> str:
    spoken = [_SPOKEN[kind] for kind in declared.kinds if kind != "str" or declared.choices is None]
    if declared.minimum == 0:
        spoken = [text.replace("an integer", "a non-negative integer") for text in spoken]
    if "float" in declared.kinds:
        spoken = [text.replace("a number", "a finite number") for text in spoken]
    if declared.choices is not None:
        spoken.append("one of " + ", ".join(repr(choice) for choice in declared.choices))
    if declared.nullable:
        spoken.append("null")
    return " or ".join(spoken)


def _property(declared: Hyperparam) -> dict[str, Any]:
    types = [_JSON_TYPES[kind] for kind in declared.kinds] + (["null"] if declared.nullable else [])
    bounds = {word: getattr(declared, name) for name, word, _, _ in _BOUNDS}
    schema: dict[str, Any] = {
        "title": declared.title,
        "description": declared.description,
        "type": types if len(types) > 1 else types[0],
        "default": declared.default,
    }
    schema.update({word: bound for word, bound in bounds.items() if bound is not None})
    if declared.choices is not None:
        schema["enum"] = [*declared.choices, *([None] if declared.nullable else [])]
    return schema
