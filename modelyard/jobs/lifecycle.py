"""The jobs of a folder as documents: each step of a job's life is one transaction, refused where it is too late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from modelyard.errors import (
    FailedPrecondition,
    IdempotencyConflict,
    Internal,
    ModelyardError,
    TooManyRequests,
    Unavailable,
)
from modelyard.jobs.index import JobEntry, JobIndex
from modelyard.jobs.records import JOBS, JobRecord, job_document, job_record
from modelyard.references import no_such_job
from modelyard.schemas import Job, JobError, JobProgress, JobQuery, JobStatus, Tracking
from modelyard.storage import Database, Transaction
from modelyard.storage.cursors import decode_cursor, encode_cursor

REMEMBERED_FOR = timedelta(hours=24)
"""How long an idempotency key is kept."""

KEPT_JOBS = 1000
"""The newest jobs are kept, and of the others those that have not ended or whose key is remembered."""

_REMOVED_AT_ONCE = 20


class JobDocuments:
    """The jobs in a database, of which `index` is an observer.

    With `tracked`, those that end without a model are marked as what an experiment tracker has yet to be told of.
    """

    def __init__(self, database: Database, index: JobIndex, *, tracked: bool = False) -> None:
        self._database = database
        self._index = index
        self._tracked = tracked

    @property
    def changes(self) -> int:
        """A number that is another whenever something has happened to any job. Raises what reading raises."""
        with self._database.reading():
            return self._index.changes

    def alive(self) -> list[JobEntry]:
        """Return the jobs that are queued or running, the first ordered first."""
        with self._database.reading():
            return list(self._index.alive.values())

    def get(self, job_id: str) -> JobRecord:
        """Return a job. Raises JobNotFound."""
        document = self._database.get(JOBS, job_id)
        if document is None:
            raise no_such_job(job_id)
        return job_record(job_id, document)

    def page(self, query: JobQuery) -> tuple[list[Job], str | None]:
        """Return a page of jobs, newest first, and the cursor of the next. Raises InvalidRequest for a wrong cursor."""
        before = None if query.cursor is None else decode_cursor(query.cursor)
        with self._database.reading():
            ids = self._index.select(query.status, before, query.limit + 1)
        jobs = [self.get(job_id).job for job_id in ids[: query.limit]]
        return jobs, encode_cursor(ids[query.limit - 1]) if len(ids) > query.limit else None

    def of_key(self, key: str | None, request_sha256: str | None) -> Job | None:
        """Return the job that an idempotency key stands for within 24 hours.

        One that ended for what is not its request's fault does not count: the request may run again. Raises
        IdempotencyConflict where the key stands for another request.
        """
        record = self.remembered(key)
        if record is None or _may_run_again(record.job):
            return None
        if record.request_sha256 != request_sha256:
            raise IdempotencyConflict(f"idempotency key {key!r} was used for another request; use a new key")
        return record.job

    def remembered(self, key: str | None) -> JobRecord | None:
        """Return the newest job of an idempotency key, if there was one within 24 hours."""
        if key is None:
            return None
        with self._database.reading():
            job_id = self._index.by_key.get(key)
        record = None if job_id is None else self.get(job_id)
        if record is None or record.job.created_at + REMEMBERED_FOR <= datetime.now(UTC):
            return None
        return record

    def add(self, record: JobRecord, *, workers: int, queue_limit: int) -> Job:
        """Put a new job, or return the one that its idempotency key stands for.

        Raises TooManyRequests where `workers` jobs run and `queue_limit` wait already, IdempotencyConflict.
        """
        with self._database.transaction() as transaction:
            earlier = self.of_key(record.idempotency_key, record.request_sha256)
            if earlier is not None:
                return earlier
            alive = len(self._index.alive)
            if alive >= workers + queue_limit:
                raise TooManyRequests(
                    f"{alive} trainings run or wait for their turn, and {queue_limit} may wait; try again later"
                )
            for job_id in self._index.oldest_ended(KEPT_JOBS, _REMOVED_AT_ONCE):
                if _read(transaction, job_id).job.created_at + REMEMBERED_FOR <= record.job.created_at:
                    transaction.remove(JOBS, job_id)
            transaction.put(JOBS, record.job.job_id, job_document(record))
        return record.job

    def begin(self, entry: JobEntry, owner: str) -> Job | None:
        """Let `owner` run a queued job; None where it is not queued any more, or another's by now."""
        with self._database.transaction() as transaction:
            now = self._index.alive.get(entry.job_id)
            if now != entry:
                return None
            changed = {"status": "running", "started_at": datetime.now(UTC)}
            return _change(transaction, _read(transaction, entry.job_id), changed, owner).job

    def succeed(self, transaction: Transaction, job_id: str, model_id: str, progress: JobProgress) -> None:
        """End a running job with its model, in the transaction that stores the model.

        Raises FailedPrecondition where the job is not running any more.
        """
        record = _read(transaction, job_id)
        if record.job.status != "running":
            raise FailedPrecondition(f"job {job_id} is {record.job.status}")
        done = progress.model_copy(update={"fraction": 1.0})
        changed = {"status": "succeeded", "model_id": model_id, "progress": done, "ended_at": datetime.now(UTC)}
        _change(transaction, record, changed, record.owner)

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

        Raises FailedPrecondition where it had ended already, or where it does not satisfy `only_if`.
        """
        with self._database.transaction() as transaction:
            record = _read(transaction, job_id)
            if record.job.ended or not only_if(record):
                raise FailedPrecondition(f"job {job_id} is {record.job.status} already")
            found = error if isinstance(error, JobError) else JobError.of(error)
            changed: dict[str, object] = {"status": status, "error": found, "ended_at": datetime.now(UTC)}
            if progress is not None:
                changed["progress"] = progress
            if self._tracked:
                changed["tracking"] = Tracking(status="pending")
            _change(transaction, record, changed, record.owner)
        return record

    def release(self, owner: str) -> None:
        """Let others run the queued jobs of an owner."""
        with self._database.transaction() as transaction:
            for entry in self._index.alive.values():
                if entry.status == "queued" and entry.owner == owner:
                    _change(transaction, _read(transaction, entry.job_id), {}, None)


def _may_run_again(job: Job) -> bool:
    """Tell whether a job ended for a reason that may have passed: an interruption, a full disk, a killed run."""
    return job.error is not None and job.error.code in (Unavailable.code, Internal.code)


def _read(transaction: Transaction, job_id: str) -> JobRecord:
    document = transaction.get(JOBS, job_id)
    if document is None:
        raise no_such_job(job_id)
    return job_record(job_id, document)


def _change(transaction: Transaction, record: JobRecord, changed: dict[str, object], owner: str | None) -> JobRecord:
    job = record.job.model_copy(update=changed)
    new = replace(record, job=job, owner=owner)
    transaction.put(JOBS, job.job_id, job_document(new))
    return new
