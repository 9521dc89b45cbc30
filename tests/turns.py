"""Whose turn it is among the workers of a run: tests that hold a duration run alone, all others side by side.

A duration is a promise about an idle machine. Beside another worker's trainings it would measure those.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def taken(folder: Path, *, alone: bool) -> Iterator[None]:
    """Wait for a turn and hold it: with others, or `alone`."""
    with _opened(folder / "turn") as turn:
        # Who waits to be alone holds the queue, so that those who share turns cannot pass by for ever.
        with _opened(folder / "queue") as queue:
            fcntl.flock(queue, fcntl.LOCK_EX)
            fcntl.flock(turn, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
