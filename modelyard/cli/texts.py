"""What callers write as `name=value`: hyperparams and feature types."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.errors import InvalidRequest
from modelyard.schemas import ModelClassInfo, from_texts, plain_key


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

    What is unknown, or says nothing of its type, stays text, and so does a number that JSON has not: the core names
    what is allowed.
    """
    info = next((one for one in model_classes if plain_key(one.key) == plain_key(key)), None)
    read = from_texts(info.hyperparams if info else _of_members(model_classes), given)
    return {name: value if _is_json(value) else given[name] for name, value in read.items()}


def _of_members(model_classes: Sequence[ModelClassInfo]) -> dict[str, Any]:
    """Return the schema of an ensemble of any model classes: `KEY` is a member's weight, `KEY.NAME` a hyperparam."""
    properties: dict[str, Any] = {}
    for info in model_classes:
        properties[info.key] = {"type": "number"}
        properties |= {f"{info.key}.{name}": one for name, one in info.hyperparams.get("properties", {}).items()}
    return {"properties": properties}


def _is_json(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
