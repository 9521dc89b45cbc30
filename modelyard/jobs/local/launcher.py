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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

log = logging.getLogger("modelyard.jobs")

_CODE = """
import os, select, signal, sys
os.nice(max(0, {niceness} - os.getpriority(os.PRIO_PROCESS, 0)))
owner = select.poll()
owner.register({file}, select.POLLHUP)
signal.signal(signal.SIGALRM, lambda *_: owner.poll(0) and os._exit(0))
signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
sys.path[:] = {path!r}
from modelyard.jobs.fork_server import main
main({file}, {target!r}, {preload!r}, {rehearsal!r})
"""
"""What the fork server's Python runs. Until it is ready, which takes seconds, an alarm has it look for its owner."""

_END_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run's process ended: its wait status, or None and the `reason` where it never ran or nobody knows."""

    status: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RunEvents:
    """What is called, in a thread of the launcher's, when a run's process has started and when it has ended."""

    started: Callable[[int], None]
    ended: Callable[[RunEnd], None]


class Launcher:
    """A fork server for runs of the function that `target` names (`module:function`), with `preload` imported.

    Where `rehearsal` names a function there is a spare after each run, which has called it.
    """

    def __init__(self, target: str, preload: Sequence[str], rehearsal: str | None) -> None:
        self._target = target
        self._preload = tuple(preload)
        self._rehearsal = rehearsal
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._is_closed = False

    def prepare(self, niceness: int) -> None:
        """Have the fork server get ready, where there is none, with as much niceness, since no run waits for it."""
        with self._lock:
            if not self._is_closed:
                self._running(niceness)

    def start(self, job_id: str, folder: Path, slot: int, niceness: int, events: RunEvents) -> None:
        """Start a run, which holds the file `slot` open as long as it lives; the caller's copy is closed."""
        with self._lock:
            try:
                server = self._running()
            except OSError as error:
                os.close(slot)
                events.ended(RunEnd(None, f"the fork server cannot be started: {error.strerror}"))
                return
            server.start(job_id, folder, slot, niceness, events)

    def kill(self, job_id: str) -> None:
        """Kill a run. It may have ended already; its end is told in any case."""
        with self._lock:
            if self._server is not None:
                self._server.kill(job_id)

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

    def _running(self, niceness: int = 0) -> _Server:
        if self._server is None or self._server.is_gone():
            self._server = _Server(self._target, self._preload, self._rehearsal, niceness)
        return self._server


class _Server:
    """One fork server process, and the thread that hears what it says."""

    def __init__(self, target: str, preload: Sequence[str], rehearsal: str | None, niceness: int) -> None:
        self._runs: dict[str, RunEvents] = {}
        self._channel, theirs = socket.socketpair()
        with theirs:
            path = [str(Path(entry or ".").absolute()) for entry in sys.path]
            code = _CODE.format(
                file=theirs.fileno(),
                path=path,
                target=target,
                preload=list(preload),
                rehearsal=rehearsal,
                niceness=niceness,
            )
            self._process = _start_python(code, theirs.fileno())
        threading.Thread(target=self._hear, name="runs", daemon=True).start()

    def is_gone(self) -> bool:
        return self._process.poll() is not None

    def start(self, job_id: str, folder: Path, slot: int, niceness: int, events: RunEvents) -> None:
        self._runs[job_id] = events
        message = orjson.dumps({"start": job_id, "folder": str(folder.absolute()), "niceness": niceness}) + b"\n"
        try:
            socket.send_fds(self._channel, [message], [slot])
        except OSError as error:
            self._end_of(job_id, RunEnd(None, f"the fork server is gone: {error.strerror}"))
        finally:
            os.close(slot)

    def kill(self, job_id: str) -> None:
        try:
            self._channel.sendall(orjson.dumps({"kill": job_id}) + b"\n")
        except OSError:
            return  # it is gone, and its runs with it

    def close(self) -> None:
        self._process.kill()  # its runs end with it
        self._process.wait(_END_TIMEOUT_S)

    def forget(self) -> None:
        os.close(self._channel.detach())

    def _hear(self) -> None:
        with self._channel, self._channel.makefile("rb") as lines:
            try:
                for line in lines:
                    self._take(orjson.loads(line))
            except OSError:
                pass
            exit_code = self._process.wait()
        for job_id in list(self._runs):
            self._end_of(job_id, RunEnd(None, f"the fork server ended with {exit_code}"))

    def _take(self, message: dict[str, Any]) -> None:
        if "problem" in message:
            log.error("the fork server cannot start: %s", message["problem"])
        elif "spare" in message:
            log.warning("the process for the next run ended before its order: %s", message["spare"])
        elif "started" in message:
            if (events := self._runs.get(message["started"])) is not None:
                events.started(message["pid"])
        else:
            self._end_of(message["ended"], RunEnd(message["status"], message.get("reason", "")))

    def _end_of(self, job_id: str, end: RunEnd) -> None:
        events = self._runs.pop(job_id, None)
        if events is not None:
            events.ended(end)


def _start_python(code: str, file: int) -> subprocess.Popen[bytes]:
    """Start this Python on some code, with one more file open, out of the terminal's reach."""
    return subprocess.Popen(  # noqa: S603 - this very Python
        [sys.executable, "-P", "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[file],
        process_group=0,
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
