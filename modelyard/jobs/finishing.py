"""The end of a job after its run: it gets a model, or the reason why it has none, and the tracker is told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from modelyard.errors import FailedPrecondition, Internal, InvalidArgument, JobNotFound, ModelyardError
from modelyard.jobs.lifecycle import Lifecycle, given_up, interrupted
from modelyard.jobs.runner import Owners, RunEnd
from modelyard.jobs.spool import Finished, Spool, StepTold
from modelyard.schemas import Job, JobError, JobProgress
from modelyard.storage import JobEntry, ModelStore, Proposal

log = logging.getLogger("modelyard.jobs")

Ending = Finished | StepTold | JobError | RunEnd
"""What came of a run: what it said itself, or what the runner saw."""

OnEnd = Callable[[str], None]
"""Called last at the end of a job, with the id of its model, or the job's own id if it has no model."""

Gate = Callable[[Path, Finished], Proposal | None]
"""Says, by a run's spool and what it has made, whether an alias shall be moved to the model. Raises nothing."""


def why_to_log(error: ModelyardError | JobError) -> str:
    """Return why a run failed, for the log: what is wrong with a table quotes its cells, which a log never holds."""
    return error.code if error.code == InvalidArgument.code else error.detail


def logged(spool: Spool) -> str:
    """Return the end of what a run said, on lines of its own; empty if it said nothing."""
    said = spool.log_tail()
    return f"\n{said}" if said else ""


class Finisher:
    """Ends the jobs of a process: those that another one has taken over by now are that one's to end.

    Every use raises Unavailable if the storage cannot be used.
    """

    def __init__(
        self, store: ModelStore, lifecycle: Lifecycle, owners: Owners, on_end: OnEnd | None, gate: Gate | None
    ) -> None:
        self._store = store
        self._lifecycle = lifecycle
        self._owners = owners
        self._on_end = on_end
        self._gate = gate

    def tell(self, made: str) -> None:
        """Tell of an end: of a model by its id, or of a job that has none by its own."""
        if self._on_end is not None:
            self._on_end(made)

    def end(self, job_id: str, spool: Spool, how: Ending, progress: JobProgress) -> str | None:
        """End a job by what its run came to; return as `publish` does. `progress` is the job's."""
        if isinstance(how, Finished):
            return self.publish(job_id, spool, how, progress)
        if isinstance(how, StepTold):
            how = RunEnd(Internal("the run has made no model"))
        return self.end_without_model(job_id, spool, how if isinstance(how, RunEnd) else RunEnd(how), progress)

    def publish(self, job_id: str, spool: Spool, made: Finished, progress: JobProgress) -> str | None:
        """Store what a run has made; return the model's id, the job's if that failed, None if the job had ended.

        `progress` is the job's.
        """
        ended: list[Job] = []
        proposal = None if self._gate is None else self._gate(spool.path, made)
        described = made.description
        if proposal is not None:
            described = described.model_copy(update={"warnings": [*described.warnings, *proposal.warnings]})
        try:
            record = self._store.publish(
                described,
                spool.result,
                made.files,
                name=made.name,
                decision=made.decision,
                proposal=proposal,
                by=self._lifecycle.get(job_id).by,
                job_id=job_id,
                also=lambda transaction, record: ended.append(
                    self._lifecycle.succeed(transaction, job_id, self._owners.mine, record.metadata.model_id, progress)
                ),
            )
        except FailedPrecondition:
            return None  # cancelled meanwhile, or taken over
        except ModelyardError as error:
            return self.end_without_model(job_id, spool, RunEnd(error), progress)
        if said := spool.log_tail():
            log.info("job %s said:\n%s", job_id, said)
        log.info("job %s has made model %s", job_id, record.metadata.model_id)
        self._lifecycle.on_end(ended[-1])
        return record.metadata.model_id

    def end_without_model(self, job_id: str, spool: Spool, how: RunEnd, progress: JobProgress) -> str | None:
        """Record why a job has no model. Returns its id, None if it had ended."""
        error = how.error
        try:
            self._lifecycle.end(
                job_id, how.status, error, progress=progress, only_if=lambda record: record.owner == self._owners.mine
            )
        except (FailedPrecondition, JobNotFound):
            return None  # cancelled meanwhile, or taken over
        log.warning("job %s %s: %s%s", job_id, how.status, why_to_log(error), logged(spool))
        return job_id

    def interrupt(self, entry: JobEntry, spool: Spool) -> None:
        """End a running job whose owner is gone, unless another process was quicker, and remove its spool.

        A search is put back into the queue instead, as long as its servers do not die of it.
        """
        is_search = entry.kind == "search"
        if is_search and self._lifecycle.requeue(entry.job_id, entry.owner):
            log.warning("job %s goes on in another process: its server is gone", entry.job_id)
            return
        try:
            self._lifecycle.end(
                entry.job_id,
                "interrupted",
                given_up() if is_search else interrupted(),
                progress=spool.progress(),
                only_if=lambda record: record.job.status == "running" and record.owner == entry.owner,
            )
        except (FailedPrecondition, JobNotFound):
            if is_search:
                return  # another process goes on with it, and needs its spool
        else:
            log.warning("job %s was interrupted: its server is gone", entry.job_id)
            self.tell(entry.job_id)
        spool.remove()
