"""What becomes of a job when its run has ended: a model, or the reason why there is none; and who is told of it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from modelyard.errors import FailedPrecondition, InvalidArgument, JobNotFound, ModelyardError
from modelyard.jobs import endings
from modelyard.jobs.lifecycle import Lifecycle
from modelyard.jobs.spool import Finished, Spool
from modelyard.schemas import JobError, JobStatus
from modelyard.storage import JobEntry, ModelStore

log = logging.getLogger("modelyard.jobs")

OnEnd = Callable[[str], None]
"""What is called when all else is done at the end of a job, with the id of its model, or its own where it has none."""


class Finisher:
    """Ends the jobs of a folder. Every use raises Unavailable where the folder cannot be used."""

    def __init__(self, store: ModelStore, lifecycle: Lifecycle, on_end: OnEnd | None) -> None:
        self._store = store
        self._lifecycle = lifecycle
        self._on_end = on_end

    def tell(self, made: str) -> None:
        """Tell of an end: of a model by its id, or of a job that has none by its own."""
        if self._on_end is not None:
            self._on_end(made)

    def publish(self, job_id: str, spool: Spool, made: Finished) -> str | None:
        """Store what a run has made; return the model's id, the job's where that failed, None where it had ended."""
        progress = spool.progress()
        try:
            record = self._store.publish(
                made.description,
                spool.result,
                made.files,
                name=made.name,
                also=lambda transaction, record: self._lifecycle.succeed(
                    transaction, job_id, record.metadata.model_id, progress
                ),
            )
        except FailedPrecondition:
            return None  # cancelled meanwhile
        except ModelyardError as error:
            return self.end_without_model(job_id, spool, "failed", error)
        if said := spool.log_tail():
            log.info("job %s said:\n%s", job_id, said)
        log.info("job %s has made model %s", job_id, record.metadata.model_id)
        return record.metadata.model_id

    def end_without_model(
        self, job_id: str, spool: Spool, status: JobStatus, error: ModelyardError | JobError
    ) -> str | None:
        """Write down why a job has no model; return its id, None where it had ended."""
        try:
            self._lifecycle.end(job_id, status, error, progress=spool.progress())
        except (FailedPrecondition, JobNotFound):
            return None  # cancelled meanwhile
        said = spool.log_tail()
        # What is wrong with a table is told in words that quote it, and logs hold no cells.
        why = error.code if error.code == InvalidArgument.code else error.detail
        log.warning("job %s %s: %s%s", job_id, status, why, "\n" + said if said else "")
        return job_id

    def interrupt(self, entry: JobEntry, spool: Spool) -> None:
        """End a running job whose owner is gone, unless someone else was quicker, and remove its folder."""
        try:
            self._lifecycle.end(
                entry.job_id,
                "interrupted",
                endings.interrupted(),
                progress=spool.progress(),
                only_if=lambda record: record.job.status == "running" and record.owner == entry.owner,
            )
        except (FailedPrecondition, JobNotFound):
            pass
        else:
            log.warning("job %s was interrupted: its server is gone", entry.job_id)
            self.tell(entry.job_id)
        spool.remove()
