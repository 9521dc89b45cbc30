"""Overview: how the doors are, what there is, what was made last, what runs; the first steps while there is nothing.

What moves by itself stands in fragments without a way to another page: a fragment's own rerun can swallow the turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import streamlit as st

from modelyard.dashboard import access, formats, jobs_under_way, linked_table, notices, session, uploads
from modelyard.dashboard.doors import DOOR_NAMES, DOOR_TITLES
from modelyard.dashboard.linked_table import Column, Row
from modelyard.dashboard.listing import class_title, key_metric, title, written_value
from modelyard.dashboard.report import say_undecided
from modelyard.dashboard.texts import said, t
from modelyard.errors import Unavailable
from modelyard.schemas import Job, ModelMetadata, ModelQuery

_LATEST = 6
_LOOK_EVERY_S = 5


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the page was made for; it is made anew once this has changed."""

    models: int
    under_way: tuple[str, ...]
    jobs: list[Job] = field(compare=False)


def show() -> None:
    """Show the page."""
    st.title(t("overview.title"), anchor=False)
    st.caption(t("overview.lead"))
    numbers, seen = st.container(), None
    with notices.errors_in_place():
        seen = _look()
        latest = session.yard().list_models(ModelQuery(limit=_LATEST)).models
        if latest or seen.under_way:
            _show_latest(latest)
            _show_jobs(seen)
        else:
            _show_first_steps()
    with numbers:
        _show_numbers(seen, [seen])


def _look() -> _Seen:
    jobs = jobs_under_way.under_way()
    return _Seen(session.yard().health().models or 0, tuple(job.job_id for job in jobs), jobs)


@st.fragment(run_every=_LOOK_EVERY_S)
def _show_numbers(seen: _Seen | None, at_first: list[_Seen | None]) -> None:
    """Show what was seen, then look again and again; the page is drawn anew if that has changed."""
    now = at_first.pop() if at_first else _look_again()
    if now != seen:
        st.rerun()
    cards = [
        (t("overview.models"), formats.count(now.models) if now else formats.NOTHING, ":material/inventory_2:", ""),
        (
            t("overview.running"),
            formats.count(len(now.under_way)) if now else formats.NOTHING,
            ":material/pending_actions:",
            "",
        ),
    ]
    here = session.current()
    for look in (here.doors.look(name) for name in DOOR_NAMES):
        well = look.well and (now is not None or look.name != here.door)  # as the error below says
        answer = formats.duration(look.seconds) if well else t("overview.down")
        icon = ":material/check_circle:" if well else ":material/cloud_off:"
        cards.append((DOOR_TITLES[look.name], answer, icon, said(look.problem) or t("overview.latency")))
    with st.container(horizontal=True):
        for title, value, icon, help_text in cards:
            st.metric(title, value, border=True, icon=icon, help=formats.escaped(help_text) or None)


def _look_again() -> _Seen | None:
    with notices.errors_in_place(), suppress(Unavailable):  # shown as the door's state
        return _look()
    return None


def _show_first_steps() -> None:
    if not access.may("submit_training"):
        st.info(t("models.none"), icon=":material/inventory_2:")
        access.say_needed("submit_training")
        return
    with st.container(border=True):
        st.header(t("first.title"), anchor=False)
        st.markdown(t("first.lead"))
        steps = st.grid(3, min_column_width=200)
        for number in (1, 2, 3):
            steps.markdown(f"**{number}. {t(f'first.step_{number}')}**  \n{t(f'first.step_{number}_help')}")
        with st.container(horizontal=True):
            if uploads.penguins() is not None and st.button(
                t("first.sample"), type="primary", icon=":material/science:", key="first-sample"
            ):
                uploads.take_sample("train")
                session.go("train")
            if st.button(t("first.own"), icon=":material/upload_file:", key="first-own"):
                session.go("train")


def _show_latest(latest: Sequence[ModelMetadata]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.header(t("overview.latest"), anchor=False)
        if access.may("submit_training") and st.button(
            t("overview.train"), type="primary", icon=":material/add:", key="overview-train"
        ):
            session.go("train")
    if not latest:
        st.caption(t("models.none"))
        return
    columns = [
        Column(t("column.name"), "name"),
        Column(t("registry.newest_value"), "number"),
        Column(t("registry.target"), "wide"),
        Column(t("column.class"), "wide"),
        Column(t("column.rows"), "number wide"),
        Column(t("column.made"), "short"),
    ]
    rows = [Row(model.model_id, title(model), _cells(model)) for model in latest]
    linked_table.show("latest", t("overview.latest"), columns, rows)
    say_undecided(latest)


def _cells(model: ModelMetadata) -> list[linked_table.Cell]:
    return [
        [
            linked_table.link(title(model), "model", id=model.model_id),
            *(linked_table.badge(alias, strong=True) for alias in model.aliases),
        ],
        written_value(*key_metric(model)),
        model.target or formats.NOTHING,
        class_title(model.model_class_key),
        formats.count(model.n_rows),
        formats.ago(model.created_at),
    ]


def _show_jobs(seen: _Seen) -> None:
    if seen.under_way:
        st.header(t("overview.jobs"), anchor=False)
        jobs_under_way.show_under_way(seen.jobs)
