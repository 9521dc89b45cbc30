"""What is wrong with a text that is no JSON, in words that say what to write instead."""

from __future__ import annotations

import re

import orjson

_WORDS_FOR_MISSING = re.compile(r"-?(?:nan|infinity|inf|none|na|undefined)\b", re.IGNORECASE)
"""What Python, JavaScript and R write into JSON if nobody stops them."""


def json_fault(error: orjson.JSONDecodeError) -> str:
    """Return what is wrong, without its place."""
    start = error.pos - (error.doc[max(0, error.pos - 1) : error.pos] == "-")
    word = _WORDS_FOR_MISSING.match(error.doc, start)
    return error.msg if word is None else f"JSON has no {word[0]}, write null for a missing cell"


def placed_json_fault(error: orjson.JSONDecodeError) -> str:
    """Return what is wrong, and its line and column, which count from 1."""
    return f"{json_fault(error)}: line {error.lineno} column {error.colno}"
