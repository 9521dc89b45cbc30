"""The fork server: a process that holds the libraries that fits need, and forks itself for every run.

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
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import orjson

from modelyard.jobs import run_process

_MESSAGE_BYTES = 1 << 16
_MOST_FILES = 64
IGNORED_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""They are for the owner, who decides what becomes of its runs."""


def main(file: int, target: str, preload: Sequence[str]) -> NoReturn:
    """Serve the owner at the other end of the socket `file` until it is gone. Runs call the function `target` names."""
    for number in IGNORED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    os.set_inheritable(file, False)
    channel = socket.socket(fileno=file)
    try:
        function = _load(target, preload)
    except BaseException:
        _send(channel, {"problem": traceback.format_exc()})
        raise
    _Server(channel, function).serve()


def _load(target: str, preload: Sequence[str]) -> run_process.RunFunction:
    """Import what runs need. Then the alarm by which the launcher had this process look for its owner is over."""
    for name in preload:
        prepare = _named(name)
        if name.endswith("()"):
            prepare()
    function: run_process.RunFunction = _named(target)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    gc.collect()
    gc.freeze()  # what is here now is shared with all runs; their collectors shall not touch it
    return function


def _named(name: str) -> Any:
    """Return the module, or with a colon the member of one, that a name means."""
    module, _, member = name.removesuffix("()").partition(":")
    found = importlib.import_module(module)
    return getattr(found, member) if member else found


class _Server:
    """The loop of the process."""

    def __init__(self, channel: socket.socket, function: run_process.RunFunction) -> None:
        self._channel = channel
        self._function = function
        self._text = b""
        self._files: deque[int] = deque()
        self._runs: dict[int, str] = {}
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
            for key, _ in selector.select():
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
                self._start(message, self._files.popleft())
            else:
                self._kill(message["kill"])

    def _start(self, message: dict[str, Any], slot: int) -> None:
        job_id = message["start"]
        try:
            with warnings.catch_warnings():
                # Python warns of the threads of native libraries; those mend themselves after a fork.
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
        except OSError as error:
            os.close(slot)
            _send(self._channel, {"ended": job_id, "status": None, "reason": f"cannot fork: {error.strerror}"})
            return
        if pid == 0:
            self._become_run(message, slot)
        os.close(slot)
        _own_group(pid)
        self._runs[pid] = job_id
        _send(self._channel, {"started": job_id, "pid": pid})

    def _become_run(self, message: dict[str, Any], slot: int) -> NoReturn:
        """Be the run, to its end. It keeps `slot`, the lifeline and the way to say it is done, and no more files."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _own_group(0)
            run_process.be_nice(message["niceness"])
            for file in (*self._children, self._done[0], self._lifeline[1], *self._files):
                os.close(file)
            self._channel.close()
            os.set_inheritable(slot, False)
            run_process.end_with(self._lifeline[0])
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
            _send(self._channel, {"ended": self._runs[pid], "status": 0})

    def _kill(self, job_id: str) -> None:
        for pid, found in self._runs.items():
            if found == job_id:
                _kill_group(pid)

    def _reap(self) -> None:
        for pid in list(self._runs):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                _kill_group(pid)  # what it may have started itself
                self._tell_done()  # it may have said so since the last look, and its line must find it here
                job_id = self._runs.pop(pid)
                if pid in self._told:
                    self._told.remove(pid)
                else:
                    _send(self._channel, {"ended": job_id, "status": status})

    def _end(self) -> NoReturn:
        for pid in self._runs:
            _kill_group(pid)
        os._exit(0)


def _own_group(pid: int) -> None:
    """Take a run out of the terminal's group; not out of its session, or its low priority would count for nothing.

    Linux weighs priorities within a session only (autogroup). The run and its parent both do it, whoever comes first.
    """
    try:
        os.setpgid(pid, pid)
    except (ProcessLookupError, PermissionError):
        return


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _send(channel: socket.socket, message: dict[str, Any]) -> None:
    try:
        channel.sendall(orjson.dumps(message) + b"\n")
    except OSError:
        sys.exit(0)
