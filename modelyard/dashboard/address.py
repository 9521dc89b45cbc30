"""The address of a page: it says which filters, tab and page of a list are shown, so that its link shows the same.

What is usual is left out. A widget begins with what the address says, and a change of it changes the address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from modelyard.dashboard.texts import language, t

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

PRODUCT = "Modelyard"


def entitle(words: str) -> None:
    """Give the browser's tab its title."""
    st.set_page_config(page_title=f"{words} · {PRODUCT}")


def said(parameter: str, usual: str = "") -> str:
    """Return what the address says, else what is usual."""
    return st.query_params.get(parameter, usual)


def say(parameter: str, value: str | None, usual: str = "") -> None:
    """Write a value into the address; what is usual is left out."""
    if value in (None, "", usual):
        st.query_params.pop(parameter, None)
    else:
        st.query_params[parameter] = value


def bound(parameter: str, usual: str = "", *, allowed: Sequence[str] | None = None, resets: Sequence[str] = ()) -> Any:
    """Return the arguments `key` and `on_change` of a widget whose value stands in the address.

    `allowed` are the values that it may have, any if None; `resets` are parameters that a change of it takes away.
    """
    key = f"in-address-{parameter}"
    value = said(parameter, usual)
    st.session_state[key] = value if allowed is None or value in allowed else usual

    def follow() -> None:
        say(parameter, st.session_state[key], usual)
        for other in resets:
            st.query_params.pop(other, None)

    return {"key": key, "on_change": follow}


def tabs(titles: Mapping[str, str], parameter: str = "tab") -> tuple[str, DeltaGenerator]:
    """Show tabs and return the name and the place of the open one; nothing need be fetched for the others.

    `titles` has their titles by the names that stand in the address.
    """
    first = next(iter(titles))
    open_now = said(parameter, first)
    key = f"tabs-{parameter}-{language()}"
    names = {title: name for name, title in titles.items()}
    shown = st.tabs(
        list(titles.values()),
        default=titles.get(open_now, titles[first]),
        key=key,
        on_change=lambda: say(parameter, names.get(st.session_state[key]), first),
    )
    return next(pair for pair in zip(titles, shown, strict=True) if pair[1].open)


def pager(next_cursor: str | None, parameter: str = "after") -> None:
    """Offer the next page of a list, and the first one: which page it is stands in the address."""
    now = said(parameter)
    if not now and next_cursor is None:
        return
    st.button(
        t("pager.first"),
        icon=":material/first_page:",
        key=f"first-{parameter}",
        disabled=not now,
        on_click=lambda: say(parameter, None),
    )
    st.button(
        t("pager.next"),
        icon=":material/chevron_right:",
        key=f"next-{parameter}",
        disabled=next_cursor is None,
        on_click=lambda: say(parameter, next_cursor),
    )
