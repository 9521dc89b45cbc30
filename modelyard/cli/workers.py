"""Several processes of the REST server behind one socket: started together, replaced when one dies, stopped together.

The parent only holds the socket and the memory in which workers count, and watches; each worker builds its own core on
the folder.
"""

from __future__ import annotations

import os
import socket
from functools import partial
from typing import TYPE_CHECKING

from modelyard.cli import children
from modelyard.cli.children import Child, Events
from modelyard.monitoring.numbers import shared_memory
from modelyard.rest_api.listening import listen

if TYPE_CHECKING:
    from modelyard.settings import Settings


def run_workers(settings: Settings, count: int) -> int:
    """Serve REST by `count` processes until a signal; return the exit code."""
    events = children.Events()
    with children.signals_into(events), listen(settings) as shared:
        numbers = shared_memory(count)
        start = partial(_start, settings, shared, numbers, events)
        workers = {start(part): part for part in range(count)}
        try:
            return children.keep_running(workers, start, events, lambda _: "a REST worker")
        finally:
            children.stop(list(workers), settings, events)
            os.close(numbers)


def _start(settings: Settings, shared: socket.socket, numbers: int, events: Events, part: int) -> Child:
    arguments = ("--socket", str(shared.fileno()), "--numbers", str(numbers), "--part", str(part))
    files = [shared.fileno(), numbers]
    return children.start(settings, "rest", ["--port", str(settings.rest_port), *arguments], events, files=files)
