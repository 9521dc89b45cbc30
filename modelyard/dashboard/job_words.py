"""What is said of a job: what it makes of which table, how far it is, how long it has taken and may still take."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelyard.dashboard import formats
from modelyard.dashboard.listing import class_title
from modelyard.dashboard.texts import t
from modelyard.schemas import Job

_PHASE = re.compile(r"(fit|fold|trial) (\d+) of (\d+)")
_FEW_STEPS = 10
"""What has fewer steps than that has stages rather than iterations, of which nobody wants to be told."""


def title(job: Job) -> str:
    """Name a job by its model."""
    if job.kind == "search":
        return job.name or t("job.search")
    return job.name or t("job.unnamed", model_class=class_title(job.model_class_key))


def facts(job: Job) -> str:
    """Say in Markdown what a job makes of which table: `telco.csv → churn · CatBoost`."""
    return " · ".join(part for part in (table(job), formats.escaped(made(job))) if part)


def made(job: Job) -> str:
    """Say what a job makes: a model of some class, or the best of a search."""
    return t("job.search") if job.kind == "search" else class_title(job.model_class_key)


def table(job: Job) -> str:
    """Say in Markdown which table a job learns from, and what."""
    source = t("job.rows") if job.source == "rows" else job.source
    return " → ".join(formats.escaped(part) for part in (source, job.target) if part)


def steps(job: Job) -> str:
    """Say how far a job is."""
    if job.status == "queued":
        return t("job.place", n=job.queue_place) if job.queue_place else t("job.waiting")
    progress = job.progress
    parts = [formats.percent(progress.fraction), *_phase(job)]
    if progress.metric is not None and progress.model_class_key is not None:
        best = formats.number(progress.metric, 3)
        parts.append(t("job.best", metric=best, algorithm=formats.escaped(class_title(progress.model_class_key))))
    elif progress.metric is not None:
        words = "job.held_out_loss" if progress.held_out else "job.loss"
        parts.append(t(words, loss=formats.number(progress.metric, 3)))
    if job.out_of_time():
        parts.append(t("job.out_of_time"))
    return " · ".join(parts)


def times(job: Job) -> str:
    """Say how long a job has taken, and how long it may still take."""
    spent, left = job.spent(), job.left()
    parts = []
    if spent is not None:
        parts.append(t("job.spent", time=formats.duration(spent.total_seconds())))
    if left is not None:
        parts.append(t("job.left", time=formats.duration(max(1.0, round(left.total_seconds())))))
    return " · ".join(parts)


def phase(words: str) -> str:
    """Write a job's phase in the session's language."""
    found = _PHASE.fullmatch(words)
    return t(f"phase.{found[1]}", n=found[2], of=found[3]) if found else t("phase.final_fit")


def _phase(job: Job) -> Iterator[str]:
    progress = job.progress
    if progress.phase is not None:
        yield phase(progress.phase)
    if progress.phase_step is not None and progress.phase_total is not None and progress.phase_total >= _FEW_STEPS:
        yield t("job.iteration", step=formats.count(progress.phase_step), total=formats.count(progress.phase_total))
