"""A Python of our own as a child, with which lines of JSON are exchanged over a socket; it ends with its parent."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from modelyard.settings import environment_without_keys

_CODE = """
import os, select, signal, sys
channel = {file}
owner = select.poll()
owner.register(channel, select.POLLHUP)
signal.signal(signal.SIGALRM, lambda *_: owner.poll(0) and os._exit(0))
signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
sys.path[:] = {path!r}
"""
"""What comes before the code of a child. Until it is ready, which takes seconds, an alarm has it look for its owner."""

_END_TIMEOUT_S = 10.0


class LineProcess:
    """A process that runs `code`, in which `channel` is its end of the socket, and a thread that hears what it says.

    `said` is called with each message, `ended` last, with its exit code. Both are called in that thread. Of the secrets
    in this process's environment it gets those that are given.
    """

    def __init__(
        self,
        code: str,
        said: Callable[[dict[str, Any]], None],
        ended: Callable[[LineProcess, int], None],
        secrets: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._said = said
        self._ended = ended
        self._channel, theirs = socket.socketpair()
        with theirs:
            path = [str(Path(entry or ".").absolute()) for entry in sys.path]
            self._process = _start_python(
                _CODE.format(file=theirs.fileno(), path=path) + code, theirs.fileno(), secrets
            )
        threading.Thread(target=self._hear, name="runs", daemon=True).start()

    def is_gone(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def send(self, message: dict[str, object], *files: int) -> None:
        """Send a message, which is lost if the process is gone. Raises OSError if there is another reason."""
        with suppress(ConnectionError):
            socket.send_fds(self._channel, [orjson.dumps(message) + b"\n"], files)

    def close(self, after_s: float = 0.0) -> None:
        """End the process, which may do so by itself within some time."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(after_s)
        self._process.kill()
        self._process.wait(_END_TIMEOUT_S)

    def forget(self) -> None:
        """Let go of the process without ending it."""
        os.close(self._channel.detach())

    def _hear(self) -> None:
        with self._channel, self._channel.makefile("rb") as lines:
            with suppress(OSError):
                for line in lines:
                    self._said(orjson.loads(line))
            self._ended(self, self._process.wait())


def _start_python(code: str, file: int, secrets: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start this Python on some code, with one more file open, out of the terminal's reach."""
    return subprocess.Popen(  # noqa: S603 - this very Python
        [sys.executable, "-P", "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[file],
        process_group=0,
        env={**environment_without_keys(), **secrets},
    )
