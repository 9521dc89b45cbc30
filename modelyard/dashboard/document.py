"""What the browser knows of the whole page: its language, which one the visitor chose last, a way out of tables.

The choice is kept in a cookie, so that it outlives the page and no address forces it on whoever gets a link.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, cast

import streamlit as st

from modelyard.dashboard.texts import first_language, language

COOKIE = "modelyard_language"
_SCRIPT = Path(__file__).parent / "art" / "document.js"


def take_language() -> None:
    """Take the language that the address names, once; else the one that was chosen last, else the browser's."""
    named = st.query_params.get("lang")
    if named is not None:
        del st.query_params["lang"]
    chosen = cast("Any", st.context.cookies).get(COOKIE)
    st.session_state["lang"] = first_language(named or chosen, st.context.locale)


def say_language() -> None:
    """Tell the browser the language of the page."""
    component = st.components.v2.component("modelyard.document", js=_script())
    component(key="document", data={"language": language(), "cookie": COOKIE}, height=1)


@cache
def _script() -> str:
    return _SCRIPT.read_text(encoding="utf-8")
