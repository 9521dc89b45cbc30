"""Jobs: what runs, then the queue in its order, with progress and cancel; what has ended, and why."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import streamlit as st

from modelyard.dashboard import formats, job_words, jobs_under_way, notices, session
from modelyard.dashboard.listing import pick_rows
from modelyard.dashboard.texts import said, t
from modelyard.schemas import Job


def show() -> None:
    """Show the page."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.title(t("page.jobs"), anchor=False)
        st.button(t("shell.refresh"), icon=":material/refresh:", key="refresh")
    alive, ended = jobs_under_way.under_way(), [job for job in jobs_under_way.recent_jobs() if job.ended]
    if not alive and not ended:
        st.info(t("jobs.none"), icon=":material/pending_actions:")
    elif not alive:
        st.caption(t("jobs.nothing_runs"))
    jobs_under_way.show_under_way(alive)
    if ended:
        st.header(t("jobs.ended"), anchor=False)
        _show_ended(ended)


def _show_ended(jobs: Sequence[Job]) -> None:
    frame = pl.DataFrame(
        {  # on a phone the first three are seen
            "status": [t(f"job.{job.status}") for job in jobs],
            "name": [job_words.title(job) for job in jobs],
            "took": [_took(job) for job in jobs],
            "target": [job.target or "" for job in jobs],
            "table": [(t("job.rows") if job.source == "rows" else job.source) or "" for job in jobs],
            "class": [job_words.made(job) for job in jobs],
            "ended": [job.ended_at for job in jobs],
            "why": [said(job.error.detail) if job.error else "" for job in jobs],
            "tracking": [job.tracking.url if job.tracking else None for job in jobs],
        },
        schema_overrides={"tracking": pl.String},
    )
    used = {"why": any(job.error for job in jobs), "tracking": any(job.tracking and job.tracking.url for job in jobs)}
    unused = [name for name, is_used in used.items() if not is_used]
    config = st.column_config
    picked = pick_rows(
        frame.drop(unused),
        "ended-jobs",
        [job.job_id for job in jobs],
        {
            "status": config.TextColumn(t("column.status"), width=90),
            "name": config.TextColumn(t("column.name"), width=130),
            "target": config.TextColumn(t("column.target"), width=90),
            "table": config.TextColumn(t("column.table"), width=130),
            "class": config.TextColumn(t("column.class"), width=175),
            "took": config.TextColumn(t("column.took"), width=80),
            "ended": config.DatetimeColumn(t("column.ended"), format=formats.moment_format(), width=130),
            "why": config.TextColumn(t("column.why"), width="large"),
            "tracking": config.LinkColumn(t("column.tracking"), display_text=t("column.experiment"), width=100),
        },
    )
    for row in picked:
        _show_one(jobs[row])


def _show_one(job: Job) -> None:
    if job.error is not None:
        notices.show_error(job.error.exception())
    elif job.model_id is not None and st.button(
        t("jobs.open_model"), type="primary", icon=":material/inventory_2:", key="open-model"
    ):
        session.go("model", id=job.model_id)


def _took(job: Job) -> str:
    spent = job.spent()
    return formats.NOTHING if spent is None else formats.duration(spent.total_seconds())
