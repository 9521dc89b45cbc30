"""Jobs as they run: progress, learning curve, cancel. What is shown moves by itself while something runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from modelyard.dashboard import access, formats, job_words, notices, session
from modelyard.dashboard.charts import draw, losses
from modelyard.dashboard.searching import show_board
from modelyard.dashboard.texts import t
from modelyard.schemas import Job, JobQuery, JobStatus, in_turn

STATUS_BADGES: dict[JobStatus, tuple[str, str]] = {
    "queued": (":material/schedule:", "gray"),
    "running": (":material/progress_activity:", "blue"),
    "succeeded": (":material/check:", "green"),
    "failed": (":material/error:", "red"),
    "cancelled": (":material/block:", "gray"),
    "interrupted": (":material/power_off:", "orange"),
}
_ALIVE: tuple[JobStatus, ...] = ("running", "queued")
_MOST_POINTS = 2000

Losses = dict[str, dict[int, float]]
"""Losses by the phase of a job, whose words say whose rows they are of, and by iteration."""


def under_way() -> list[Job]:
    """List the jobs that run, then the queue in its order, however many jobs were ordered after them."""
    yard = session.yard()
    jobs = {job.job_id: job for status in _ALIVE for job in yard.list_jobs(JobQuery(status=status, limit=1000)).jobs}
    return in_turn(jobs.values())


def recent_jobs() -> Sequence[Job]:
    """List the latest 100 jobs."""
    return session.yard().list_jobs(JobQuery(limit=100)).jobs


def badge(job: Job) -> str:
    """Write a job's status as a Markdown badge."""
    icon, color = STATUS_BADGES[job.status]
    return f":{color}-badge[{icon} {t(f'job.{job.status}')}]"


def job_head(job: Job) -> str:
    """Write in Markdown which job it is, how it is, and what it makes of which table."""
    return f"**{formats.escaped(job_words.title(job))}** {badge(job)}  \n:small[{job_words.facts(job)}]"


def show_job_line(job: Job) -> None:
    """Show one job that has not ended in a line: a link to watch it, its progress, a way to cancel it."""
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        with st.container(width="stretch", gap=None):
            st.page_link(
                session.current().pages["train"],
                label=f"**{formats.escaped(job_words.title(job))}** {badge(job)}",
                query_params={"job": job.job_id},
                help=t("job.watch"),
            )
            st.caption(job_words.facts(job))
        show_progress(job, width=320)
        cancel_button(job)


def show_progress(job: Job, width: int | Literal["stretch"] = "stretch") -> None:
    """Show how far a job is, and how long it has taken and may still take."""
    times = job_words.times(job)
    words = job_words.steps(job) + (f"  \n:small[{times}]" if times else "")
    st.progress(job.progress.fraction, text=words, width=width)


def show_under_way(jobs: list[Job]) -> None:
    """Show jobs under way, moving by themselves; the whole page runs again once they are others."""
    _show_moving([job.job_id for job in jobs], [jobs])


@st.fragment(run_every=1)
def _show_moving(job_ids: Sequence[str], asked: list[list[Job]]) -> None:
    """Show the jobs that the page has `asked` for, at the first time; from then on as they are."""
    with notices.errors_in_place():
        jobs = asked.pop() if asked else under_way()
        if {job.job_id for job in jobs} != set(job_ids):
            st.rerun()
        for job in jobs:
            show_job_line(job)


def cancel_button(*jobs: Job) -> None:
    """Offer to cancel jobs."""
    if not jobs or not access.may("cancel_job"):
        return
    words = t("job.cancel") if len(jobs) == 1 else t("job.cancel_all")
    if st.button(words, key=f"cancel-{jobs[0].job_id}", icon=":material/stop_circle:"):
        with notices.errors_in_place():
            for job in jobs:
                session.yard().cancel_job(job.job_id)
            st.rerun()


def watch(job: Job) -> None:
    """Show a job under way, moving by itself; the whole page runs again once it has ended."""
    _watch(job.job_id, [job])


@st.fragment(run_every=0.5)
def _watch(job_id: str, asked: list[Job]) -> None:
    with notices.errors_in_place():
        job = asked.pop() if asked else session.yard().get_job(job_id)
        if job.ended:
            st.rerun()
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(job_head(job), width="stretch")
                cancel_button(job)
            show_progress(job)
            _show_losses(job)
            if job.progress.board:
                show_board(job.progress.board)


@st.cache_resource(show_spinner=False, max_entries=100)
def _losses(job_id: str) -> Losses:
    """Return a job's losses, as far as anyone has watched it: for all who do, and after a refresh."""
    return {}


def _show_losses(job: Job) -> None:
    """Show how the losses fall; a fit that learns from all rows has no others to be judged by."""
    kept, progress = _losses(job.job_id), job.progress
    step, total = progress.phase_step, progress.phase_total
    if job.kind == "search":
        step, total = progress.step, progress.total
    if step is not None and progress.metric is not None:
        phase = "" if job.kind == "search" else f"{progress.phase}" if progress.held_out else f"{progress.phase}*"
        found = kept.setdefault(phase, {})
        if len(found) < _MOST_POINTS:
            found[step] = progress.metric
    lines = {_line(phase): found for phase, found in kept.items() if len(found) > 1}
    if lines:
        with st.container(key="losses"):
            words = t("chart.trial" if job.kind == "search" else "chart.iteration")
            draw(losses.live(lines, total, words), t("chart.loss"))


def _line(phase: str) -> str:
    """Title the line of a phase."""
    if not phase:
        return t("search.best_so_far")
    rows = t("chart.training_rows" if phase.endswith("*") else "chart.held_out_rows")
    return f"{job_words.phase(phase.removesuffix('*'))}: {rows}"
