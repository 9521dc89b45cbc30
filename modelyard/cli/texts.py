"""What callers write as `name=value`: hyperparams and feature types."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.errors import InvalidRequest
from modelyard.schemas import ModelClassInfo

_INTEGER = re.compile(r"[+-]?\d{1,400}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def pairs(option: str, texts: Sequence[str], *, split_last: bool = False) -> dict[str, str]:
    """Split `name=value` texts at the first `=` (or the last, where names may hold one).

    Raises InvalidRequest for a text without `=` or without a name, and for a name given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.rpartition("=") if split_last else text.partition("=")
        if not equals or not name:
            raise InvalidRequest(f"{option} must be written name=value, got {text!r}")
        if name in found:
            raise InvalidRequest(f"{option} gives {name!r} twice: {found[name]!r} and {value!r}")
        found[name] = value
    return found


def typed(given: Mapping[str, str], key: str, model_classes: Sequence[ModelClassInfo]) -> dict[str, Any]:
    """Read hyperparams from their texts by the JSON Schema of the model class `key`.

    What is unknown, or says nothing of its type, stays text: the core names what is allowed.
    """
    info = next((one for one in model_classes if same_key(one.key, key)), None)
    declared = info.hyperparams.get("properties", {}) if info else {}
    return {name: _typed(text, declared[name]) if name in declared else text for name, text in given.items()}


def same_key(left: str, right: str) -> bool:
    """Compare keys of model classes as the core does: without regard to case, `_` and `-`."""
    return _bare(left) == _bare(right)


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """Return the JSON types that a property's schema allows."""
    found = schema.get("type", [])
    types = [found] if isinstance(found, str) else list(found)
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        types += types_of(part)
    return types


def _typed(text: str, schema: Mapping[str, Any]) -> Any:
    types, word = types_of(schema), text.strip()
    choices = schema.get("enum")
    if "string" in types and (choices is None or word in choices):
        return word
    if "null" in types and word.casefold() in ("null", "none"):
        return None
    if "boolean" in types and word.casefold() in ("true", "false"):
        return word.casefold() == "true"
    if "integer" in types and _INTEGER.fullmatch(word):
        return int(word)
    if {"integer", "number"} & set(types) and _NUMBER.fullmatch(word) and math.isfinite(float(word)):
        return float(word)
    return text


def _bare(key: str) -> str:
    return key.casefold().replace("_", "").replace("-", "")
