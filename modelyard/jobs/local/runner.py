"""The runner of this machine, and the owners of a folder: what jobs know of processes and locks."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelyard.jobs.local import launcher
from modelyard.jobs.local.forks import Assignment
from modelyard.jobs.local.launcher import Launcher
from modelyard.jobs.local.locks import OwnerLock, Slots, is_alive, remove_free_locks
from modelyard.jobs.runner import Limits, Place, RunEnd
from modelyard.storage.files import unavailable


class LocalRunner:
    """Runs of the function that `target` names (`module:function`), each in a process of its own.

    `folder` is the folder of jobs: its slots are shared with every process that runs jobs there. `preload` is imported
    (`module`) or called (`module:function()`) once for all runs. After a run, a process that has called `rehearsal`
    is kept ready for the next.
    """

    def __init__(
        self, folder: Path, limits: Limits, *, target: str, preload: Sequence[str], rehearsal: str | None = None
    ) -> None:
        self._folder = folder
        self._limits = limits
        self._slots = Slots(folder, limits.workers)
        self._target = target
        self._launcher = launcher.share(target, preload, rehearsal)

    def prepare(self) -> None:
        """Have the fork server import what runs need."""
        self._launcher.prepare(self._limits.niceness)

    def reserve(self) -> Place | None:
        """Take a slot of the folder; None if none is free. Raises Unavailable."""
        with unavailable(f"lock slots in {self._folder}"):
            slot = self._slots.take()
        return None if slot is None else _Place(self._launcher, self._limits, slot)

    def kill(self, job_id: str) -> None:
        """Kill a run and the processes it has started."""
        self._launcher.kill(job_id)

    def close(self) -> None:
        """End the fork server unless others of this process use it."""
        launcher.release(self._target)


@dataclass(slots=True)
class _Place:
    """A slot, held by its open file."""

    launcher: Launcher
    limits: Limits
    slot: int | None

    def start(self, job_id: str, spool: Path, ended: Callable[[RunEnd], None]) -> None:
        """Have a process forked for the run, which takes the slot over."""
        assert self.slot is not None
        slot, self.slot = self.slot, None
        limits = self.limits
        assignment = Assignment(job_id, str(spool.absolute()), limits.niceness, limits.timeout_s, limits.memory_bytes)
        self.launcher.start(assignment, slot, ended)

    def free(self) -> None:
        """Let go of the slot unless a run has it."""
        if self.slot is not None:
            os.close(self.slot)
            self.slot = None


class LocalOwners:
    """The processes that own jobs in a folder: each holds a lock that the system frees at its end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._claiming = threading.Lock()
        self._held: OwnerLock | None = None

    @property
    def mine(self) -> str | None:
        """The id of this process's lock; None before `claim`."""
        held = self._held
        return None if held is None else held.owner_id

    def claim(self) -> str:
        """Return the id of this process's lock, which is held from the first call on. Raises Unavailable."""
        with self._claiming:
            if self._held is None:
                self._held = OwnerLock(self._folder)
            return self._held.owner_id

    def release(self) -> None:
        """Let go of the lock."""
        if self._held is not None:
            self._held.release()
            self._held = None

    def is_alive(self, owner_id: str) -> bool:
        """Whether the process of an id holds its lock."""
        return is_alive(self._folder, owner_id)

    def forget_dead(self) -> None:
        """Remove the lock files of processes that are gone. Raises Unavailable."""
        with unavailable(f"read {self._folder}"):
            remove_free_locks(self._folder)
