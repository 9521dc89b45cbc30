"""The child process that speaks to ClearML, as its parent sees it: started to tell something, ended when idle."""

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

from modelyard.settings import environment_without_keys
from modelyard.tracking.protocol import Answer

READY_TIMEOUT_S = 90.0
"""Importing ClearML's library takes a second on a free machine, logging in on a frozen server 10 s."""

_END_TIMEOUT_S = 2.0


class Child:
    """A running child. Waiting for its answers is bounded in time; `kill`, from another thread, ends the waiting."""

    def __init__(self, talk: Path, module: str = "modelyard.tracking.push") -> None:
        path = os.pathsep.join(str(Path(entry or ".").absolute()) for entry in sys.path)
        with talk.open("wb") as file:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env={**environment_without_keys(), "PYTHONPATH": path},
                start_new_session=True,  # a Ctrl-C at the terminal is the parent's affair
            )
        self._rest = b""

    def tell(self, instruction: dict[str, Any]) -> None:
        """Send an instruction. Whether the child still lives is seen by its answer."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(orjson.dumps(instruction) + b"\n")
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

    def is_gone(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def how_it_ended(self) -> str:
        """Say how a child has ended that answers no more."""
        try:
            code = self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return "hangs"
        return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"

    def kill(self) -> None:
        """Kill it at once."""
        self._process.kill()

    def end(self) -> None:
        """End it, by ending its instructions."""
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
