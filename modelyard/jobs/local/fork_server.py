"""The fork server: a process that holds the libraries that fits need, and forks itself for every run.

After a run it forks once more, ahead of the next order, where it is told how to rehearse (`spare`).

It is started with one end of a socket, over which its owner (`launcher`) says what to start and to kill, in lines of
JSON, and hears what became of it. It has one thread, so that its forks are sound, and it does nothing itself: what a
run does is in `run_process`.

It ends, and all its runs with it, when the owner's end of the socket is closed, however that came about.
"""

from __future__ import annotations

import gc
import importlib
import os
import selectors
import signal
import socket
import sys
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import orjson

from modelyard.jobs import run_process
from modelyard.jobs.spare import Order, Spare, Spares

_MESSAGE_BYTES = 1 << 16
_MOST_FILES = 64
IGNORED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""They are for the owner, who decides what becomes of its runs."""


def main(file: int, target: str, preload: Sequence[str], rehearsal: str | None) -> NoReturn:
    """Serve the owner at the other end of the socket `file` until it is gone. Runs call the function `target` names."""
    for number in IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    os.set_inheritable(file, False)
    channel = socket.socket(fileno=file)
    try:
        for name in preload:
            prepare = _named(name)
            if name.endswith("()"):
                prepare()
        server = _Server(channel, _named(target), None if rehearsal is None else _named(rehearsal))
    except BaseException:
        _send(channel, {"problem": traceback.format_exc()})
        raise
    _settle()
    server.serve()


def _settle() -> None:
    """End the alarm by which the launcher had this process look for its owner, and leave what is here as it is."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    gc.collect()
    gc.freeze()  # what is here now is shared with all runs; their collectors shall not touch it


def _named(name: str) -> Any:
    """Return the module, or with a colon the member of one, that a name means."""
    module, _, member = name.removesuffix("()").partition(":")
    found = importlib.import_module(module)
    return getattr(found, member) if member else found


@dataclass(slots=True)
class _Run:
    """A run's order, kept until its end is told, and its spare: one may die before it has taken the order."""

    order: Order
    spare: Spare | None = None
    is_killed: bool = False

    @property
    def job_id(self) -> str:
        job_id: str = self.order[0]["start"]
        return job_id

    @property
    def niceness(self) -> int:
        niceness: int = self.order[0]["niceness"]
        return niceness

    def close(self) -> None:
        """Let go of the slot and of the way to the spare."""
        os.close(self.order[1])
        if self.spare is not None:
            self.spare.close()


