"""The fork server: a process that holds the libraries that fits need, and forks itself for every run.

If it is told how to rehearse, it forks a spare after a run, for the next one (`forks`).

It is started with one end of a socket. Over this its owner (`launcher`) says in lines of JSON what to start and to
kill, and hears of starts and ends. It has one thread, so that its forks are sound, and does nothing itself: what a
run does is in `run_process`. It kills runs that are over their limits.

It ends, and all its runs with it, when the owner's end of the socket is closed, for whatever reason.
"""

from __future__ import annotations

import gc
import importlib
import os
import selectors
import signal
import socket
import sys
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from typing import Any, NoReturn

import orjson

from modelyard.jobs.local import run_process
from modelyard.jobs.local.forks import DONE, READY, Assignment, Fork

SPARE_AFTER_S = 0.02
"""A spare is made so long after a run's end: first its model is stored, and those who wait for it are told."""

MOST_IDLE_S = 600.0
"""A spare that has been of no use for so long is ended, because its memory is needed elsewhere."""

_LIMITS_INTERVAL_S = 0.05
_MESSAGE_BYTES = 1 << 16
_MOST_FILES = 64
IGNORED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that the owner alone obeys: it decides what becomes of its runs."""


def main(file: int, target: str, preload: Sequence[str], rehearsal: str | None) -> NoReturn:
    """Serve the owner at the other end of the socket `file` until it is gone. See `LocalRunner` for the names."""
    for number in IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    os.set_inheritable(file, False)
    channel = socket.socket(fileno=file)
    gc.disable()  # imports make 200,000 objects, nearly all of which stay; with it they take a tenth longer
    try:
        for name in preload:
            prepare = _named(name)
            if name.endswith("()"):
                prepare()
        server = _Server(channel, _named(target), None if rehearsal is None else _named(rehearsal))
    except BaseException:
        signal.setitimer(signal.ITIMER_REAL, 0)  # it would end this process before its own end does
        _send(channel, {"problem": traceback.format_exc()})
        raise
    _settle()
    server.serve()


def _settle() -> None:
    """Stop the alarm that looks for the owner, and begin to collect garbage, but none of the objects so far."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    gc.collect()
    gc.freeze()  # it is shared with all runs until their collectors touch it
    gc.enable()


def _named(name: str) -> Any:
    """Return the module of a name, or the member that follows its colon."""
    module, _, member = name.removesuffix("()").partition(":")
    found = importlib.import_module(module)
    return getattr(found, member) if member else found


