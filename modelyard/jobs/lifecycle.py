"""The life of a job: each step is one transaction, refused if it comes too late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from modelyard import calls
from modelyard.errors import (
    Cancelled,
    FailedPrecondition,
    IdempotencyConflict,
    Internal,
    ModelyardError,
    TooManyRequests,
    Unavailable,
)
from modelyard.schemas import Job, JobError, JobProgress, JobQuery, JobStatus, Tracking
from modelyard.storage import JobCollection, JobEntry, JobRecord, Transaction
from modelyard.storage.collections.cursors import decode_cursor, encode_cursor

MOST_LOST = 3
"""So many processes may die in a row while they carry a search through, without that any of its runs has ended."""

REMEMBERED_FOR = timedelta(hours=24)
"""How long an idempotency key is kept."""

KEPT_JOBS = 1000
"""The newest jobs are kept, and of the others those that have not ended or whose key is remembered."""

_REMOVED_AT_ONCE = 20


class Lifecycle:
    """The lives of a yard's jobs. Every use raises what the collection raises.

    With `tracked`, jobs that end without a model are marked as what an experiment tracker has yet to be told of.
    `on_end` is called with each job that this process has ended.
    """

    def __init__(
        self, jobs: JobCollection, *, tracked: bool = False, on_end: Callable[[Job], None] = lambda _: None
    ) -> None:
        self._jobs = jobs
        self._tracked = tracked
        self.on_end = on_end

    @property
    def changes(self) -> int:
        """A counter that changes with every change to any job."""
        with self._jobs.reading() as index:
            return index.changes

    def alive(self) -> list[JobEntry]:
        """Return the jobs that are queued or running, the first ordered first."""
        with self._jobs.reading() as index:
            return list(index.alive.values())

    def queue(self) -> dict[str, int]:
        """Return the place of each queued job, from 1 for the next one; searches come after trainings."""
        queued = [entry for entry in self.alive() if entry.status == "queued"]
        queued.sort(key=lambda entry: entry.kind == "search")
        return {entry.job_id: place for place, entry in enumerate(queued, start=1)}

    def counts(self) -> Counter[tuple[str, JobStatus]]:
        """Return how many jobs there are of each kind and status, whoever asks."""
        with self._jobs.reading() as index:
            return index.counts()

    def get(self, job_id: str) -> JobRecord:
        """Return a job. Raises JobNotFound."""
        return self._jobs.get(job_id)

    def page(self, query: JobQuery) -> tuple[list[Job], str | None]:
        """Return a page of jobs, newest first, and the cursor of the next. Raises InvalidRequest for a wrong cursor."""
        before = None if query.cursor is None else decode_cursor(query.cursor)
        with self._jobs.reading() as index:
            ids = index.select(query.status, before, query.limit + 1, calls.who().sees)
        jobs = [self.get(job_id).job for job_id in ids[: query.limit]]
        return jobs, encode_cursor(ids[query.limit - 1]) if len(ids) > query.limit else None

    def of_key(self, key: str | None, request_sha256: str | None) -> Job | None:
        """Return the job that an idempotency key stands for within 24 hours.

        A job that ended for a reason that may have passed does not count: its request may run again. Raises
        IdempotencyConflict if the key stands for another request.
        """
        record = self.remembered(key)
        if record is None or _may_run_again(record.job):
            return None
        if record.request_sha256 != request_sha256:
            raise IdempotencyConflict(
                f"idempotency key {key and key.rpartition(' ')[2]!r} was used for another request; use a new key"
            )
        return record.job

    def remembered(self, key: str | None) -> JobRecord | None:
        """Return the newest job of an idempotency key, if there was one within 24 hours that the caller may see."""
        if key is None:
            return None
        with self._jobs.reading() as index:
            job_id = index.by_key.get(key)
        record = None if job_id is None else self.get(job_id)
        if record is None or record.job.created_at + REMEMBERED_FOR <= datetime.now(UTC):
            return None
        return record if calls.who().sees(record.job.name) else None

    def add(self, record: JobRecord, *, workers: int, queue_limit: int) -> Job:
        """Put a new job, or return the one that its idempotency key stands for.

        Raises TooManyRequests if `workers` jobs run and `queue_limit` wait already, IdempotencyConflict.
        """
        with self._jobs.changing() as jobs:
            earlier = self.of_key(record.idempotency_key, record.request_sha256)
            if earlier is not None:
                return earlier
            alive = len(jobs.index.alive)
            if alive >= workers + queue_limit:
                raise TooManyRequests(
                    f"the queue is full: {queue_limit} trainings may wait for their turn; try again later"
                )
            for job_id in jobs.index.oldest_ended(KEPT_JOBS, _REMOVED_AT_ONCE):
                if jobs.get(job_id).job.created_at + REMEMBERED_FOR <= record.job.created_at:
                    jobs.remove(job_id)
            jobs.put(record)
            jobs.note(record.job.kind if record.job.parent_id is None else "retrain", record.job)
        return record.job

    def begin(self, entry: JobEntry, owner: str) -> Job | None:
        """Let `owner` run a queued job; None if it is not queued any more, or is another's by now."""
        with self._jobs.changing() as jobs:
            if jobs.index.alive.get(entry.job_id) != entry:
                return None
            record = jobs.get(entry.job_id)
            begun = _changed(record, status="running", started_at=record.job.started_at or datetime.now(UTC))
            jobs.put(replace(begun, owner=owner))
            return begun.job

    def take_over(self, entry: JobEntry, owner: str) -> bool:
        """Let `owner` look after a running job whose owner is gone. Returns False if another was quicker."""
        with self._jobs.changing() as jobs:
            if jobs.index.alive.get(entry.job_id) != entry:
                return False
            jobs.put(replace(jobs.get(entry.job_id), owner=owner))
            return True

    def tell(self, job_id: str, told: Mapping[str, Any]) -> bool:
        """Keep what a run of a search has told. Returns False if the search does not run any more."""
        with self._jobs.changing() as jobs:
            record = jobs.get(job_id)
            if record.job.status != "running":
                return False
            jobs.put(replace(record, told=(*record.told, told), lost=0))
            return True

    def requeue(self, job_id: str, died: str | None = None) -> bool:
        """Let any process go on with a running search; `died` is its owner, if that has died. Returns whether it may.

        It may not if it is not running or not that owner's, and if the death is one of MOST_LOST in a row in which no
        run of the search has ended: then a run of it may be what kills them.
        """
        with self._jobs.changing() as jobs:
            record = jobs.get(job_id)
            lost = record.lost + (died is not None)
            if record.job.status != "running" or died not in (None, record.owner) or lost >= MOST_LOST:
                return False
            jobs.put(replace(_changed(record, status="queued"), owner=None, lost=lost))
            return True

    def succeed(
        self, transaction: Transaction, job_id: str, owner: str | None, model_id: str, progress: JobProgress
    ) -> Job:
        """End a running job with its model, in the transaction that stores the model; `on_end` is not called yet.

        Raises FailedPrecondition if the job is not running any more, or is not this owner's.
        """
        jobs = self._jobs.within(transaction)
        record = jobs.get(job_id)
        if record.job.status != "running" or record.owner != owner:
            raise FailedPrecondition(f"job {job_id} is {record.job.status}, or another process's")
        done = progress.model_copy(update={"fraction": 1.0})
        ended = _changed(record, status="succeeded", model_id=model_id, progress=done, ended_at=datetime.now(UTC))
        jobs.put(ended)
        return ended.job

    def end(
        self,
        job_id: str,
        status: JobStatus,
        error: ModelyardError | JobError,
        *,
        progress: JobProgress | None = None,
        only_if: Callable[[JobRecord], bool] = lambda _: True,
    ) -> JobRecord:
        """End a job without a model, and return it as it was before.

        Raises FailedPrecondition if it had ended already, or does not satisfy `only_if`.
        """
        with self._jobs.changing() as jobs:
            record = jobs.get(job_id)
            if record.job.ended or not only_if(record):
                raise FailedPrecondition(f"job {job_id} is {record.job.status} already")
            found = error if isinstance(error, JobError) else JobError.of(error)
            changed: dict[str, object] = {"status": status, "error": found, "ended_at": datetime.now(UTC)}
            if progress is not None:
                changed["progress"] = progress
            if self._tracked:
                changed["tracking"] = Tracking(status="pending")
            ended = _changed(record, **changed)
            jobs.put(ended)
            if status == "cancelled":
                jobs.note("cancel_job", record.job)
        self.on_end(ended.job)
        return record

    def release(self, owner: str) -> None:
        """Let others run the queued jobs of an owner."""
        with self._jobs.changing() as jobs:
            for entry in jobs.index.alive.values():
                if entry.status == "queued" and entry.owner == owner:
                    jobs.put(replace(jobs.get(entry.job_id), owner=None))


def cancelled(job_id: str) -> Cancelled:
    """Say that a job was cancelled."""
    return Cancelled(f"job {job_id} was cancelled")


def interrupted() -> Unavailable:
    """Say that a job's server ended before it."""
    return Unavailable("the training was interrupted, because its server ended; train again")


def given_up() -> Unavailable:
    """Say that a search is not gone on with, because its servers died."""
    return Unavailable(f"the search was given up, because {MOST_LOST} servers in a row died during its runs")


def _may_run_again(job: Job) -> bool:
    """Whether a job ended for a reason that may have passed: an interruption, a full disk, a killed run."""
    return job.error is not None and job.error.code in (Unavailable.code, Internal.code)


def _changed(record: JobRecord, **changed: object) -> JobRecord:
    return replace(record, job=record.job.model_copy(update=changed))