class _Server:
    """The loop of the process."""

    def __init__(
        self, channel: socket.socket, function: run_process.RunFunction, rehearse: Callable[[], None] | None
    ) -> None:
        self._channel = channel
        self._function = function
        self._spares = Spares(self._fork, rehearse)
        self._text = b""
        self._files: deque[int] = deque()
        self._runs: dict[int, _Run] = {}
        self._lifeline = os.pipe()  # it closes when this process ends, which runs take as their end
        self._children = os.pipe()
        self._done = os.pipe()  # a line for each run that has done its work and only has to let go of its memory
        self._told: set[int] = set()
        for end in (*self._children, self._done[0]):
            os.set_blocking(end, False)

    def serve(self) -> NoReturn:
        """Do what the owner says."""
        signal.set_wakeup_fd(self._children[1])
        signal.signal(signal.SIGCHLD, lambda *_: None)
        selector = selectors.DefaultSelector()
        selector.register(self._channel, selectors.EVENT_READ)
        selector.register(self._children[0], selectors.EVENT_READ)
        selector.register(self._done[0], selectors.EVENT_READ)
        while True:
            ready = selector.select(self._spares.patience_s())
            if not ready:
                self._spares.change()
            for key, _ in ready:
                if key.fileobj is self._channel:
                    self._listen()
                elif key.fileobj == self._done[0]:
                    self._tell_done()
                else:
                    os.read(self._children[0], _MESSAGE_BYTES)
            self._reap()

    def _listen(self) -> None:
        try:
            text, files, _, _ = socket.recv_fds(self._channel, _MESSAGE_BYTES, _MOST_FILES)
        except ConnectionError:
            text, files = b"", []
        if not text:
            self._end()
        self._files.extend(files)
        *lines, self._text = (self._text + text).split(b"\n")
        for line in lines:
            message = orjson.loads(line)
            if "start" in message:
                order = message, self._files.popleft()
                self._start(order, self._spares.take(order))
            else:
                self._kill(message["kill"])

    def _start(self, order: Order, spare: Spare | None = None) -> None:
        """Have an order carried out by the spare that it was handed over to, or by a new fork."""
        run = _Run(order, spare)
        try:
            pid = self._fork(run.niceness, lambda: order) if spare is None else spare.pid
        except OSError as error:
            run.close()
            _send(self._channel, {"ended": run.job_id, "status": None, "reason": f"cannot fork: {error.strerror}"})
            return
        self._runs[pid] = run
        _send(self._channel, {"started": run.job_id, "pid": pid})

    def _fork(self, niceness: int, order: Callable[[], Order]) -> int:
        """Return the process of a run, which carries out what `order` returns there. Raises OSError."""
        with warnings.catch_warnings():
            # Python warns of the threads of native libraries; those mend themselves after a fork.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            self._become_run(niceness, order)
        run_process.own_group(pid)
        return pid

    def _become_run(self, niceness: int, order: Callable[[], Order]) -> NoReturn:
        """Be the run, to its end. It keeps its slot, the lifeline and the way to say it is done, and no more files."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            run_process.own_group(0)
            run_process.be_nice(niceness)  # before it has threads, which would keep what they have
            run_process.be_first_to_be_killed()
            for file in (*self._children, self._done[0], self._lifeline[1], *self._files):
                os.close(file)
            for run in self._runs.values():
                run.close()
            self._channel.close()
            self._spares.close()
            run_process.end_with(self._lifeline[0])
            message, slot = order()
            os.set_inheritable(slot, False)
            run_process.carry_out(Path(message["folder"]), self._function)
            os.close(slot)
            os.write(self._done[1], b"%d\n" % os.getpid())
            os._exit(0)
        finally:
            os._exit(1)

    def _tell_done(self) -> None:
        """Tell the end of runs before their ends: it takes the system 10 ms to take back the memory of one."""
        try:
            pids = os.read(self._done[0], _MESSAGE_BYTES)
        except BlockingIOError:
            return
        for pid in map(int, pids.split()):
            self._told.add(pid)
            self._tell_end(self._runs.pop(pid), 0)

    def _tell_end(self, run: _Run, status: int) -> None:
        run.close()
        self._spares.run_has_ended(run.niceness)
        _send(self._channel, {"ended": run.job_id, "status": status})

    def _kill(self, job_id: str) -> None:
        for pid, run in self._runs.items():
            if run.job_id == job_id:
                run.is_killed = True
                run_process.kill_group(pid)

    def _reap(self) -> None:
        if (why := self._spares.found_dead()) is not None:
            _send(self._channel, {"spare": why})
        for pid in [*self._runs, *self._told]:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                run_process.kill_group(pid)  # what it may have started itself
                self._tell_done()  # it may have said so since the last look, and its line must find it here
                if pid in self._told:
                    self._told.remove(pid)
                else:
                    self._is_dead(self._runs.pop(pid), status)

    def _is_dead(self, run: _Run, status: int) -> None:
        """Tell the end of a run, or fork anew if its spare died of itself without having done anything of the order."""
        if run.spare is None or run.is_killed or run.spare.has_taken():
            self._tell_end(run, status)
            return
        _send(self._channel, {"spare": run.spare.why(status)})
        run.spare.close()
        self._start(run.order)

    def _end(self) -> NoReturn:
        for pid in (*self._runs, *self._told):
            run_process.kill_group(pid)
        self._spares.end()
        os._exit(0)


def _send(channel: socket.socket, message: dict[str, Any]) -> None:
    try:
        channel.sendall(orjson.dumps(message) + b"\n")
    except OSError:
        sys.exit(0)
