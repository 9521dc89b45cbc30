"""The thread that carries a process's jobs through: starts them when it is their turn, watches them, ends them.

Nothing is held in memory that must survive: what there is to do is stored, and is looked at anew several times a
second while any job is alive. So jobs are shared with other processes of the yard, which can cancel them. Where and how
runs take place is the runner's affair.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from modelyard.errors import ModelyardError, Unavailable
from modelyard.jobs.finishing import Finisher, Gate, OnEnd
from modelyard.jobs.lifecycle import Lifecycle
from modelyard.jobs.runner import Limits, Owners, Runner
from modelyard.jobs.spool import Spool
from modelyard.jobs.steps import Planner, Searches
from modelyard.jobs.turns import Turns
from modelyard.jobs.under_way import RunsUnderWay
from modelyard.storage import JobEntry, Storage

log = logging.getLogger("modelyard.jobs")

_LOOK_INTERVAL_S = 0.05
_IDLE_INTERVAL_S = 1.0
_RETRY_INTERVAL_S = 1.0
_LEFTOVER_AFTER_S = 3600.0
"""A spool of no living job is left over after so long: its process was killed before it had ordered, or at the end."""


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
        self._lifecycle = lifecycle
        self._runner = runner
        self._owners = owners
        self._limits = limits
        self._finisher = Finisher(storage.models, lifecycle, owners, on_end, gate)
        self._searches = Searches(self._spool, lifecycle, planner)
        self._wake = threading.Event()
        self._runs = RunsUnderWay(
            self._spool, runner, self._finisher, self._searches, wake=self._wake.set, tell=self._tell
        )
        self._turns = Turns(self._spool, lifecycle, runner, owners, runs=self._runs, searches=self._searches)
        self._listeners: list[Callable[[], None]] = []
        self._followers: list[Callable[[], None]] = []
        self.has_left = False
        """Whether what ran is left to other servers."""
        self._any_alive = False
        self._seen_changes = -1
        self._stop_at: float | None = None
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
        self._turns.serves = True
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
        """Start nothing more; what still runs after the grace period is interrupted, or left to others if it can be.

        Safe in a signal handler.
        """
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
        if self._runs or self._runs.has_ends or self._any_alive or self._listeners or self.stops:
            return _LOOK_INTERVAL_S
        return _IDLE_INTERVAL_S

    def _look(self) -> None:
        self._runs.end_jobs()
        alive = self._lifecycle.alive()
        running = {entry.job_id: entry for entry in alive if entry.status == "running"}
        self._end_runs(running)
        for job_id in self._searches.ids():
            if job_id not in running:
                self._searches.forget(job_id)
        for entry in running.values():
            if entry.job_id not in self._runs and not self._take_over(entry):
                self.interrupt_orphan(entry)
        if not self.stops:
            self._turns.start_runs(alive)
        self._runs.tell_progress()
        self._any_alive = bool(alive)
        changes = self._lifecycle.changes
        if changes != self._seen_changes:
            self._seen_changes = changes
            self._tell()

    def _end_runs(self, running: Mapping[str, JobEntry]) -> None:
        """Kill, or leave to others, the runs that this process is to look after no longer."""
        trainings = [entry for entry in running.values() if entry.kind == "train"]
        self._runs.forget({entry.job_id for entry in trainings if entry.owner != self._owners.mine})
        if self.is_over and self._runner.outlived and self._turns.serves:
            self._runs.leave()
            self.has_left = True
        self._runs.kill_what_must_end(set(running), stop=self.is_over)

    def _take_over(self, entry: JobEntry) -> bool:
        """Go on with a training whose owner is gone, if this server can. Returns whether some server can."""
        if not self._runner.outlived or entry.kind != "train":
            return False
        if self.stops or not self._turns.serves or self._owners.is_alive(entry.owner or ""):
            return True
        self._spool(entry.job_id).fetch()
        if self._lifecycle.take_over(entry, self._owners.claim()):
            log.info("job %s goes on with this process: its own is gone", entry.job_id)
            self._runs.take_over(entry.job_id)
        return True

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

    def interrupt_orphan(self, entry: JobEntry) -> bool:
        """End a running job if its owner is gone, or let others go on with it. Returns whether it has ended."""
        if self._runner.outlived and entry.kind == "train":
            return False
        if entry.owner is not None and self._owners.is_alive(entry.owner):
            return False
        self._finisher.interrupt(entry, self._spool(entry.job_id))
        return True
