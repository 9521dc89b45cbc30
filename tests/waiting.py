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
    """Wait until something is found (anything true), and return it.

    The longer it takes, the less often it looks, so that looking takes little from what is waited for.
    """
    began = time.monotonic()
    while not (found := find()):
        waited = time.monotonic() - began
        assert waited < PATIENCE_S, "it never happened"
        time.sleep(min(max(waited / 10, 0.005), 0.2))
    return found
