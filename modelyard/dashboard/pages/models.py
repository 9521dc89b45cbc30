"""Models: the registry, one line for each name; filters and page stand in the address, and the server does the rest."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from modelyard.dashboard import address, formats, linked_table, session
from modelyard.dashboard.formats import escaped
from modelyard.dashboard.linked_table import Column, Row
from modelyard.dashboard.listing import class_title, classes, written_value
from modelyard.dashboard.picker import offer_comparison
from modelyard.dashboard.places import kept_place
from modelyard.dashboard.report import metric_title, say_undecided
from modelyard.dashboard.texts import t
from modelyard.schemas import NameQuery, NameSummary, StatusFilter, meaning, parse

_PAGE = 25
_STATUSES: tuple[StatusFilter, ...] = ("active", "deleted", "all")
_FILTERS = ("q", "class", "alias", "status", "after")


def show() -> None:
    """Show the page."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.title(t("page.models"), anchor=False)
        st.button(t("shell.refresh"), icon=":material/refresh:", key="refresh")
    gone = session.current().kept.pop("gone", None)
    with kept_place():
        if gone is not None:
            st.success(t("models.gone", model=escaped(gone)), icon=":material/delete_forever:")
    _offer_filters()
    page = session.yard().list_names(_asked())
    if not page.names:
        _say_none()
        return
    shown, total = formats.count(len(page.names)), formats.count(page.total)
    st.caption(t("registry.count", shown=shown, total=total))
    ticked = _show_names(page.names)
    say_undecided(page.names)
    with st.container(horizontal=True):
        offer_comparison([name.model_id for name in ticked], key="compare-models")
        address.pager(page.next_cursor)


def _offer_filters() -> None:
    columns = st.columns([6, 6, 5, 7])
    words = address.bound("q", resets=["after"])
    columns[0].text_input(
        t("models.search"), placeholder=t("models.search_hint"), icon=":material/search:", max_chars=200, **words
    )
    keys = ["", *(info.key for info in classes())]
    columns[1].selectbox(
        t("column.class"),
        keys,
        format_func=lambda key: class_title(key) if key else t("models.any_class"),
        **address.bound("class", allowed=keys, resets=["after"]),
    )
    alias = address.bound("alias", resets=["after"])
    columns[2].text_input(t("registry.alias"), placeholder=t("registry.alias_hint"), max_chars=64, **alias)
    columns[3].segmented_control(
        t("column.status"),
        _STATUSES,
        required=True,
        format_func=lambda name: t(f"status.{name}"),
        **address.bound("status", "active", allowed=_STATUSES, resets=["after"]),
    )


def _asked() -> NameQuery:
    """Return what the address asks for. Raises InvalidRequest."""
    return parse(
        NameQuery,
        {
            "search": address.said("q") or None,
            "model_class_key": address.said("class") or None,
            "alias": address.said("alias").strip().removeprefix("@") or None,
            "status": address.said("status", "active"),
            "cursor": address.said("after") or None,
            "limit": _PAGE,
        },
    )


def _say_none() -> None:
    if not any(address.said(parameter) for parameter in _FILTERS):
        st.info(t("models.none"), icon=":material/inventory_2:")
        return
    st.info(t("registry.none"), icon=":material/filter_alt_off:")
    st.button(t("registry.clear"), icon=":material/filter_alt_off:", key="clear-filters", on_click=_clear)


def _clear() -> None:
    for parameter in _FILTERS:
        address.say(parameter, None)


def _show_names(names: Sequence[NameSummary]) -> list[NameSummary]:
    by_id = {name.model_id: name for name in names}
    columns = [
        Column(t("column.name"), "name"),
        Column(t("registry.newest"), "number"),
        Column(t("registry.over_versions"), "wide"),
        Column(t("registry.versions"), "number"),
        Column(t("registry.aliases")),
        Column(t("registry.target"), "wide"),
        Column(t("column.class"), "wide"),
        Column(t("column.made"), "short wide"),
    ]
    rows = [Row(one.model_id, one.name, _cells(one), faded=one.status == "deleted") for one in names]
    ticked = linked_table.show("names", t("page.models"), columns, rows, ticks=t("registry.tick"))
    return [by_id[model_id] for model_id in ticked]


def _cells(name: NameSummary) -> list[linked_table.Cell]:
    values = [point.value for point in name.line]
    written = ", ".join(formats.metric_value(name.metric or "", value) for value in values)
    words = t("registry.line", metric=metric_title(name.metric), values=written) if name.metric else ""
    newest = next((point.value for point in name.line if point.version == name.version), None)
    flatters = name.metric is not None and meaning(name.metric).rows == "train"
    on_training = [linked_table.second(t("registry.on_training"))] if flatters else []
    status = [linked_table.second(t("status.deleted"))] if name.status == "deleted" else []
    return [
        [linked_table.link(name.name, "name", name=name.name), *map(linked_table.badge, name.tags), *status],
        [written_value(name.metric or "", newest), *on_training],
        linked_table.sparkline(values, words) if len(values) > 1 else formats.NOTHING,
        formats.count(name.versions),
        [linked_table.badge(f"{alias} v{version}", strong=True) for alias, version in name.aliases.items()],
        name.target or formats.NOTHING,
        class_title(name.model_class_key),
        formats.ago(name.created_at),
    ]
