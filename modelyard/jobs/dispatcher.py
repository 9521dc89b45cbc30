"""The thread that carries a process's jobs through: starts them when it is their turn, watches them, ends them.

Nothing is held in memory that must survive: what there is to do is stored, and is looked at anew several times a
second while any job is alive. So jobs are shared with other processes of the yard, which can cancel them. Where and how
runs take place is the runner's affair.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from modelyard.errors import ModelyardError, Unavailable
from modelyard.jobs.finishing import Ending, Finisher, Gate, OnEnd
from modelyard.jobs.lifecycle import Lifecycle, cancelled, interrupted
from modelyard.jobs.runner import Limits, Owners, Place, RunEnd, Runner
from modelyard.jobs.spool import Spool
from modelyard.jobs.steps import Planner, Searches, Step
from modelyard.schemas import JobError
from modelyard.storage import JobEntry, Storage

log = logging.getLogger("modelyard.jobs")

_LOOK_INTERVAL_S = 0.05
_IDLE_INTERVAL_S = 1.0
_RETRY_INTERVAL_S = 1.0
_PROGRESS_INTERVAL_S = 0.5
_LEFTOVER_AFTER_S = 3600.0
"""A spool of no living job is left over after so long: its process was killed before it had ordered, or at the end."""


@dataclass(slots=True)
class _Run:
    """A run of this process, and the key of its ending; `killed` is what becomes of its job if it had to be killed.

    `step` is there if the job is a search, of which the run is one.
    """

    job_id: str
    spool: Spool
    step: Step | None = None
    key: bytes = field(default_factory=partial(secrets.token_bytes, 32), repr=False)
    killed: RunEnd | None = None


class Dispatcher:
    """Carries the jobs of one process through. Its thread begins with the first thing to do."""

    def __init__(
        self,
        storage: Storage,
        lifecycle: Lifecycle,
        runner: Runner,
        owners: Owners,
        limits: Limits,
        *,
        planner: Planner | None = None,
        on_end: OnEnd | None = None,
        gate: Gate | None = None,
    ) -> None:
        self._folder = storage.runs
        self._kept = storage.spools
        self._tell_progress_at = 0.0
        self._lifecycle = lifecycle
        self._runner = runner
        self._owners = owners
        self._limits = limits
        self._finisher = Finisher(storage.models, lifecycle, on_end, gate)
        self._searches = Searches(self._spool, lifecycle, planner)
        self._runs: dict[str, _Run] = {}
        self._ends: deque[tuple[str, RunEnd]] = deque()
        self._listeners: list[Callable[[], None]] = []
        self._followers: list[Callable[[], None]] = []
        self._any_alive = False
        self._seen_changes = -1
        self._serves = False
        self._stop_at: float | None = None
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def stops(self) -> bool:
        """Whether no run is started any more."""
        return self._stop_at is not None

    @property
    def is_over(self) -> bool:
        """Whether the grace period of the runs is over."""
        return self._stop_at is not None and time.monotonic() >= self._stop_at

    def serve(self) -> None:
        """From now on run what others have left queued, and look for it about every second."""
        if self.stops:
            return
        self._serves = True
        self._owners.claim()
        with suppress(OSError, Unavailable):
            self._owners.forget_dead()
            self._remove_leftovers()
        self.look_now()

    def look_now(self) -> None:
        """Make the thread look at once."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
                self._thread.start()
        self._wake.set()

    @contextmanager
    def listening(self, callback: Callable[[], None]) -> Iterator[None]:
        """Within the block, call back in the thread whenever anything has happened to any job."""
        with self._lock:
            self._listeners.append(callback)
        self.look_now()
        try:
            yield
        finally:
            with self._lock:
                self._listeners.remove(callback)

    def follow(self, callback: Callable[[], None]) -> None:
        """Call back from now on, as `listening` does. If no job is alive, others' changes are seen within a second."""
        with self._lock:
            self._followers.append(callback)
        self.look_now()

    def drain(self) -> None:
        """Start nothing more, and interrupt what still runs after the grace period. Safe in a signal handler."""
        if self._stop_at is None:
            self._stop_at = time.monotonic() + self._limits.grace_s

    def close(self) -> None:
        """Drain, wait for the end of all runs, and let others have what is queued."""
        self.drain()
        if self._thread is not None:
            self._wake.set()
            self._thread.join()
        self._owners.release()

    # The thread.

    def _work(self) -> None:
        released = False
        while True:
            self._wake.wait(self._pause())
            self._wake.clear()
            try:
                if self.stops and not released:
                    released = True
                    if self._owners.mine is not None:
                        self._lifecycle.release(self._owners.mine)
                self._look()
            except ModelyardError as error:
                log.warning("jobs cannot be looked after now: %s", error.detail)
                self._wake.wait(_RETRY_INTERVAL_S)
            except Exception:  # without this thread no job would ever end
                log.exception("jobs cannot be looked after now")
                self._wake.wait(_RETRY_INTERVAL_S)
            if self.stops and not self._runs:
                with suppress(ModelyardError):  # whoever finds them without an owner goes on with them
                    self._searches.release()
                self._tell()
                return

    def _pause(self) -> float | None:
        if self._runs or self._ends or self._any_alive or self._listeners or self.stops:
            return _LOOK_INTERVAL_S
        return _IDLE_INTERVAL_S

    def _look(self) -> None:
        while self._ends:
            self._end(*self._ends[0])
            self._ends.popleft()
        alive = self._lifecycle.alive()
        running = {entry.job_id for entry in alive if entry.status == "running"}
        self._kill_what_must_end(running)
        for job_id in self._searches.ids():
            if job_id not in running:
                self._searches.forget(job_id)
        for entry in alive:
            if entry.status == "running" and entry.job_id not in self._runs:
                self.interrupt_orphan(entry)
        queued = [entry for entry in alive if entry.status == "queued"]
        if not self.stops and self._start_trainings([entry for entry in queued if entry.kind == "train"]):
            self._go_on_with_searches([entry for entry in alive if entry.kind == "search"])
        self._tell_progress()
        self._any_alive = bool(alive)
        changes = self._lifecycle.changes
        if changes != self._seen_changes:
            self._seen_changes = changes
            self._tell()

    def _tell_progress(self) -> None:
        """Tell other hosts how far the runs are, twice a second."""
        if time.monotonic() >= self._tell_progress_at:
            self._tell_progress_at = time.monotonic() + _PROGRESS_INTERVAL_S
            for run in self._runs.values():
                run.spool.tell_progress()

    def _spool(self, job_id: str) -> Spool:
        return Spool(self._folder / job_id, self._kept)

    def _tell(self) -> None:
        with self._lock:
            listeners = [*self._listeners, *self._followers]
        for callback in listeners:
            callback()

    def _remove_leftovers(self) -> None:
        alive = {entry.job_id for entry in self._lifecycle.alive()}
        for path in self._folder.iterdir():
            if path.is_dir() and path.name not in alive and path.stat().st_mtime < time.time() - _LEFTOVER_AFTER_S:
                Spool(path).remove()

    # Starting.

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
                spool = self._spool(entry.job_id)
                spool.fetch()
                if self._lifecycle.begin(entry, self._owners.claim()) is not None:
                    self._start(entry.job_id, _Run(entry.job_id, spool), place)
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
                self._spool(entry.job_id).fetch()
                begun = self._lifecycle.begin(entry, self._owners.claim())
            finally:
                place.free()
            if begun is not None:
                self._searches.take_up(entry.job_id)
                self._start_steps(entry.job_id)

    def _start_steps(self, job_id: str) -> None:
        while (place := self._runner.reserve()) is not None:
            try:
                step = self._searches.next_step(job_id)
                if isinstance(step, JobError):
                    self._end_job(job_id, self._spool(job_id), step)
                if not isinstance(step, Step):
                    return
                self._start(f"{job_id}/{step.name}", _Run(job_id, Spool(step.folder), step), place)
            finally:
                place.free()

    def _is_anothers(self, entry: JobEntry) -> bool:
        """Whether a queued job is another process's, which is alive."""
        return entry.owner not in (None, self._owners.mine) and self._owners.is_alive(entry.owner or "")

    def _may_take(self, entry: JobEntry) -> bool:
        """Whether a queued job is this process's, or one that nobody looks after while this process serves."""
        return entry.owner == self._owners.mine or (self._serves and not self._is_anothers(entry))

    def _start(self, run_id: str, run: _Run, place: Place) -> None:
        self._runs[run_id] = run
        place.start(run_id, run.spool.path, run.key, lambda seen: self._ended(run_id, seen))
        log.info("job %s begins", run_id)

    def _ended(self, run_id: str, seen: RunEnd) -> None:
        """Note a run's end, in a thread of the runner's."""
        self._ends.append((run_id, seen))
        self._wake.set()

    # Watching.

    def _kill_what_must_end(self, running: set[str]) -> None:
        for run_id, run in self._runs.items():
            if run.killed is not None:
                continue
            if run.job_id not in running:
                run.killed = RunEnd(cancelled(run.job_id), "cancelled")
            elif self.is_over:
                run.killed = RunEnd(interrupted(), "interrupted")
            if run.killed is not None:
                self._runner.kill(run_id)

    def interrupt_orphan(self, entry: JobEntry) -> bool:
        """End a running job if its owner is gone, or let others go on with a search. Returns whether it is gone."""
        if entry.owner is not None and self._owners.is_alive(entry.owner):
            return False
        self._finisher.interrupt(entry, self._spool(entry.job_id))
        return True

    # Ending.

    def _end(self, run_id: str, seen: RunEnd) -> None:
        run = self._runs[run_id]
        ending = run.spool.ending(run.key) if run.killed is None else None
        how = run.killed or seen if ending is None else ending
        if run.step is None:
            self._end_job(run.job_id, run.spool, how)
            run.spool.remove()
        else:
            self._end_step(run, run.step, how)
        del self._runs[run_id]

    def _end_job(self, job_id: str, spool: Spool, how: Ending) -> None:
        made = self._finisher.end(job_id, spool, how, Spool(self._folder / job_id).progress())
        self._tell()  # those who wait need not wait for what is left to do
        if made is not None:
            self._finisher.tell(made)

    def _end_step(self, run: _Run, step: Step, how: Ending) -> None:
        """End the run of a search. One that was killed has told nothing: its job has ended, or others go on with it."""
        if run.killed is None and step.is_last:
            self._end_job(run.job_id, run.spool, how)
        elif run.killed is None:
            self._searches.tell(run.job_id, step, how)
        self._searches.end_run(run.job_id, step)
