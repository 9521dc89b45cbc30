"""Audit: who did what, when and from where, and who was refused. For administrators."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from itertools import pairwise
from typing import Any

import streamlit as st

from modelyard.dashboard import address, formats, linked_table, session
from modelyard.dashboard.linked_table import Column, Row
from modelyard.dashboard.listing import class_title
from modelyard.dashboard.texts import known, t
from modelyard.dashboard.texts.verbs import VERBS
from modelyard.schemas import ANONYMOUS, AUTO, AuditEntry, AuditQuery, parse

_PAGE = 25
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def show() -> None:
    """Show the page."""
    st.title(t("page.audit"), anchor=False)
    st.caption(t("audit.lead"))
    query = _asked()
    page = session.yard().list_audit(query)  # first, because who may not is told so here
    _offer_filters()
    if page.entries:
        _show_entries(page.entries)
    else:
        st.info(t("audit.none") if page.next_cursor is None else t("audit.none_yet"), icon=":material/history_edu:")
    with st.container(horizontal=True):
        address.pager(page.next_cursor)
    if page.entries and query.key is query.verb is None:
        _say_whether_they_follow(page.entries)
    st.caption(t("audit.verify"))


def _asked() -> AuditQuery:
    """Return what the address asks for. Raises InvalidRequest."""
    key = address.said("key").strip()
    said = {"key": ANONYMOUS if key == formats.caller(ANONYMOUS) else key, "verb": address.said("verb").strip()}
    said |= {"since": address.said("since"), "cursor": address.said("after")}
    return parse(AuditQuery, {**{name: value or None for name, value in said.items()}, "limit": _PAGE})


def _offer_filters() -> None:
    grid = st.grid(3, min_column_width=200)
    grid.text_input(
        t("audit.key"), placeholder=t("audit.key_hint"), max_chars=200, **address.bound("key", resets=["after"])
    )
    verbs = list(dict.fromkeys(["", *VERBS, address.said("verb")]))
    grid.selectbox(
        t("audit.verb"),
        verbs,
        format_func=lambda verb: _verb(verb) if verb else t("audit.any_verb"),
        **address.bound("verb", allowed=verbs, resets=["after"]),
    )
    grid.date_input(t("audit.since"), None, format="YYYY-MM-DD", **_bound_date())


def _bound_date() -> dict[str, Any]:
    """Return the arguments of the field of a date that stands in the address."""
    key = "in-address-since"
    st.session_state[key] = _date(address.said("since"))

    def follow() -> None:
        chosen: date | None = st.session_state[key]
        address.say("since", None if chosen is None else chosen.isoformat())
        address.say("after", None)

    return {"key": key, "on_change": follow}


def _date(said: str) -> date | None:
    """Return the day of a moment; None for what is none, which the server refuses in words."""
    try:
        return datetime.fromisoformat(said).date()
    except ValueError:
        return None


def _verb(verb: str) -> str:
    """Write a verb; one that has no words stays as it is."""
    return t(f"verb.{verb}") if known(f"verb.{verb}") else verb


def _show_entries(entries: Sequence[AuditEntry]) -> None:
    columns = [
        Column(t("audit.when"), "moment"),
        Column(t("audit.key")),
        Column(t("audit.verb"), "short"),
        Column(t("audit.what"), "long"),
        Column(t("audit.ended"), "wide"),
        Column(t("audit.from"), "short wide"),
    ]
    rows = [Row(str(one.number), str(one.number), _cells(one), faded=False) for one in entries]
    linked_table.show("audit", t("page.audit"), columns, rows)


def _cells(entry: AuditEntry) -> list[linked_table.Cell]:
    ended = t("audit.done") if entry.code == "OK" else t(f"error.{entry.code}")
    if entry.count > 1:
        ended = t("audit.times", words=ended, n=formats.count(entry.count))
    door = t(f"audit.door_{entry.door}") if known(f"audit.door_{entry.door}") else entry.door
    return [
        f"{entry.at:%Y-%m-%d %H:%M:%S}",
        formats.caller(entry.key),
        _verb(entry.verb),
        _what(entry),
        ended if entry.code == "OK" else linked_table.badge(ended, strong=True),
        f"{door} {entry.address}".strip(),
    ]


def _what(entry: AuditEntry) -> list[linked_table.Cell]:
    """Return what was changed, a model as a link; ids of models and jobs only if nothing else names them."""
    is_named = not entry.what.keys().isdisjoint({"model", "name"})
    cells: list[linked_table.Cell] = []
    for name, value in entry.what.items():
        if name == "model":
            cells.append(linked_table.link(value, "name", name=value.partition(":")[0]))
        elif name == "alias" and "@" in value:
            cells.append(linked_table.link(value, "name", name=value.partition("@")[0], tab="aliases"))
        elif name == "model_class":
            cells += [class_title(value)] if value != AUTO else []
        elif name == "role":
            cells.append(t(f"role.{value}") if known(f"role.{value}") else value)
        elif name == "keep":
            cells.append(t("form.yes" if value == "true" else "form.no"))
        elif name not in ("model_id", "job_id") or not is_named:
            cells.append(linked_table.second(value, wide=True) if _ID.fullmatch(value) else value)
    return cells


def _say_whether_they_follow(entries: Sequence[AuditEntry]) -> None:
    """Say whether the entries of the page are a whole chain."""
    for newer, older in pairwise(entries):
        if newer.number != older.number + 1 or newer.previous != older.hash:
            st.error(t("audit.broken", number=newer.number), icon=":material/link_off:")
            return
    words = t("audit.follows", first=entries[-1].number, last=entries[0].number)
    st.caption(f":material/link: {words}")
