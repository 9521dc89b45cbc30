"""Stand-ins: what RestClient sends for what JSON has no word for and the core refuses.

The core refuses the stand-in just as well: so the server judges, which alone knows the model and its settings, and
names row and column. `as_given` then puts into its words what was given.
"""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import Any, Literal

from modelyard.errors import FieldError, ModelyardError

Reason = Literal["object", "number", "text"]

_MAX_CHARS = 60
_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_CELL = re.compile(rf"\{{'(object|number|text)': ({_QUOTED})\}}")
_REFUSAL = re.compile(rf"must be ([^{{}}]*), got {_CELL.pattern}")
_CONTAINER = re.compile(r"'object: ([^']*)'")
_DUE_TO_OBJECTS = ("text, a number or a boolean", "an integer, text or a boolean")
"""The core's words where it is not text that is wrong but what is in its place."""


def stand_in(reason: Reason, text: str) -> dict[str, str]:
    """Return what is sent for a cell, a label or a hyperparam that is shown as `text`.

    It is an object, a number that is not finite, or text that is not Unicode.
    """
    return {reason: text if len(text) <= _MAX_CHARS else text[: _MAX_CHARS - 3] + "..."}


def of_container(shown: str) -> str:
    """Return what is sent for what is no table, row or column, as it is shown: a text, which can be none of them."""
    return f"object: {shown}"


def is_unicode(text: str) -> bool:
    """Tell whether text can be sent."""
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def as_given(error: ModelyardError) -> ModelyardError:
    """Return a server's error with what was given in the place of its stand-ins."""
    wrong = [replace(one, message=_in_words(one.message), value=_value(one)) for one in error.errors]
    return type(error)(_in_words(error.detail), errors=wrong)


def _in_words(text: str) -> str:
    return _CONTAINER.sub(r"\1", _CELL.sub(_given, _REFUSAL.sub(_refusal, text)))


def _refusal(match: re.Match[str]) -> str:
    due, reason = match[1], match[2]
    if reason == "number":
        due = "a finite number, at most about 1.8e308"
    elif reason == "text" and due in _DUE_TO_OBJECTS:
        due = "valid Unicode text"
    return f"must be {due}, got {ast.literal_eval(match[3])}"


def _given(match: re.Match[str]) -> str:
    return str(ast.literal_eval(match[2]))


def _value(wrong: FieldError) -> Any:
    match = _CELL.fullmatch(wrong.value) if isinstance(wrong.value, str) else None
    return wrong.value if match is None else _given(match)
