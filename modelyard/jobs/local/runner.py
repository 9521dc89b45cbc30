"""The runner of this machine: a slot for each run, and a fork server for all."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelyard.jobs.local import exits, launcher
from modelyard.jobs.local.forks import Assignment
from modelyard.jobs.local.launcher import Launcher
from modelyard.jobs.local.locks import Slots
from modelyard.jobs.runner import Limits, Place, RunEnd


class LocalRunner:
    """Runs of the function that `target` names (`module:function`), each in a process of its own.

    Runs of a search, whose names are `SEARCH/RUN`, may have the same process one after the other.

    `folder` is the folder of jobs: its slots are shared with every process that runs jobs there. `preload` is imported
    (`module`) or called (`module:function()`) once for all runs. After a run, a process that has called `rehearsal`
    is kept ready for the next.
    """

    outlived = False

    def __init__(
        self, folder: Path, limits: Limits, *, target: str, preload: Sequence[str], rehearsal: str | None = None
    ) -> None:
        self._limits = limits
        self._slots = Slots(folder, limits.workers)
        self._target = target
        self._launcher = launcher.share(target, preload, rehearsal)
        self._untold: set[str] = set()
        self._is_closed = False

    def prepare(self) -> None:
        self._launcher.prepare(self._limits.niceness)

    def reserve(self) -> Place | None:
        """Take a slot, which a run frees before its end is told: what is to follow it is known only then."""
        slot = None if len(self._untold) >= self._limits.workers else self._slots.take()
        return None if slot is None else _Place(self._launcher, self._limits, self._untold, slot)

    def adopt(self, job_id: str, spool: Path, ended: Callable[[RunEnd], None]) -> None:
        """Find no run, because it has ended with the process that started it."""
        ended(exits.lost(-signal.SIGKILL))

    def sweep(self, job_id: str) -> None:
        """Do nothing: such runs have ended with their process."""

    def kill(self, job_id: str) -> None:
        self._launcher.kill(job_id)

    def close(self) -> None:
        """End the fork server unless others of this process use it."""
        if not self._is_closed:
            self._is_closed = True
            launcher.release(self._target)


@dataclass(slots=True)
class _Place:
    """A slot, held by its open file."""

    launcher: Launcher
    limits: Limits
    untold: set[str]
    slot: int | None

    def start(self, job_id: str, spool: Path, key: bytes, ended: Callable[[RunEnd], None]) -> None:
        """Fork a process for the run; it takes the slot over."""
        assert self.slot is not None
        slot, self.slot = self.slot, None
        limits = self.limits
        assignment = Assignment(
            job_id, str(spool.absolute()), key.hex(), limits.niceness, limits.timeout_s, limits.memory_bytes
        )
        self.untold.add(job_id)

        def tell(how: RunEnd) -> None:
            ended(how)
            self.untold.discard(job_id)

        self.launcher.start(assignment, slot, tell)

    def free(self) -> None:
        if self.slot is not None:
            os.close(self.slot)
            self.slot = None
