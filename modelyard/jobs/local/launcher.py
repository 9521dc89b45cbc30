"""The owner's side of the fork server: start it when it is first needed, start and kill runs, hear of their ends.

One process has one fork server, however many yards it has open: its libraries take seconds to import.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.jobs.local import exits
from modelyard.jobs.local.forks import Assignment
from modelyard.jobs.local.line_process import LineProcess
from modelyard.jobs.runner import RunEnd

log = logging.getLogger("modelyard.jobs")

_CODE = """
os.nice(max(0, {niceness} - os.getpriority(os.PRIO_PROCESS, 0)))
from modelyard.jobs.local.fork_server import main
main(channel, **{arguments!r})
"""


@dataclass(slots=True)
class _Launch:
    """A run from its request to its end; `slot` is None as soon as its process has started."""

    assignment: Assignment
    slot: int | None
    ended: Callable[[RunEnd], None]
    server: LineProcess | None = None
    is_killed: bool = False
    may_repeat: bool = True

    def has_started(self) -> None:
        """Let go of the slot, which the run's process holds by now."""
        if self.slot is not None:
            os.close(self.slot)
            self.slot = None


class Launcher:
    """A fork server for runs of the function that `target` names (`module:function`), with `preload` imported.

    If `rehearsal` names a function, there is a spare after each run, which has called it.
    """

    def __init__(self, target: str, preload: Sequence[str], rehearsal: str | None) -> None:
        self._target = target
        self._preload = tuple(preload)
        self._rehearsal = rehearsal
        self._lock = threading.Lock()
        self._server: LineProcess | None = None
        self._launches: dict[str, _Launch] = {}
        self._is_closed = False

    def prepare(self, niceness: int) -> None:
        """Start the fork server if there is none, with this niceness because no run waits for it."""
        with self._lock:
            if not self._is_closed:
                self._running(niceness)

    def start(self, assignment: Assignment, slot: int, ended: Callable[[RunEnd], None]) -> None:
        """Start a run, which holds the file `slot` open as long as it lives; the caller has no part in it any more.

        `ended` is called once, in any thread. It must not call this launcher.
        """
        with self._lock:
            launch = self._launches[assignment.job_id] = _Launch(assignment, slot, ended)
            self._launch(launch)

    def kill(self, job_id: str) -> None:
        """Kill a run. It may have ended already; its end is told in any case."""
        with self._lock:
            launch = self._launches.get(job_id)
            if launch is not None and launch.server is not None:
                launch.is_killed = True
                launch.server.send({"kill": job_id})

    def close(self) -> None:
        """End the fork server, and all its runs."""
        with self._lock:
            self._is_closed = True
            server, self._server = self._server, None
        if server is not None:
            server.close()

    def forget(self) -> None:
        """Let go of the fork server without ending it: this process is a copy of the one that it belongs to."""
        self._lock = threading.Lock()
        if self._server is not None:
            self._server.forget()
            self._server = None

    def _launch(self, launch: _Launch) -> None:
        """Hand a run over to the fork server. If that is gone by then, `_has_ended` finds the launch."""
        assert launch.slot is not None
        if self._is_closed:  # a fork server started now would be ended by nobody
            self._end(launch, exits.never_began("the fork server has been closed"))
            return
        try:
            launch.server = self._running()
            launch.server.send({"start": launch.assignment}, launch.slot)
        except OSError as error:
            self._end(launch, exits.never_began(f"the fork server cannot be reached: {error.strerror}"))

    def _running(self, niceness: int = 0) -> LineProcess:
        if self._server is None or self._server.is_gone():
            arguments = {"target": self._target, "preload": list(self._preload), "rehearsal": self._rehearsal}
            code = _CODE.format(niceness=niceness, arguments=arguments)
            self._server = LineProcess(code, self._take, self._has_ended)
        return self._server

    def _end(self, launch: _Launch, how: RunEnd) -> None:
        del self._launches[launch.assignment.job_id]
        launch.has_started()
        launch.ended(how)

    # Called in the threads of fork servers.

    def _take(self, message: dict[str, Any]) -> None:
        """Note what a fork server says."""
        if "problem" in message:
            log.error("the fork server cannot start: %s", message["problem"])
            for launch in list(self._launches.values()):
                launch.may_repeat = False  # the next one could not either
        elif "spare" in message:
            log.warning("the process for the next run ended before its order: %s", message["spare"])
        elif "started" in message:
            log.debug("job %s runs in process %d", message["started"], message["pid"])
            self._launches[message["started"]].has_started()
        else:
            launch = self._launches[message["ended"]]
            self._end(launch, exits.run_end(message, launch.assignment))

    def _has_ended(self, server: LineProcess, exit_code: int) -> None:
        """Tell of the runs that a fork server took along. Those it had not started are given once to another one."""
        with self._lock:
            for launch in [launch for launch in self._launches.values() if launch.server is server]:
                if launch.slot is None or launch.is_killed or self._is_closed:
                    self._end(launch, exits.lost(exit_code))
                elif launch.may_repeat:
                    launch.may_repeat = False
                    self._launch(launch)
                else:
                    self._end(launch, exits.never_began(f"the fork server ended with {exit_code}"))


_shared: dict[str, tuple[Launcher, int]] = {}
_shared_lock = threading.Lock()


def share(target: str, preload: Sequence[str], rehearsal: str | None = None) -> Launcher:
    """Return this process's launcher for a function; each `share` is answered by a `release`."""
    with _shared_lock:
        launcher, users = _shared.get(target) or (Launcher(target, preload, rehearsal), 0)
        _shared[target] = (launcher, users + 1)
        return launcher


def release(target: str) -> None:
    """Give a launcher back; the last one ends it."""
    with _shared_lock:
        launcher, users = _shared[target]
        if users > 1:
            _shared[target] = (launcher, users - 1)
            return
        del _shared[target]
    launcher.close()


@atexit.register
def _close_all() -> None:
    for launcher, _ in list(_shared.values()):
        launcher.close()


def _forget_all() -> None:
    for launcher, _ in _shared.values():
        launcher.forget()


os.register_at_fork(after_in_child=_forget_all)