class _Server:
    """The loop of the process."""

    def __init__(
        self, owner: socket.socket, function: run_process.RunFunction, rehearse: Callable[[], None] | None
    ) -> None:
        self._owner = owner
        self._function = function
        self._rehearse = rehearse
        self._text = b""
        self._slots: deque[int] = deque()  # of assignments whose lines are yet to be read
        self._forks: dict[int, Fork] = {}
        self._spare: Fork | None = None
        self._spare_due = inf  # when to make a spare, or to end the one there is
        self._spare_niceness = 0
        self._children = os.pipe()
        self._selector = selectors.DefaultSelector()

    def serve(self) -> NoReturn:
        """Do what the owner says."""
        for end in self._children:
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._children[1])
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(self._owner, selectors.EVENT_READ, self._listen)
        self._selector.register(
            self._children[0], selectors.EVENT_READ, lambda: os.read(self._children[0], _MESSAGE_BYTES)
        )
        while True:
            for key, _ in self._selector.select(self._patience_s()):
                key.data()
            self._reap()
            for fork in self._forks.values():
                if limit := fork.over_limit():
                    fork.kill(limit)
            self._keep_spare()

    def _patience_s(self) -> float | None:
        """Return how long to wait for the next event, in seconds; None without limit."""
        patience = self._spare_due - time.monotonic()
        if any(fork.is_limited for fork in self._forks.values()):
            patience = min(patience, _LIMITS_INTERVAL_S)
        return None if patience == inf else max(patience, 0.0)

    def _listen(self) -> None:
        try:
            text, slots, _, _ = socket.recv_fds(self._owner, _MESSAGE_BYTES, _MOST_FILES)
        except ConnectionError:
            text, slots = b"", []
        if not text:
            self._end()
        self._slots.extend(slots)
        *lines, self._text = (self._text + text).split(b"\n")
        for line in lines:
            message = orjson.loads(line)
            if "start" in message:
                self._start(Assignment(**message["start"]), self._slots.popleft())
            else:
                for fork in self._forks.values():
                    if fork.assignment is not None and fork.assignment.job_id == message["kill"]:
                        fork.kill()

    # Starting.

    def _start(self, assignment: Assignment, slot: int) -> None:
        """Hand a run to a process that waits for it, or to the spare if that will do, else to a new fork.

        The spare has to be ready, and to have the run's niceness.
        """
        for fork in self._forks.values():
            if fork.waits_for(assignment):
                self._give(fork, assignment, slot)
                return
        spare = self._spare
        if spare is None or spare.niceness != assignment.niceness or not self._hear(spare, READY):
            self._start_anew(assignment, slot)
            return
        self._spare, self._spare_due = None, inf
        self._give(spare, assignment, slot)

    def _start_anew(self, assignment: Assignment, slot: int) -> None:
        try:
            fork = self._fork(Fork(assignment.niceness, slot=slot))
        except OSError as error:
            os.close(slot)
            _send(self._owner, {"ended": assignment.job_id, "reason": f"cannot fork: {error.strerror}"})
            return
        self._give(fork, assignment, slot)

    def _give(self, fork: Fork, assignment: Assignment, slot: int) -> None:
        """Tell the start of a run, then give it away: if this process dies in between, no run is begun twice."""
        _send(self._owner, {"started": assignment.job_id, "pid": fork.pid})
        fork.give(assignment, slot)

    def _fork(self, fork: Fork) -> Fork:
        """Fork a process that waits for its assignment. Raises OSError."""
        with warnings.catch_warnings():
            # Python warns of the threads of native libraries; those mend themselves after a fork.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            self._become(fork)
        fork.is_forked(pid)
        run_process.own_group(pid)
        self._forks[pid] = fork
        self._selector.register(fork.channel, selectors.EVENT_READ, lambda: self._hear(fork))
        return fork

    def _become(self, fork: Fork) -> NoReturn:
        """Be the forked process, to its end. Of the fork server's files it keeps its own channel alone."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            run_process.own_group(0)
            run_process.be_nice(fork.niceness)  # before it has threads, which would keep what they have
            run_process.be_first_to_be_killed()
            run_process.be_killed_with_parent()
            self._selector.close()
            self._owner.close()
            for file in (*self._children, *self._slots):
                os.close(file)
            for other in self._forks.values():
                other.close()
            fork.carry_out(self._function)
            os._exit(0)
        finally:
            os._exit(1)

    def _keep_spare(self) -> None:
        """If it is time, make a spare or end the one there is. If none can be made, runs do without."""
        if time.monotonic() < self._spare_due:
            return
        self._spare_due = inf
        if self._spare is not None:
            self._spare.kill()
            self._spare = None
            return
        with suppress(OSError):
            self._spare = self._fork(Fork(self._spare_niceness, self._rehearse))
            self._spare_due = time.monotonic() + MOST_IDLE_S

    # Ending.

    def _hear(self, fork: Fork, words: bytes = READY) -> bool:
        """Hear what a process says, and tell its run's end if it is done. Returns whether it has said `words`.

        The end is told before the process is dead: it takes the system 10 ms to take back its memory.
        """
        if not fork.hear():
            self._forget_channel(fork)
        if fork.has_said(DONE):
            self._tell_end(fork, 0)
        return fork.has_said(words)

    def _tell_end(self, fork: Fork, status: int) -> None:
        """Tell the end of a fork's run, once."""
        if fork.assignment is None:
            return
        job_id = fork.assignment.job_id
        fork.end_run()
        if self._spare is None and self._rehearse is not None:
            self._spare_niceness, self._spare_due = fork.niceness, time.monotonic() + SPARE_AFTER_S
        _send(self._owner, {"ended": job_id, "status": status, "limit": fork.broken_limit})

    def _reap(self) -> None:
        for pid, fork in list(self._forks.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if not done:
                continue
            run_process.kill_group(pid)  # the processes that it has started
            self._hear(fork)
            self._forget_channel(fork)
            del self._forks[pid]
            self._is_dead(fork, status)
            fork.close()

    def _is_dead(self, fork: Fork, status: int) -> None:
        """Tell the end of a run, or have it begun by a new fork if a spare died before it did anything of it."""
        if fork is self._spare:
            self._spare, self._spare_due = None, inf
            _send(self._owner, {"spare": fork.last_words(status)})
        elif fork.assignment is not None and fork.has_missed_it():
            _send(self._owner, {"spare": fork.last_words(status)})
            self._repeat(fork, fork.assignment)
        elif fork.assignment is not None and fork.is_crowded():
            self._repeat(fork, fork.assignment)
        else:
            self._tell_end(fork, status)

    def _repeat(self, dead: Fork, assignment: Assignment) -> None:
        """Have a new fork begin the run of one that is dead."""
        slot, dead.slot = dead.slot, -1
        self._start_anew(assignment, slot)

    def _forget_channel(self, fork: Fork) -> None:
        with suppress(KeyError):
            self._selector.unregister(fork.channel)

    def _end(self) -> NoReturn:
        for pid in self._forks:
            run_process.kill_group(pid)
        os._exit(0)


def _send(channel: socket.socket, message: dict[str, Any]) -> None:
    try:
        channel.sendall(orjson.dumps(message) + b"\n")
    except OSError:
        sys.exit(0)
