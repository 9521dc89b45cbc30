r"""Places in a request as text, each way: `X[3].age`, `hyperparams.depth`, `X[0]["my column"]`.

Integers stand in brackets; a text that is no plain word stands in brackets as a JSON string.
"""

from __future__ import annotations

import re

import orjson

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PART = re.compile(r"\.?(?P<word>[A-Za-z_][A-Za-z0-9_]*)|\[(?P<index>-?\d+)\]|\[(?P<text>\"(?:[^\"\\]|\\.)*\")\]")


def write_path(loc: tuple[str | int, ...]) -> str:
    """Return a place as text."""
    return "".join(map(_part, loc)).removeprefix(".")


def read_path(path: str) -> tuple[str | int, ...]:
    """Return the place that a text names; raise ValueError if it is none."""
    loc: list[str | int] = []
    position = 0
    while position < len(path):
        match = _PART.match(path, position)
        if match is None:
            raise ValueError(f"{path!r} is not a path: {path[position:]!r}")
        word, index, text = match.group("word", "index", "text")
        loc.append(word or (int(index) if index is not None else orjson.loads(text)))
        position = match.end()
    return tuple(loc)


def _part(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    if _WORD.fullmatch(part):
        return f".{part}"
    return f"[{orjson.dumps(part.encode(errors='replace').decode()).decode()}]"
