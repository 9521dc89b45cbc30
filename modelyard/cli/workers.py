"""Several processes of the REST server behind one socket: started together, replaced when one dies, stopped together.

The parent only holds the socket and watches; each worker builds its own core on the folder. A worker that is killed is
replaced; one that gives up by itself, for the folder cannot be used say, ends the whole.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from signal import SIGINT, SIGTERM, Signals, signal
from typing import TYPE_CHECKING

from modelyard.cli import screen

if TYPE_CHECKING:
    from modelyard.settings import Settings

_BACKLOG = 2048
_PAUSE_S = 1.0
"""Workers that are killed as soon as they start are not replaced more often than this."""
_MARGIN_S = 5.0


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    events: SimpleQueue[_Worker | Signals]
    began: float = field(default_factory=time.monotonic)
    watcher: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.watcher.start()

    def _watch(self) -> None:
        self.process.wait()
        self.events.put(self)


def run_workers(settings: Settings, count: int) -> int:
    """Serve REST by `count` processes until a signal; return the exit code."""
    events: SimpleQueue[_Worker | Signals] = SimpleQueue()
    for number in (SIGINT, SIGTERM):
        signal(number, lambda given, _frame: events.put(Signals(given)))
    with _listening(settings) as shared:
        workers = [_start(settings, shared, events) for _ in range(count)]
        code = _keep_running(workers, settings, shared, events)
        _stop(workers, settings.train_grace_s + _MARGIN_S, events)
    return code


def _keep_running(
    workers: list[_Worker], settings: Settings, shared: socket.socket, events: SimpleQueue[_Worker | Signals]
) -> int:
    """Replace workers that die; return the exit code when a signal or a failed start ends the whole."""
    while not isinstance(event := events.get(), Signals):
        workers.remove(event)
        code = event.process.returncode
        screen.console(stderr=True).print(screen.text(f"a REST worker ended with exit code {code}", "red"))
        if code > 0:
            return code
        time.sleep(max(0.0, _PAUSE_S - (time.monotonic() - event.began)))
        workers.append(_start(settings, shared, events))
    return 0


def _start(settings: Settings, shared: socket.socket, events: SimpleQueue[_Worker | Signals]) -> _Worker:
    # As `up` does: a group of its own, and a standard input that closes when this process is gone.
    command = [sys.executable, "-m", "modelyard", "rest", "--owned", "--socket", str(shared.fileno())]
    command += ["--host", settings.host, "--port", str(settings.rest_port), "--storage", str(settings.storage_dir)]
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, stdin=subprocess.PIPE, process_group=0, pass_fds=[shared.fileno()]
    )
    return _Worker(process, events)


def _stop(workers: list[_Worker], grace_s: float, events: SimpleQueue[_Worker | Signals]) -> None:
    """End all workers: kindly, and after the grace or at a second signal by force."""
    for worker in workers:
        worker.process.terminate()
    waiting = [worker for worker in workers if worker.watcher.is_alive()]
    deadline = time.monotonic() + grace_s
    while waiting:
        try:
            event = events.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            break
        if isinstance(event, Signals):
            break
        waiting = [worker for worker in waiting if worker is not event]
    for worker in workers:
        worker.process.kill()
        worker.watcher.join()
        if worker.process.stdin:
            worker.process.stdin.close()


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    shared = socket.socket(family, socket.SOCK_STREAM)
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    shared.bind((settings.host, settings.rest_port))
    shared.listen(_BACKLOG)
    return shared
