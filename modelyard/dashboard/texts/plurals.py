"""Words that go with a count: `{n} {n:row|rows}`, in Russian `{n} {n:строка|строки|строк}` or `{n:строке|строках}`."""

from __future__ import annotations

from string import Formatter
from typing import Any

_APART = "\N{NARROW NO-BREAK SPACE}"


class PluralFormatter(Formatter):
    """Fills the places of a text as `str.format` does, and chooses the form of a word by the count at its place."""

    def __init__(self, language: str) -> None:
        self._form = _russian if language == "ru" else _english

    def format_field(self, value: Any, format_spec: str) -> Any:
        """Return a value, or of forms with `|` between them the one that goes with it."""
        if "|" in format_spec:
            return self._form(str(value).replace(_APART, ""), format_spec.split("|"))
        return super().format_field(value, format_spec)


def _english(number: str, forms: list[str]) -> str:
    return forms[number != "1"]


def _russian(number: str, forms: list[str]) -> str:
    """Choose the form for 1, 21 and so on; for 2 to 4 and for what is not whole; or for all else, the last one."""
    if not number.isdigit():
        return forms[1]
    tens, ones = divmod(int(number) % 100, 10)
    if tens == 1 or ones == 0 or ones > 4:
        return forms[-1]
    return forms[ones > 1]
