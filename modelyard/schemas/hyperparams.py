"""Hyperparams written as texts (a command line, gRPC's map of strings), read by the JSON Schema of a model class."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_INTEGER = re.compile(r"[+-]?\d{1,400}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity|nan)", re.ASCII | re.IGNORECASE)


def from_texts(schema: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """Return hyperparams as the types of their schema (an object's) say.

    `null` and `none` are null if a hyperparam can be null and has no such choice. What is unknown, or says nothing of
    its type, stays text: who checks it says what is allowed.
    """
    declared = schema.get("properties", {})
    return {name: _from_text(text, declared[name]) if name in declared else text for name, text in texts.items()}


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """Return the JSON types that a property's schema allows."""
    found = schema.get("type", [])
    types = [found] if isinstance(found, str) else list(found)
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        types += types_of(part)
    return types


def _from_text(text: str, schema: Mapping[str, Any]) -> Any:
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
    if {"integer", "number"} & set(types) and _NUMBER.fullmatch(word):
        return float(word)
    return text
