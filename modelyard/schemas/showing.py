"""Values as error messages show them: in the words of JSON (null, true), texts in single quotes, cut if long."""

from __future__ import annotations

from typing import Any

MAX_CHARS = 80

_LONG_INTEGER_BITS = 1000
_DEEPEST = 4
_MAX_VALUE_CHARS = 200
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (dict, "an object"),
    ((list, tuple), "a list"),
    (str, "a text"),
    (bool, "a boolean"),
    ((int, float), "a number"),
)


def shown(value: Any, max_chars: int = MAX_CHARS) -> str:
    """Return a value as a message shows it."""
    text = _shown(value, max_chars, _DEEPEST)
    return text if len(text) <= max_chars else text[: max_chars - 3] + "..."


def label_text(label: bool | int | str) -> str:
    """Return a label as JSON writes it, text without its quotes."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def shown_instead(value: Any) -> str:
    """Return a value given instead of a table, a row or a list: a scalar itself, of anything else the kind."""
    return shown(value) if value is None or isinstance(value, str | bool | int | float) else kind_shown(value)


def kind_shown(value: Any) -> str:
    """Return what a value is, in the words of JSON; of what JSON does not know, the type's name."""
    if value is None:
        return "null"
    return next((name for types, name in _KINDS if isinstance(value, types)), type(value).__name__)


def presentable(value: Any) -> Any:
    """Return a wrong value as JSON can carry it back to its sender, cut if it is long."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)[:_MAX_VALUE_CHARS]
    return cut(value if isinstance(value, str) else shown(value, _MAX_VALUE_CHARS), _MAX_VALUE_CHARS)


def cut(text: str, max_chars: int) -> str:
    """Return at most so many characters of a text, with an ellipsis at the end if it was longer."""
    text = valid_unicode(text)
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"


def valid_unicode(text: str) -> str:
    """Return a text with a question mark for each character that Unicode does not know."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _shown(value: Any, max_chars: int, levels: int) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > _LONG_INTEGER_BITS:
        return "an integer of more than 300 digits"  # Python refuses to print very long ones
    if isinstance(value, dict | list | tuple):
        return _container(value, max_chars, levels) if levels else "..."
    return repr(value)


def _container(value: dict[Any, Any] | list[Any] | tuple[Any, ...], max_chars: int, levels: int) -> str:
    """Return an object or a list, no further than it will be shown."""
    parts: list[str] = []
    room = max_chars
    for item in value:
        key = f"{_shown(item, max_chars, 0)}: " if isinstance(value, dict) else ""
        part = key + _shown(value[item] if isinstance(value, dict) else item, max_chars, levels - 1)
        parts.append(part)
        room -= len(part) + 2
        if room < 0:
            break
    inside = ", ".join(parts)
    return f"{{{inside}}}" if isinstance(value, dict) else f"[{inside}]"
