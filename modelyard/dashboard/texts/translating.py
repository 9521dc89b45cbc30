"""What the core says, in Russian: errors, warnings and descriptions come in English through every door.

A text is found by its template, in which `{}` stands for a value; values stay as they are, or are translated by
templates of their own. The templates stand in `russian/`: a line in English, a line in Russian, an empty line. There
`{1}` is the second value, and `{:verb}` and `{:role}` are the words for a name of the interface. What has no template
stays English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from modelyard.dashboard.texts.access import ACCESS
from modelyard.dashboard.texts.plurals import PluralFormatter
from modelyard.dashboard.texts.verbs import VERB_TEXTS

_FOLDER = Path(__file__).parent / "russian"
_PLACE = re.compile(r"{(\d*)(?::(\w+))?}")
_NAMED = ACCESS | VERB_TEXTS
_MORE = re.compile(r"(.+) \(and (at least )?(\d+) more errors?\)", re.DOTALL)
_MORE_IN_RUSSIAN = "{first} (и ещё {at_least}{n} {n:ошибка|ошибки|ошибок})"
_QUOTED = re.compile(r"'[^']*'")
_WORDS = re.compile(r"\b[a-z]{2,} [a-z]{2,}\b")
_LIST = re.compile(r"('[^']*'|-?[\d.]+)(, ('[^']*'|-?[\d.]+))*,? (or|and) ('[^']*'|-?[\d.]+|null)")


@dataclass(frozen=True, slots=True)
class Template:
    """The fixed parts of an English text, between which the values stand, and the text in Russian."""

    parts: tuple[str, ...]
    russian: str

    def values(self, text: str) -> list[str] | None:
        """Return the values that stand in a text; None if it is another text."""
        first, last = self.parts[0], self.parts[-1]
        if len(self.parts) == 1:
            return [] if text == first else None
        if not (text.startswith(first) and text.endswith(last) and len(text) >= len(first) + len(last)):
            return None
        values, start, end = [], len(first), len(text) - len(last)
        for part in self.parts[1:-1]:
            found = text.find(part, start, end)
            if found < 0:
                return None
            values.append(text[start:found])
            start = found + len(part)
        return [*values, text[start:end]]


def russian(text: str) -> str:
    """Return a text of the core in Russian, as far as there are templates for it."""
    return _translated(text) or text


@cache
def catalogue() -> Mapping[str, str]:
    """Return all texts in Russian by their templates in English."""
    found: dict[str, str] = {}
    for file in sorted(_FOLDER.glob("*.txt")):
        for entry in file.read_text(encoding="utf-8").split("\n\n"):
            lines = [line for line in entry.split("\n") if line and not line.startswith("# ")]
            if lines:
                english, found[english] = lines
    return found


@lru_cache(maxsize=4096)
def _translated(text: str) -> str | None:
    """Return a text in Russian, None if it has no template. A text may be followed by how many there are more."""
    more = _MORE.fullmatch(text)
    if more is not None:
        at_least = "не меньше " if more[2] else ""
        return PluralFormatter("ru").format(_MORE_IN_RUSSIAN, first=russian(more[1]), at_least=at_least, n=more[3])
    found = None
    for template in _templates():
        values = template.values(text)
        if values is not None:
            said = [_value(value) for value in values]
            filled = _filled(template.russian, said)
            if not any(map(_is_english, said)):
                return filled
            found = found or filled
    return found


def _value(text: str) -> str:
    if _LIST.fullmatch(text):
        return re.sub(r" (or|and) (?=\S+$)", lambda word: " или " if word[1] == "or" else " и ", text)
    return text if _QUOTED.fullmatch(text) else russian(text)


def _is_english(value: str) -> bool:
    """Whether a value has English words, which another template may know; what is in quotes is the user's."""
    return _WORDS.search(_QUOTED.sub("", value)) is not None


def _filled(template: str, values: list[str]) -> str:
    rest = iter(range(len(values)))

    def written(place: re.Match[str]) -> str:
        value = values[int(place[1]) if place[1] else next(rest)]
        named = _NAMED.get(f"{place[2]}.{value[1:-1]}") if place[2] else None
        return value if named is None else f"«{named[1]}»"

    return _PLACE.sub(written, template)


@cache
def _templates() -> tuple[Template, ...]:
    """Return the templates, those with most fixed text first, because others may hold for their texts as well."""
    found = [Template(tuple(english.split("{}")), said) for english, said in catalogue().items()]
    return tuple(sorted(found, key=lambda one: -sum(map(len, one.parts))))
