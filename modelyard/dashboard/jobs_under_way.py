"""Jobs as they run: progress, learning curve, cancel. What is shown moves by itself while something runs."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from modelyard.dashboard import access, formats, notices, session
from modelyard.dashboard.charts import curves, draw
from modelyard.dashboard.texts import t
from modelyard.schemas import Job, JobQuery, JobStatus

STATUS_BADGES: dict[JobStatus, tuple[str, str]] = {
    "queued": (":material/schedule:", "gray"),
    "running": (":material/progress_activity:", "blue"),
    "succeeded": (":material/check:", "green"),
    "failed": (":material/error:", "red"),
    "cancelled": (":material/block:", "gray"),
    "interrupted": (":material/power_off:", "orange"),
}
_MOST_POINTS = 2000


def recent_jobs() -> Sequence[Job]:
    """List the latest 100 jobs."""
    return session.yard().list_jobs(JobQuery(limit=100)).jobs


def badge(job: Job) -> str:
    """Write a job's status as a Markdown badge."""
    icon, color = STATUS_BADGES[job.status]
    return f":{color}-badge[{icon} {t(f'job.{job.status}')}]"


def job_title(job: Job) -> str:
    """Name a job by its model."""
    return job.name or t("job.unnamed", model_class=job.model_class_key)


def show_job_line(job: Job) -> None:
    """Show one job that has not ended in a line: a link to watch it, its progress, a way to cancel it."""
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.page_link(
            session.current().pages["train"],
            label=f"**{formats.escaped(job_title(job))}** {badge(job)}",
            query_params={"job": job.job_id},
            help=t("job.watch"),
            width="stretch",
        )
        st.progress(job.progress.fraction, text=_steps(job), width=320)
        cancel_button(job)


@st.fragment(run_every=1)
def show_under_way(job_ids: Sequence[str]) -> None:
    """Show jobs under way, moving by themselves; the whole page runs again once they are others."""
    with notices.errors_in_place():
        jobs = [job for job in recent_jobs() if not job.ended]
        if {job.job_id for job in jobs} != set(job_ids):
            st.rerun()
        for job in jobs:
            show_job_line(job)


def cancel_button(job: Job) -> None:
    """Offer to cancel a job."""
    if not access.may("cancel_job"):
        return
    if st.button(t("job.cancel"), key=f"cancel-{job.job_id}", icon=":material/stop_circle:"):
        with notices.errors_in_place():
            session.yard().cancel_job(job.job_id)
            st.rerun()


@st.fragment(run_every=0.5)
def watch(job_id: str) -> None:
    """Show a job under way, moving by itself; the whole page runs again once it has ended."""
    with notices.errors_in_place():
        job = session.yard().get_job(job_id)
        if job.ended:
            st.rerun()
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{formats.escaped(job_title(job))}** {badge(job)}", width="stretch")
                cancel_button(job)
            st.progress(job.progress.fraction, text=_steps(job))
            _show_losses(job)


def _steps(job: Job) -> str:
    progress = job.progress
    if job.status == "queued":
        return t("job.waiting")
    parts = [formats.percent(progress.fraction)]
    if progress.step is not None and progress.total is not None:
        what = "job.trial" if job.kind == "search" else "job.step"
        parts.append(t(what, step=formats.count(progress.step), total=formats.count(progress.total)))
    if progress.metric is not None and progress.model_class_key is not None:
        best = formats.number(progress.metric, 3)
        parts.append(t("job.best", metric=best, algorithm=formats.escaped(progress.model_class_key)))
    elif progress.metric is not None:
        parts.append(t("job.loss", loss=formats.number(progress.metric, 3)))
    return " · ".join(parts)


@st.cache_resource(show_spinner=False, max_entries=100)
def _losses(job_id: str) -> dict[int, float]:
    """Return a job's losses by step, as far as anyone has watched it: for all who do, and after a refresh."""
    return {}


def _show_losses(job: Job) -> None:
    losses = _losses(job.job_id)
    progress = job.progress
    if progress.step is not None and progress.metric is not None and len(losses) < _MOST_POINTS:
        losses[progress.step] = progress.metric
    if len(losses) > 1:
        draw(curves.live(dict(losses), progress.total), t("chart.loss"))
