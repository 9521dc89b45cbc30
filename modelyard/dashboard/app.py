"""The frame around every page: navigation, the language, the door; and the one place where errors end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from modelyard.dashboard import access, address, document, notices, session
from modelyard.dashboard.doors import DOOR_NAMES, DOOR_TITLES, DoorName, Doors
from modelyard.dashboard.pages import audit, compare, jobs, keys, model, models, name, overview, predict, train
from modelyard.dashboard.session import Session
from modelyard.dashboard.texts import LANGUAGES, t

_ART = Path(__file__).parent / "art"
_PAGES: dict[str, tuple[Callable[[], None], str]] = {
    "overview": (overview.show, ":material/home:"),
    "train": (train.show, ":material/model_training:"),
    "predict": (predict.show, ":material/online_prediction:"),
    "models": (models.show, ":material/inventory_2:"),
    "compare": (compare.show, ":material/compare_arrows:"),
    "jobs": (jobs.show, ":material/pending_actions:"),
    "keys": (keys.show, ":material/key:"),
    "audit": (audit.show, ":material/history_edu:"),
    "name": (name.show, ":material/inventory_2:"),
    "model": (model.show, ":material/inventory_2:"),
}
_STYLE = _ART / "style.css"
_HIDDEN = ("name", "model")
_NEED = {"train": "submit_training", "predict": "predict", "keys": "list_keys", "audit": "list_audit"}
"""The verb that a page is for; who may not use it finds no link to the page."""


def main(doors: Doors, *, start: str = "overview") -> None:
    """Show the page that the address names, or the one to start with."""
    st.set_page_config(
        page_title=address.PRODUCT, page_icon=str(_ART / "icon.svg"), layout="wide", initial_sidebar_state=250
    )
    st.logo(str(_ART / "logo.svg"), size="large", icon_image=str(_ART / "icon.svg"))
    st.html(_STYLE)
    here = session.begin(doors)
    if st.session_state.get("lang") not in LANGUAGES or "lang" in st.query_params:
        document.take_language()
    let_in = False
    with notices.errors_in_place():
        let_in = access.is_let_in()
    here.pages = {
        name: st.Page(
            show,
            title=t(f"page.{name}"),
            icon=icon,
            url_path=name,
            default=name == start,
            visibility="visible" if _is_offered(name) else "hidden",
        )
        for name, (show, icon) in _PAGES.items()
    }
    page = st.navigation(list(here.pages.values()), position="sidebar" if let_in else "hidden")
    _show_switches(here)
    with notices.errors_in_place():
        if let_in:
            address.entitle(page.title)
            access.show_visitor()
            page.run()
        elif here.visitor.refused is not None:
            access.show_sign_in()


def _is_offered(name: str) -> bool:
    if name in _HIDDEN or (name == "keys" and not session.current().visitor.has_key):
        return False
    return name not in _NEED or access.may(_NEED[name])


def _show_switches(here: Session) -> None:
    with st.sidebar:
        document.say_language()
        st.space("small")
        st.segmented_control(
            t("shell.language"),
            list(LANGUAGES),
            required=True,
            format_func=lambda code: LANGUAGES[code],
            key="lang",
            persist_state="session",
        )
        if "door" not in st.session_state or st.session_state["door"] != here.door:
            st.session_state["door"] = here.door
        st.segmented_control(
            t("shell.door"),
            DOOR_NAMES,
            required=True,
            format_func=lambda name: DOOR_TITLES[name],
            key="door",
            on_change=lambda: _take_door(here),
            help=t("shell.door_help"),
        )
        # Not as a link: between containers the address leads somewhere for this server alone.
        st.caption(f":small[`{here.doors.address(here.door)}`]")


def _take_door(here: Session) -> None:
    chosen: DoorName | None = st.session_state["door"]
    if chosen is not None:  # as a switch may say that the browser has not drawn yet
        here.door = chosen
