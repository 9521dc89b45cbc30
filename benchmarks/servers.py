"""Start a server as a process of its own, wait for its first answer, and tell its memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.doors import free_port
from tests.processes import descendants


@dataclass(slots=True)
class Server:
    """A server that answered, and how long after its start."""

    process: subprocess.Popen[bytes]
    port: int
    first_answer_s: float = field(default=0.0)
    scheme: str = "http"

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    def memory_mib(self) -> float:
        """Return the proportional memory (PSS) of the process and all below it."""
        return round(sum(_pss_kib(pid) for pid in (self.process.pid, *descendants(self.process.pid))) / 1024, 1)

    def cpu_s(self) -> float:
        """Return the seconds of CPU that the process has taken so far, in steps of 10 ms."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def own_memory_mib(self) -> float:
        """Return the memory (PSS) of the process alone."""
        return round(_pss_kib(self.process.pid) / 1024, 1)


@contextmanager
def serving(
    command: Callable[[int], Sequence[str]],
    is_up: Callable[[Server], bool],
    *,
    log: Path,
    environment: dict[str, str] | None = None,
    cwd: Path | None = None,
    patience_s: float = 120.0,
) -> Iterator[Server]:
    """Run `command(port)` until the block ends; it is up once `is_up` says so."""
    port = free_port()
    began = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            command(port), stdout=out, stderr=out, cwd=cwd, env={**os.environ, **(environment or {})}, process_group=0
        )
        try:
            server = Server(process, port)
            while not is_up(server):
                if process.poll() is not None or time.perf_counter() - began > patience_s:
                    raise RuntimeError(f"{command(port)[0]} did not start: {log.read_text()[-2000:]}")
                time.sleep(0.005)
            server.first_answer_s = round(time.perf_counter() - began, 2)
            yield server
        finally:
            _end(process)


def our_server(
    storage: Path,
    *,
    log: Path,
    door: str = "rest",
    is_up: Callable[[Server], bool] | None = None,
    environment: dict[str, str] | None = None,
) -> AbstractContextManager[Server]:
    """Run our own server of a door on a folder; it is up once `/health` answers, or `is_up` says so."""
    command = [sys.executable, "-m", "modelyard", door, "--storage", str(storage), "--port"]
    return serving(lambda port: [*command, str(port)], is_up or answers("/health"), log=log, environment=environment)


def answers(path: str, body: bytes | None = None) -> Callable[[Server], bool]:
    """Make a check that a path answers 200, to `body` if one is given."""
    return lambda server: request(server.url(path), body) is not None


def request(
    url: str, body: bytes | None = None, content_type: str = "application/json", accept: str = "*/*"
) -> bytes | None:
    """Return what an address answers with 200, None if it does not."""
    asked = urllib.request.Request(url, body, {"Content-Type": content_type, "Accept": accept})
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            content: bytes = answer.read()
            return content
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(15)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def _pss_kib(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
