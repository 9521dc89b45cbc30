"""The owner's side of the fork server: start it when it is first needed, start and kill runs, hear of their ends.

One process has one fork server, however many yards it has open: its libraries take seconds to import.
"""

from __future__ import annotations

import atexit
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from modelyard.jobs.local import exits
from modelyard.jobs.local.forks import Assignment
from modelyard.jobs.runner import RunEnd
from modelyard.settings import environment_without_keys

log = logging.getLogger("modelyard.jobs")

_CODE = """
import os, select, signal, sys
os.nice(max(0, {niceness} - os.getpriority(os.PRIO_PROCESS, 0)))
owner = select.poll()
owner.register({file}, select.POLLHUP)
signal.signal(signal.SIGALRM, lambda *_: owner.poll(0) and os._exit(0))
signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
sys.path[:] = {path!r}
from modelyard.jobs.local.fork_server import main
main({file}, **{arguments!r})
"""
"""What the fork server's Python runs. Until it is ready, which takes seconds, an alarm has it look for its owner."""

_END_TIMEOUT_S = 10.0


@dataclass(slots=True)
class _Launch:
    """A run from its request to its end; `slot` is None as soon as its process has started."""

    assignment: Assignment
    slot: int | None
    ended: Callable[[RunEnd], None]
    server: _Server | None = None
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
        self._server: _Server | None = None
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
        try:
            launch.server = self._running()
            launch.server.send({"start": launch.assignment}, launch.slot)
        except OSError as error:
            self._end(launch, exits.never_began(f"the fork server cannot be reached: {error.strerror}"))

    def _running(self, niceness: int = 0) -> _Server:
        if self._server is None or self._server.is_gone():
            arguments = {"target": self._target, "preload": list(self._preload), "rehearsal": self._rehearsal}
            self._server = _Server(arguments, niceness, self._take, self._has_ended)
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

    def _has_ended(self, server: _Server, exit_code: int) -> None:
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


class _Server:
    """One fork server process, and the thread that hears what it says and that it has ended."""

    def __init__(
        self,
        arguments: Mapping[str, object],
        niceness: int,
        said: Callable[[dict[str, Any]], None],
        ended: Callable[[_Server, int], None],
    ) -> None:
        self._said = said
        self._ended = ended
        self._channel, theirs = socket.socketpair()
        with theirs:
            path = [str(Path(entry or ".").absolute()) for entry in sys.path]
            code = _CODE.format(file=theirs.fileno(), path=path, niceness=niceness, arguments=dict(arguments))
            self._process = _start_python(code, theirs.fileno())
        threading.Thread(target=self._hear, name="runs", daemon=True).start()

    def is_gone(self) -> bool:
        return self._process.poll() is not None

    def send(self, message: dict[str, object], *files: int) -> None:
        """Send a message, which is lost if the process is gone. Raises OSError if there is another reason."""
        with suppress(ConnectionError):
            socket.send_fds(self._channel, [orjson.dumps(message) + b"\n"], files)

    def close(self) -> None:
        self._process.kill()  # its runs end with it
        self._process.wait(_END_TIMEOUT_S)

    def forget(self) -> None:
        os.close(self._channel.detach())

    def _hear(self) -> None:
        with self._channel, self._channel.makefile("rb") as lines:
            with suppress(OSError):
                for line in lines:
                    self._said(orjson.loads(line))
            self._ended(self, self._process.wait())


def _start_python(code: str, file: int) -> subprocess.Popen[bytes]:
    """Start this Python on some code, with one more file open, out of the terminal's reach."""
    return subprocess.Popen(  # noqa: S603 - this very Python
        [sys.executable, "-P", "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[file],
        process_group=0,
        env=environment_without_keys(),
    )


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
