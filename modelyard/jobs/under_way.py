"""The runs that this process looks after: each from its start, or from when it was taken over, to its end."""

from __future__ import annotations

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial

from modelyard.jobs.finishing import Ending, Finisher
from modelyard.jobs.lifecycle import cancelled, interrupted
from modelyard.jobs.runner import Place, RunEnd, Runner
from modelyard.jobs.spool import Spool
from modelyard.jobs.steps import Searches, Step

log = logging.getLogger("modelyard.jobs")

_PROGRESS_INTERVAL_S = 0.5


@dataclass(slots=True)
class Run:
    """A run of this process, and the key of its ending; `killed` is what becomes of its job if it had to be killed.

    `step` is there if the job is a search, of which the run is one.
    """

    job_id: str
    spool: Spool
    step: Step | None = None
    key: bytes = field(default_factory=partial(secrets.token_bytes, 32), repr=False)
    killed: RunEnd | None = None


class RunsUnderWay:
    """The runs of one process. `wake` is called in a thread of the runner's when one has ended, `tell` at each end."""

    def __init__(
        self,
        spool_of: Callable[[str], Spool],
        runner: Runner,
        finisher: Finisher,
        searches: Searches,
        *,
        wake: Callable[[], None],
        tell: Callable[[], None],
    ) -> None:
        self._spool_of = spool_of
        self._runner = runner
        self._finisher = finisher
        self._searches = searches
        self._wake = wake
        self._tell = tell
        self._runs: dict[str, Run] = {}
        self._ends: deque[tuple[str, RunEnd]] = deque()
        self._tell_progress_at = 0.0

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._runs

    def start(self, run_id: str, run: Run, place: Place) -> None:
        """Start a run in its place."""
        self._runs[run_id] = run
        place.start(run_id, run.spool.path, run.key, lambda seen: self._ended(run_id, seen))
        log.info("job %s begins", run_id)

    def take_over(self, job_id: str) -> None:
        """Look after a run from now on that another process has started."""
        run = self._runs[job_id] = Run(job_id, self._spool_of(job_id))
        self._runner.adopt(job_id, run.spool.path, lambda seen: self._ended(job_id, seen))

    def forget(self, job_ids: Collection[str]) -> None:
        """Leave the runs of jobs to the processes that have taken them over."""
        for run_id in [run_id for run_id, run in self._runs.items() if run.job_id in job_ids]:
            log.info("job %s is looked after by another process", run_id)
            del self._runs[run_id]

    def leave(self) -> None:
        """Leave all runs to whoever takes them over; those of searches, which nobody can, are killed."""
        for run_id, run in self._runs.items():
            if run.step is not None:
                self._runner.kill(run_id)
                self._searches.end_run(run.job_id, run.step)
        self._runs.clear()

    def kill_what_must_end(self, running: set[str], *, stop: bool) -> None:
        """Kill the runs of jobs that are not `running` any more; with `stop` all of them."""
        for run_id, run in self._runs.items():
            if run.killed is not None:
                continue
            if run.job_id not in running:
                run.killed = RunEnd(cancelled(run.job_id), "cancelled")
            elif stop:
                run.killed = RunEnd(interrupted(), "interrupted")
            if run.killed is not None:
                self._runner.kill(run_id)

    def tell_progress(self) -> None:
        """Tell other hosts how far the runs are, twice a second. Raises Unavailable."""
        if time.monotonic() >= self._tell_progress_at:
            self._tell_progress_at = time.monotonic() + _PROGRESS_INTERVAL_S
            for run in self._runs.values():
                run.spool.tell_progress()

    def end_jobs(self) -> None:
        """End the jobs of the runs that have ended. Raises Unavailable, and then is to be called again."""
        while self._ends:
            self._end(*self._ends[0])
            self._ends.popleft()

    @property
    def has_ends(self) -> bool:
        """Whether runs have ended of which `end_jobs` has not heard yet."""
        return bool(self._ends)

    def end_job(self, job_id: str, spool: Spool, how: Ending) -> None:
        """End a job by what its last run came to. Raises Unavailable."""
        made = self._finisher.end(job_id, spool, how, self._spool_of(job_id).progress())
        self._tell()  # those who wait need not wait for what is left to do
        if made is not None:
            self._finisher.tell(made)

    def _ended(self, run_id: str, seen: RunEnd) -> None:
        """Note a run's end, in a thread of the runner's."""
        self._ends.append((run_id, seen))
        self._wake()

    def _end(self, run_id: str, seen: RunEnd) -> None:
        run = self._runs.get(run_id)
        if run is None:
            return  # it was left to others
        ending = self._ending(run, seen) if run.killed is None else None
        how = run.killed or seen if ending is None else ending
        if run.step is None:
            self.end_job(run.job_id, run.spool, how)
            run.spool.remove()
        else:
            self._end_step(run, run.step, how)
        del self._runs[run_id]

    def _ending(self, run: Run, seen: RunEnd) -> Ending | None:
        return run.spool.ending(run.key if seen.key is None else seen.key)

    def _end_step(self, run: Run, step: Step, how: Ending) -> None:
        """End the run of a search. One that was killed has told nothing: its job has ended, or others go on with it."""
        if run.killed is None and step.is_last:
            self.end_job(run.job_id, run.spool, how)
        elif run.killed is None:
            self._searches.tell(run.job_id, step, how)
        self._searches.end_run(run.job_id, step)
