"""The thread that carries a process's jobs through: starts them when it is their turn, watches them, ends them.

Nothing is held in memory that must survive: what there is to do is stored, and is looked at anew several
times a second while any job is alive. So jobs are shared with, and can be cancelled by, other processes of the folder.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from modelyard.errors import ModelyardError
from modelyard.jobs import endings, locks
from modelyard.jobs.finishing import Finisher, OnEnd
from modelyard.jobs.launcher import Launcher, RunEnd, RunEvents
from modelyard.jobs.lifecycle import Lifecycle
from modelyard.jobs.spool import Finished, Spool
from modelyard.schemas import JobStatus
from modelyard.storage import JobEntry, Storage

log = logging.getLogger("modelyard.jobs")

_LOOK_INTERVAL_S = 0.05
_IDLE_INTERVAL_S = 1.0
_RETRY_INTERVAL_S = 1.0
_LEFTOVER_AFTER_S = 3600.0
"""A run's folder that no living job names is somebody's who was killed before he had ordered, or after all was done."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the runs of a process may take: `workers` at a time in the folder; seconds and bytes each, 0 for any.

    `niceness` is what they are run with; `grace_s` is how long they may go on when the process is told to stop.
    """

    workers: int = 1
    queue: int = 100
    timeout_s: float = 0.0
    memory_bytes: int = 0
    niceness: int = 10
    grace_s: float = 10.0


@dataclass(slots=True)
class _Run:
    """A run of this process; `reason` is why it was killed, if it was, and `status` what becomes of its job then."""

    spool: Spool
    began: float = field(default_factory=time.monotonic)
    pid: int | None = None
    reason: ModelyardError | None = None
    status: JobStatus = "failed"


class Dispatcher:
    """The runs of one process in one folder. Its thread begins with the first thing to do."""

    def __init__(
        self,
        storage: Storage,
        lifecycle: Lifecycle,
        launcher: Launcher,
        limits: Limits,
        *,
        on_end: OnEnd | None = None,
    ) -> None:
        self._folder = storage.runs
        self._lifecycle = lifecycle
        self._launcher = launcher
        self._limits = limits
        self._finisher = Finisher(storage.models, lifecycle, on_end)
        self._slots = locks.Slots(self._folder, limits.workers)
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
        self._owner: locks.OwnerLock | None = None

    @property
    def stops(self) -> bool:
        """Whether no run is started any more."""
        return self._stop_at is not None

    def owner_id(self) -> str:
        """Return the id of this process's lock, which is held from the first call on."""
        with self._lock:
            if self._owner is None:
                self._owner = locks.OwnerLock(self._folder)
            return self._owner.owner_id

    def serve(self) -> None:
        """From now on run what others have left queued, and look for it about every second."""
        if self.stops:
            return
        self._serves = True
        self.owner_id()
        with suppress(OSError):
            locks.remove_free_locks(self._folder)
            self._remove_leftovers()
        self.look_now()

    def look_now(self) -> None:
        """Have the thread look at once."""
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
        """From now on call back as `listening` does; what others do while no job is alive is seen within a second."""
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
        if self._owner is not None:
            self._owner.release()
            self._owner = None

    # The thread.

    def _work(self) -> None:
        released = False
        while True:
            self._wake.wait(self._pause())
            self._wake.clear()
            try:
                if self.stops and not released:
                    released = True
                    self._release_queued()
                self._look()
            except ModelyardError as error:
                log.warning("jobs cannot be looked after now: %s", error.detail)
                self._wake.wait(_RETRY_INTERVAL_S)
            except Exception:  # without this thread no job would ever end
                log.exception("jobs cannot be looked after now")
                self._wake.wait(_RETRY_INTERVAL_S)
            if self.stops and not self._runs:
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
        self._kill_what_must_end({entry.job_id for entry in alive if entry.status == "running"})
        for entry in alive:
            if entry.status == "running" and entry.job_id not in self._runs:
                self.interrupt_orphan(entry)
        queued = [entry for entry in alive if entry.status == "queued"]
        if not self.stops:
            self._start_those_whose_turn_it_is(queued)
        self._any_alive = bool(alive)
        changes = self._lifecycle.changes
        if changes != self._seen_changes:
            self._seen_changes = changes
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            listeners = [*self._listeners, *self._followers]
        for callback in listeners:
            callback()

    def _release_queued(self) -> None:
        if self._owner is not None:
            self._lifecycle.release(self._owner.owner_id)

    def _remove_leftovers(self) -> None:
        alive = {entry.job_id for entry in self._lifecycle.alive()}
        for path in self._folder.iterdir():
            if path.is_dir() and path.name not in alive and path.stat().st_mtime < time.time() - _LEFTOVER_AFTER_S:
                Spool(path).remove()

    # Starting.

    def _start_those_whose_turn_it_is(self, queued: list[JobEntry]) -> None:
        me = self._owner.owner_id if self._owner is not None else None
        for entry in queued:
            if entry.owner != me:
                if entry.owner is not None and locks.is_alive(self._folder, entry.owner):
                    return  # it is that one's turn
                if not self._serves:
                    continue
            slot = self._slots.take()
            if slot is None:
                return
            self._start(entry, slot)

    def _start(self, entry: JobEntry, slot: int) -> None:
        spool = Spool(self._folder / entry.job_id)
        try:
            begun = self._lifecycle.begin(entry, self.owner_id())
        except BaseException:
            os.close(slot)
            raise
        if begun is None:
            os.close(slot)
            return
        run = self._runs[entry.job_id] = _Run(spool)
        events = RunEvents(lambda pid: self._started(run, pid), lambda end: self._ended(entry.job_id, end))
        self._launcher.start(entry.job_id, spool.path, slot, self._limits.niceness, events)
        log.info("job %s begins", entry.job_id)

    # Called in the launcher's thread.

    def _started(self, run: _Run, pid: int) -> None:
        run.pid, run.began = pid, time.monotonic()

    def _ended(self, job_id: str, end: RunEnd) -> None:
        self._ends.append((job_id, end))
        self._wake.set()

    # Watching.

    def _kill_what_must_end(self, running: set[str]) -> None:
        for job_id, run in self._runs.items():
            if run.reason is not None:
                continue
            if job_id not in running:
                run.reason = endings.cancelled(job_id)
            else:
                run.reason = self._over_a_limit(run)
                if self._stop_at is not None and time.monotonic() >= self._stop_at:
                    run.reason, run.status = endings.interrupted(), "interrupted"
            if run.reason is not None:
                self._launcher.kill(job_id)

    def _over_a_limit(self, run: _Run) -> ModelyardError | None:
        limits = self._limits
        if limits.timeout_s and time.monotonic() - run.began > limits.timeout_s:
            return endings.too_long(limits.timeout_s)
        if limits.memory_bytes and run.pid is not None and endings.resident_bytes(run.pid) > limits.memory_bytes:
            return endings.too_large(limits.memory_bytes)
        return None

    def interrupt_orphan(self, entry: JobEntry) -> None:
        """End a running job whose owner is gone."""
        if entry.owner is not None and locks.is_alive(self._folder, entry.owner):
            return
        self._finisher.interrupt(entry, Spool(self._folder / entry.job_id))

    # Ending.

    def _end(self, job_id: str, end: RunEnd) -> None:
        run = self._runs[job_id]
        outcome = run.spool.outcome() if run.reason is None else None
        if isinstance(outcome, Finished):
            made = self._finisher.publish(job_id, run.spool, outcome)
        else:
            error = run.reason or outcome or endings.crashed(end)
            made = self._finisher.end_without_model(job_id, run.spool, run.status, error)
        self._tell()  # those who wait need not wait for what is left to do
        if made is not None:
            self._finisher.tell(made)
        run.spool.remove()
        del self._runs[job_id]
