"""Several processes of the REST server behind one socket: started together, replaced when one dies, stopped together.

The parent only holds the socket and the memory in which workers count, and watches; each worker builds its own core on
the folder. A worker that is killed is replaced; one that gives up by itself, because the folder cannot be used for
example, ends the whole.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from modelyard.cli import children, screen
from modelyard.cli.children import Child, Events
from modelyard.monitoring.numbers import shared_memory
from modelyard.rest_api.listening import listen

if TYPE_CHECKING:
    from modelyard.settings import Settings

_PAUSE_S = 1.0
"""Workers that are killed as soon as they start are not replaced more often than this."""


def run_workers(settings: Settings, count: int) -> int:
    """Serve REST by `count` processes until a signal; return the exit code."""
    events = children.Events()
    with children.signals_into(events), listen(settings) as shared:
        numbers = shared_memory(count)
        start = partial(_start, settings, shared, numbers, events)
        workers = {start(part): part for part in range(count)}
        try:
            return _keep_running(workers, start, events)
        finally:
            children.stop(list(workers), settings, events)
            os.close(numbers)


def _keep_running(workers: dict[Child, int], start: Callable[[int], Child], events: Events) -> int:
    """Replace workers that die; return the exit code when a signal or a failed start ends the whole."""
    while isinstance(event := events.get(), Child):
        part = workers.pop(event)
        code = event.process.returncode
        screen.console(stderr=True).print(screen.text(f"a REST worker ended with exit code {code}", "red"))
        if code > 0:
            return code
        time.sleep(max(0.0, _PAUSE_S - (time.monotonic() - event.began)))
        workers[start(part)] = part
    return 0


def _start(settings: Settings, shared: socket.socket, numbers: int, events: Events, part: int) -> Child:
    arguments = ("--socket", str(shared.fileno()), "--numbers", str(numbers), "--part", str(part))
    files = [shared.fileno(), numbers]
    return children.start(settings, "rest", ["--port", str(settings.rest_port), *arguments], events, files=files)
