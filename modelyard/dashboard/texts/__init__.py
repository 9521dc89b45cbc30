"""Every word that the dashboard shows, in English and Russian: one catalogue, a file for each part of the screen.

What the server says (details of errors, warnings, descriptions) comes in English: `said` translates it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import streamlit as st

from modelyard.dashboard.texts.access import ACCESS
from modelyard.dashboard.texts.audit import AUDIT
from modelyard.dashboard.texts.charts import CHARTS
from modelyard.dashboard.texts.checks import CHECKS
from modelyard.dashboard.texts.contest import CONTEST
from modelyard.dashboard.texts.deciding import DECIDING
from modelyard.dashboard.texts.decisions import DECISIONS
from modelyard.dashboard.texts.drift import DRIFT
from modelyard.dashboard.texts.errors_found import ERRORS_FOUND
from modelyard.dashboard.texts.head import HEAD
from modelyard.dashboard.texts.jobs import JOBS
from modelyard.dashboard.texts.models import MODELS
from modelyard.dashboard.texts.plurals import PluralFormatter
from modelyard.dashboard.texts.predictions import PREDICTIONS
from modelyard.dashboard.texts.production import PRODUCTION
from modelyard.dashboard.texts.registry import REGISTRY
from modelyard.dashboard.texts.searching import SEARCHING
from modelyard.dashboard.texts.shell import SHELL
from modelyard.dashboard.texts.training import TRAINING
from modelyard.dashboard.texts.translating import russian
from modelyard.dashboard.texts.verbs import VERB_TEXTS
from modelyard.dashboard.texts.what_if import WHAT_IF

LANGUAGES: Final = {"en": "English", "ru": "Русский"}
PARTS: Final = (
    *(SHELL, ACCESS, AUDIT, VERB_TEXTS, JOBS, TRAINING, CONTEST, SEARCHING, CHECKS),
    *(MODELS, HEAD, DECIDING, DECISIONS, ERRORS_FOUND),
    *(REGISTRY, PRODUCTION, DRIFT, PREDICTIONS, WHAT_IF, CHARTS),
)
_BEFORE_UNIT = re.compile(r"(?<=[\d}]) (?=(%|ms|s|min|h|d|мс|с|мин|ч|дн)(?!\w))")


def _kept_together(text: str) -> str:
    """Return a text in which no end of a line parts a number from its unit."""
    return _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", text)


CATALOGUE: Final[dict[str, tuple[str, str]]] = {
    key: (_kept_together(english), _kept_together(russian))
    for part in PARTS
    for key, (english, russian) in part.items()
}

_FORMATTERS = {code: PluralFormatter(code) for code in LANGUAGES}
_SPOKEN: ContextVar[str | None] = ContextVar("spoken", default=None)


def t(key: str, **values: Any) -> str:
    """Return a text in the session's language, with `values` in its places and words in the forms that go with them."""
    english, russian = CATALOGUE[key]
    text = russian if language() == "ru" else english
    return _FORMATTERS[language()].vformat(text, (), values) if values else text


def said(text: str) -> str:
    """Return a text of the core in the session's language; one that nobody has translated stays English."""
    return russian(text) if language() == "ru" else text


def known(key: str) -> bool:
    """Whether the catalogue has a text."""
    return key in CATALOGUE


def language() -> str:
    """Return the language that is spoken within `speaking`, else the session's."""
    return _SPOKEN.get() or str(st.session_state.get("lang", "en"))


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Have all texts within in one language, whatever the session's; there need be no session."""
    before = _SPOKEN.set(code)
    try:
        yield
    finally:
        _SPOKEN.reset(before)


def first_language(said: str | None, locale: str | None) -> str:
    """Return the language to begin with: what the address says, by its code or its name, else the browser's."""
    named = next((code for code, name in LANGUAGES.items() if said in (code, name)), None)
    return named or ("ru" if (locale or "").lower().startswith("ru") else "en")
