"""What is said of a training run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from modelyard.errors import FieldError, ModelyardError, error_class
from modelyard.schemas.base import Frozen, JobKind, JobStatus
from modelyard.schemas.models import Tracking
from modelyard.schemas.showing import presentable


class Leader(Frozen):
    """The best trial that a search has made of a model class: its metric, nine times in ten between `low` and `high`.

    Both are null if the resamples do not show them. `trials` counts all of the class, which took `seconds`.
    """

    model_class_key: str
    metric: float
    low: float | None = None
    high: float | None = None
    trials: int
    seconds: float


class JobProgress(Frozen):
    """How far a job is: `fraction` of 1; after `step` of `total` steps the loss was `metric`, if there is one.

    `held_out` says whether that loss is of rows that the fit does not learn from. `phase` is the part under way:
    `fit 1 of 2`, `fold 3 of 5`, `trial 4 of 30`, `final fit`; `phase_step` of its `phase_total` steps (iterations) are
    done, if it has several. The steps of a search are its trials, `metric` is the best so far, by the model class
    `model_class_key`; `board` has each model class with a complete trial, the best first; no trial begins after
    `max_seconds`, if one is complete.
    """

    fraction: float = 0.0
    step: int | None = None
    total: int | None = None
    metric: float | None = None
    held_out: bool | None = None
    phase: str | None = None
    phase_step: int | None = None
    phase_total: int | None = None
    model_class_key: str | None = None
    board: list[Leader] = []
    max_seconds: float | None = None


class WrongPlace(Frozen):
    """One wrong place in a request, as in a problem document."""

    loc: list[str | int]
    message: str
    value: Any = None


class JobError(Frozen):
    """Why a job has no model: the code word, the error's slug, and its words."""

    code: str
    type: str
    detail: str
    errors: list[WrongPlace] = []

    @classmethod
    def of(cls, error: ModelyardError) -> JobError:
        """Write an error down."""
        places = [
            WrongPlace(loc=list(wrong.loc), message=wrong.message, value=presentable(wrong.value))
            for wrong in error.errors
        ]
        return cls(code=error.code, type=type(error).slug(), detail=error.detail, errors=places)

    def exception(self) -> ModelyardError:
        """Return the error that was written down."""
        places = [FieldError(tuple(wrong.loc), wrong.message, wrong.value) for wrong in self.errors]
        return error_class(self.type, self.code)(self.detail, errors=places)


class Job(Frozen):
    """One training run or search, from the request to its end. Times are UTC.

    A search has `auto` in the place of a model class. `name` is the model's, None if it is made up at the end.
    `target` is what is predicted, None if the labels have no name; `source` is what the table came as: the name of its
    file, or `rows`. `queue_place` counts the queued jobs, from 1 for the next one; None if it has begun. `model_id` is
    there once the job has succeeded, `error` if it ended in any other way. `tracking` is that of a run without a model,
    if trainings are tracked; a model has its own.
    """

    job_id: str
    status: JobStatus
    kind: JobKind = "train"
    model_class_key: str
    name: str | None = None
    parent_id: str | None = None
    target: str | None = None
    source: str | None = None
    queue_place: int | None = None
    progress: JobProgress = JobProgress()
    model_id: str | None = None
    error: JobError | None = None
    tracking: Tracking | None = None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing of it will change any more."""
        return self.status not in ("queued", "running")

    def spent(self, now: datetime | None = None) -> timedelta | None:
        """Return how long it has run, or ran; None if it has not begun."""
        if self.started_at is None:
            return None
        return (self.ended_at or now or datetime.now(UTC)) - self.started_at

    def left(self, now: datetime | None = None) -> timedelta | None:
        """Return how long it will still run if it goes on as until now; None if it has ended, or nobody can know.

        Nobody knows it of a search: its trials take seconds or minutes, and how far it is changes only when one ends.
        """
        spent, done = self.spent(now), self.progress.fraction
        if self.status != "running" or self.kind == "search" or spent is None or not done:
            return None
        return spent * (1 - done) / done

    def out_of_time(self, now: datetime | None = None) -> bool:
        """Whether a search waits for its last trial: its seconds are over, and no other one begins."""
        spent, at_most, phase = self.spent(now), self.progress.max_seconds, self.progress.phase or ""
        if self.status != "running" or spent is None or at_most is None or not self.progress.board:
            return False
        return phase.startswith("trial") and spent.total_seconds() >= at_most


def in_turn(jobs: Iterable[Job]) -> list[Job]:
    """Return jobs as they come up: those that run, then the queue in its order, then those that have ended."""
    return sorted(jobs, key=lambda job: (job.ended, job.queue_place or 0))


class JobPage(Frozen):
    """One page of jobs, newest first; `next_cursor` is null on the last one."""

    jobs: list[Job]
    next_cursor: str | None = None
