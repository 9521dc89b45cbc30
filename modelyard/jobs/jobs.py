"""Jobs: order one, look at it, wait for it, cancel it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uuid_utils

from modelyard import calls
from modelyard.errors import Unavailable
from modelyard.jobs.dispatcher import Dispatcher
from modelyard.jobs.finishing import Gate, OnEnd
from modelyard.jobs.lifecycle import Lifecycle, cancelled
from modelyard.jobs.runner import Limits, Owners, Runner
from modelyard.jobs.spool import Spool
from modelyard.jobs.steps import Planner
from modelyard.references import no_such_job
from modelyard.schemas import Job, JobKind, JobPage, JobQuery, JobStatus
from modelyard.storage import JobEntry, JobRecord, Storage
from modelyard.storage.files import make_folder, unavailable

log = logging.getLogger("modelyard.jobs")

_WATCH_INTERVAL_S = 0.1
_LIVENESS_INTERVAL_S = 1.0
_PATIENCE_S = 30.0
"""For so long who follows a job waits on if the storage cannot be asked, because the run goes on, too."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job before it is ordered. Its idempotency key and the SHA-256 of its request go together.

    `details` of the order are kept if trainings are tracked.
    """

    model_class_key: str
    kind: JobKind = "train"
    name: str | None = None
    parent_id: str | None = None
    target: str | None = None
    source: str | None = None
    idempotency_key: str | None = None
    request_sha256: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class Jobs:
    """The jobs of one yard.

    Runs take place in `runner`; `owners` are the processes that share the yard; `planner` knows searches. If trainings
    are tracked, `on_end` is called with the id of the model that a job has made, or of the job that has made none;
    `count` with every job that this process has ended. `gate` is asked before a model is stored. Every use raises
    Unavailable if the storage cannot be used.
    """

    def __init__(
        self,
        storage: Storage,
        runner: Runner,
        owners: Owners,
        limits: Limits,
        *,
        planner: Planner | None = None,
        on_end: OnEnd | None = None,
        count: Callable[[Job], None] = lambda _: None,
        gate: Gate | None = None,
    ) -> None:
        self._folder = storage.runs
        self._kept = storage.spools
        self._limits = limits
        self._on_end = on_end
        self._lifecycle = Lifecycle(storage.jobs, tracked=on_end is not None, on_end=count)
        self._runner = runner
        self._owners = owners
        self._dispatcher = Dispatcher(
            storage, self._lifecycle, runner, owners, limits, planner=planner, on_end=on_end, gate=gate
        )

    def serve(self) -> None:
        """Get ready to run, and run what other processes have left queued."""
        self._runner.prepare()
        self._dispatcher.serve()

    def order(self, new: NewJob, write_order: Callable[[Path], None]) -> Job:
        """Put a new job into the queue; with the idempotency key of an earlier one, return that one as it is.

        `write_order` writes what the run will read into the run's spool. Raises TooManyRequests if the queue is full,
        IdempotencyConflict if the key stands for another request, Unavailable while stopping.
        """
        earlier = self._lifecycle.of_key(new.idempotency_key, new.request_sha256)
        if earlier is not None:
            return earlier
        if self._dispatcher.stops:
            raise Unavailable("this server is shutting down and starts no training; try again later")
        owner = self._owners.claim()
        job = Job(
            job_id=str(uuid_utils.uuid7()),
            status="queued",
            kind=new.kind,
            model_class_key=new.model_class_key,
            name=new.name,
            parent_id=new.parent_id,
            target=new.target,
            source=new.source,
            created_at=datetime.now(UTC),
        )
        spool = self._spool(job.job_id)
        details = None if self._on_end is None else new.details
        record = JobRecord(job, owner, new.idempotency_key, new.request_sha256, details, by=calls.who().name)
        kept = job
        try:
            with unavailable(f"write {spool.path}"):
                make_folder(spool.path, inside=self._folder.parent)
                write_order(spool.path)
            spool.keep()
            kept = self._lifecycle.add(record, workers=self._limits.workers, queue_limit=self._limits.queue)
        except BaseException:
            spool.remove()
            raise
        if kept.job_id != job.job_id:
            spool.remove()
        place = self._lifecycle.queue().get(kept.job_id)
        self._dispatcher.look_now()
        return kept.model_copy(update={"queue_place": place})

    def parent_of_key(self, idempotency_key: str | None) -> str | None:
        """Return the id of the model that the job of an idempotency key retrains, if there is one."""
        record = self._lifecycle.remembered(idempotency_key)
        return None if record is None else record.job.parent_id

    def get(self, job_id: str) -> Job:
        """Return a job as it is now. Raises JobNotFound, also for one that the caller may not see."""
        record = self._seen(job_id)
        entry = JobEntry(job_id, record.job.status, record.owner, record.job.kind)
        if entry.status == "running" and self._dispatcher.interrupt_orphan(entry):
            record = self._lifecycle.get(job_id)
        return self._as_it_is(record.job, self._lifecycle.queue())

    def page(self, query: JobQuery) -> JobPage:
        """Return a page of jobs, newest first. Raises InvalidRequest for a wrong cursor."""
        for entry in self._lifecycle.alive():
            if entry.status == "running":
                self._dispatcher.interrupt_orphan(entry)
        jobs, cursor = self._lifecycle.page(query)
        queue = self._lifecycle.queue()
        return JobPage(jobs=[self._as_it_is(job, queue) for job in jobs], next_cursor=cursor)

    def counts(self) -> Counter[tuple[str, JobStatus]]:
        """Return how many jobs there are of each kind and status, whoever asks."""
        return self._lifecycle.counts()

    def cancel(self, job_id: str) -> Job:
        """Cancel a job, whichever process runs it. Raises JobNotFound, FailedPrecondition if it has ended."""
        self._seen(job_id)
        spool = self._spool(job_id)
        before = self._lifecycle.end(job_id, "cancelled", cancelled(job_id), progress=spool.progress())
        self._dispatcher.look_now()
        if before.job.status == "queued":
            spool.remove()
        log.info("job %s was cancelled", job_id)
        if self._on_end is not None:
            self._on_end(job_id)
        return self._lifecycle.get(job_id).job

    def wait(self, job_id: str) -> Job:
        """Return a job when it has ended. Raises like `watch`."""
        (ended,) = deque(self.watch(job_id, _LIVENESS_INTERVAL_S), maxlen=1)
        return ended

    def watch(self, job_id: str, interval_s: float = _WATCH_INTERVAL_S) -> Iterator[Job]:
        """Yield a job as it is now, and again whenever anything of it has changed, until it has ended.

        Its end is seen at once, its progress every `interval_s`. Raises JobNotFound, and Unavailable if this process
        stops before the job, as `check_can_tell` does.
        """
        changed = threading.Event()
        last: Job | None = None
        asked = time.monotonic()
        with self.listening(changed.set):
            while last is None or not last.ended:
                changed.clear()
                try:
                    job = self.get(job_id)
                except Unavailable:
                    if not self.waits_on(asked):
                        raise
                    changed.wait(interval_s)
                    continue
                asked = time.monotonic()
                if job != last:
                    last = job
                    yield job
                if not job.ended:
                    self.check_can_tell(job)
                    changed.wait(interval_s)

    def listening(self, callback: Callable[[], None]) -> AbstractContextManager[None]:
        """Within the block, call back (in another thread) whenever anything has happened to any job."""
        return self._dispatcher.listening(callback)

    def follow(self, callback: Callable[[], None]) -> None:
        """Call back from now on, as `listening` does. If no job is alive, others' changes are seen within a second."""
        self._dispatcher.follow(callback)

    def waits_on(self, since: float) -> bool:
        """Whether who follows a job waits on, though the storage cannot be asked since then (`time.monotonic`)."""
        return not self._dispatcher.stops and time.monotonic() < since + _PATIENCE_S

    def check_can_tell(self, job: Job) -> None:
        """Raise Unavailable if this process stops before it can tell how a job ends.

        That is so as soon as the grace period is over, unless it is this process's own; and at once if the job waits
        for its turn and there is no other process to take it.
        """
        if not self._dispatcher.stops or job.ended:
            return
        if job.status == "queued" and (self._dispatcher.is_over or not self._owners.has_others()):
            raise Unavailable(f"this server is shutting down; job {job.job_id} stays in the queue")
        is_left = self._dispatcher.has_left or self._lifecycle.get(job.job_id).owner != self._owners.mine
        if self._dispatcher.is_over and is_left:
            raise Unavailable(f"this server is shutting down; job {job.job_id} goes on at another server")

    def drain(self) -> None:
        """Start no more runs; those under way get their grace period, then are cut off. Safe in a signal handler."""
        self._dispatcher.drain()

    def close(self) -> None:
        """Drain, wait for all runs, release the queued jobs, and leave no process behind."""
        self._dispatcher.close()
        self._runner.close()

    def _spool(self, job_id: str) -> Spool:
        return Spool(self._folder / job_id, self._kept)

    def _seen(self, job_id: str) -> JobRecord:
        record = self._lifecycle.get(job_id)
        if not calls.who().sees(record.job.name):
            raise no_such_job(job_id)
        return record

    def _as_it_is(self, job: Job, queue: Mapping[str, int]) -> Job:
        """Return a job with what changes by the moment: how far it is, and its place in the queue."""
        if job.ended:
            return job
        now = {"progress": self._spool(job.job_id).progress(), "queue_place": queue.get(job.job_id)}
        return job.model_copy(update=now)
