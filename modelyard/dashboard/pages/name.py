"""One name: its versions, its aliases, a champion and its challenger, its life in production, how to call it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from modelyard.dashboard import access, address, formats, notices, session
from modelyard.dashboard.formats import escaped
from modelyard.dashboard.listing import class_title, written_metric
from modelyard.dashboard.pages import train
from modelyard.dashboard.places import kept_place
from modelyard.dashboard.production.life import show_life
from modelyard.dashboard.registry.aliases import say_moved, show_aliases
from modelyard.dashboard.registry.line import Line, look_up
from modelyard.dashboard.registry.rivals import show_rivals
from modelyard.dashboard.registry.use import show_use
from modelyard.dashboard.registry.versions import show_versions
from modelyard.dashboard.texts import t

_TABS: dict[str, Callable[[Line], None]] = {
    "versions": show_versions,
    "aliases": show_aliases,
    "rivals": show_rivals,
    "production": show_life,
    "use": show_use,
}


def show() -> None:
    """Show the page."""
    name = address.said("name")
    if not name:
        session.go("models")
        return
    address.entitle(name)
    line = None
    with notices.errors_in_place(title=escaped(name)):
        line = look_up(name)
    if line is None:
        return
    with st.container(gap="xsmall"):
        _show_title(name, line)
        if not line.versions:
            st.info(t("name.gone"), icon=":material/delete_forever:")
            notices.offer_way_back()
            return
        with kept_place():
            say_moved()
        _show_head(line)
        _offer(line)
    which, place = address.tabs({which: t(f"name.{which}") for which in _TABS})
    with place, notices.errors_in_place():
        _TABS[which](line)


def _show_title(name: str, line: Line) -> None:
    """Show the name, its aliases, and the algorithm and tags of its newest version."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(escaped(name), anchor=False, width="content")
        if line.versions:
            badges = [f":blue-badge[{one.alias} · v{one.version}]" for one in line.aliases]
            badges += [f":gray-badge[{escaped(class_title(line.newest.model_class_key))}]"]
            badges += [f":gray-badge[:material/sell: {escaped(tag)}]" for tag in line.newest.tags]
            st.markdown(" ".join(badges), width="content")


def _show_head(line: Line) -> None:
    newest = line.newest
    target = newest.target or t("name.no_target")
    words = [
        t("name.predicts", target=escaped(target), task=t(f"task.{newest.task}")),
        t("name.newest", version=newest.version, metric=written_metric(newest), ago=formats.ago(newest.created_at)),
    ]
    st.caption(" ".join(words))
    if newest.description:
        st.text(newest.description)


def _offer(line: Line) -> None:
    """Offer what can be done with the newest version; the keys carry its id, as on a model's own page."""
    newest = line.newest
    if newest.status == "deleted":
        st.warning(t("name.all_deleted"), icon=":material/delete:")
        notices.offer_way_back()
        return
    with st.container(horizontal=True, gap="xsmall"):
        notices.offer_way_back()
        if st.button(t("name.open"), icon=":material/open_in_new:", key=f"open-{newest.model_id}"):
            session.go("model", id=newest.model_id)
        if access.may("predict") and st.button(
            t("model.predict"), icon=":material/online_prediction:", key=f"predict-{newest.model_id}"
        ):
            session.go("predict", id=newest.model_id)
        if access.may("submit_retraining") and st.button(
            t("model.retrain"), icon=":material/replay:", key=f"retrain-{newest.model_id}"
        ):
            train.begin_again(parent=newest.model_id)
