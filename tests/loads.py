"""Callers that do the same again and again, while a test does something to the servers."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from modelyard.errors import Unavailable
from tests.waiting import wait_until

Answer = TypeVar("Answer")

PAUSE_S = 0.05
"""Between two calls of a caller, who else would leave no time to servers that start."""

_STALLED = "the database does not answer"
"""What a replica says that has no time to hear the database for half a second, because the machine is too busy."""


def is_stalled(error: Exception) -> bool:
    """Whether a replica refused to answer because the machine left it no time."""
    return isinstance(error, Unavailable) and _STALLED in error.detail


def patiently(ask: Callable[[], Answer]) -> Answer:
    """Ask a replica until the machine leaves it the time to answer."""
    while True:
        try:
            return ask()
        except Unavailable as error:
            if not is_stalled(error):
                raise
        time.sleep(PAUSE_S)


class Load:
    """Callers, each in a thread, and what came of their calls. What is a busy machine's fault alone is no failure."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def add(self, name: str, act: Callable[[], Any]) -> None:
        """Let one more caller begin."""

        def go_on() -> None:
            while not self._stop.wait(PAUSE_S):
                try:
                    act()
                except Exception as error:  # noqa: BLE001 - told at the end, in the test's own thread
                    if not is_stalled(error):
                        self.failures.append(f"{name}: {error!r}")
                else:
                    self.done[name] += 1

        self.done[name] = 0
        self._threads.append(threading.Thread(target=go_on))
        self._threads[-1].start()

    def wait_for_more(self) -> None:
        """Wait until each caller has had the answer to a call that begins after this one."""
        for _ in range(2):
            before = dict(self.done)
            wait_until(lambda: all(self.done[name] > since for name, since in before.items()))  # noqa: B023

    def end(self) -> None:
        """Let the callers end after the call that they are at."""
        self._stop.set()
        for one in self._threads:
            one.join()
