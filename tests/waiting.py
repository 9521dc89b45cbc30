"""How tests wait: for an event, and so long that only what never comes is missed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 120.0
"""Far more than anything takes, on a busy machine as well. A test may take longer, since it may wait more than once."""

PATIENCE_MS = 1000 * PATIENCE_S
"""The same for a browser."""

Found = TypeVar("Found")


def wait_until(find: Callable[[], Found | None]) -> Found:
    """Wait until something is found (anything true), and return it."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := find()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)
    return found
