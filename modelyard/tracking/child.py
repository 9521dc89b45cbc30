"""The child process that speaks to ClearML, as its parent sees it: started for a round, ended or killed after it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from modelyard.tracking.protocol import Answer

READY_TIMEOUT_S = 90.0
"""Importing ClearML's library takes a second on a free machine, and logging in 10 s on a frozen server."""

_END_TIMEOUT_S = 2.0


class Child:
    """A running child. Reads of it are bounded in time; `kill` may be called from another thread and ends them."""

    def __init__(self, talk: Path, module: str = "modelyard.tracking.push") -> None:
        path = os.pathsep.join(str(Path(entry or ".").absolute()) for entry in sys.path)
        with talk.open("wb") as file:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # a Ctrl-C at the terminal is the parent's affair
            )
        self._rest = b""

    def tell(self, order: dict[str, Any]) -> None:
        """Send an order; a child that is gone is noticed by its answer."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(orjson.dumps(order) + b"\n")
            self._process.stdin.flush()

    def answer(self, timeout_s: float) -> Answer | None:
        """Return the next answer; None if the child ends without one. Raises TimeoutError."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout_s
        ready = select.poll()
        ready.register(self._process.stdout, select.POLLIN)
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not ready.poll(left * 1000):
                raise TimeoutError
            chunk = os.read(self._process.stdout.fileno(), 1 << 16)
            if not chunk:
                return None
            self._rest += chunk
        line, self._rest = self._rest.split(b"\n", 1)
        return Answer.of(orjson.loads(line))

    def how_it_ended(self) -> str:
        """Say how a child that answers no more has ended."""
        try:
            code = self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return "hangs"
        return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"

    def kill(self) -> None:
        """Kill it at once."""
        self._process.kill()

    def end(self) -> None:
        """End it: it has nothing more to do once its orders end."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):
            process.stdin.close()
        try:
            process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
