"""Whose turn it is: queued jobs get the places of the runner in the order in which they came, searches what is left."""

from __future__ import annotations

from collections.abc import Callable

from modelyard.jobs.lifecycle import Lifecycle
from modelyard.jobs.runner import Owners, Runner
from modelyard.jobs.spool import Spool
from modelyard.jobs.steps import Searches, Step
from modelyard.jobs.under_way import Run, RunsUnderWay
from modelyard.schemas import JobError
from modelyard.storage import JobEntry


class Turns:
    """Starts the runs of one process whose turn it is. Every use raises Unavailable."""

    def __init__(
        self,
        spool_of: Callable[[str], Spool],
        lifecycle: Lifecycle,
        runner: Runner,
        owners: Owners,
        *,
        runs: RunsUnderWay,
        searches: Searches,
    ) -> None:
        self._spool_of = spool_of
        self._lifecycle = lifecycle
        self._runner = runner
        self._owners = owners
        self._runs = runs
        self._searches = searches
        self.serves = False
        """Whether this process runs what others have left queued."""

    def start_runs(self, alive: list[JobEntry]) -> None:
        """Start what may start now, of the jobs that are queued or running."""
        queued = [entry for entry in alive if entry.status == "queued"]
        if self._start_trainings([entry for entry in queued if entry.kind == "train"]):
            self._go_on_with_searches([entry for entry in alive if entry.kind == "search"])

    def _start_trainings(self, queued: list[JobEntry]) -> bool:
        """Start those whose turn it is. Returns whether none has to wait, so that searches may have what is left."""
        for entry in queued:
            if self._is_anothers(entry):
                return False  # it is that one's turn
            if not self._may_take(entry):
                continue
            place = self._runner.reserve()
            if place is None:
                return False
            try:
                spool = self._spool_of(entry.job_id)
                spool.fetch()
                if self._lifecycle.begin(entry, self._owners.claim()) is not None:
                    self._runs.start(entry.job_id, Run(entry.job_id, spool), place)
            finally:
                place.free()
        return True

    def _go_on_with_searches(self, alive: list[JobEntry]) -> None:
        """Give the places that are left to searches, those that run first."""
        for entry in alive:  # one that was begun when the storage failed is not under way yet
            if entry.status == "running" and entry.owner == self._owners.mine:
                self._searches.take_up(entry.job_id)
        for job_id in self._searches.ids():
            self._start_steps(job_id)
        for entry in alive:
            place = self._runner.reserve() if entry.status == "queued" and self._may_take(entry) else None
            if place is None:
                continue
            try:
                self._spool_of(entry.job_id).fetch()
                begun = self._lifecycle.begin(entry, self._owners.claim())
            finally:
                place.free()
            if begun is not None:
                self._runner.sweep(entry.job_id)
                self._searches.take_up(entry.job_id)
                self._start_steps(entry.job_id)

    def _start_steps(self, job_id: str) -> None:
        while (place := self._runner.reserve()) is not None:
            try:
                if self._runs.has_ends:  # the next step depends on what they told
                    return
                step = self._searches.next_step(job_id)
                if isinstance(step, JobError):
                    self._runs.end_job(job_id, self._spool_of(job_id), step)
                if not isinstance(step, Step):
                    return
                self._runs.start(f"{job_id}/{step.name}", Run(job_id, Spool(step.folder), step), place)
            finally:
                place.free()

    def _is_anothers(self, entry: JobEntry) -> bool:
        """Whether a queued job is another process's, which is alive."""
        return entry.owner not in (None, self._owners.mine) and self._owners.is_alive(entry.owner or "")

    def _may_take(self, entry: JobEntry) -> bool:
        """Whether a queued job is this process's, or one that nobody looks after while this process serves."""
        return entry.owner == self._owners.mine or (self.serves and not self._is_anothers(entry))
