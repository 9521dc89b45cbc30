"""The writers' lock of a folder: one writer at a time among all threads and processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from modelyard.errors import Unavailable

_POLL_INTERVAL_S = 0.005


class FolderLock:
    """A lock file of its own, so that what it guards can be replaced while it is held.

    Threads of this process queue before one of them asks for the file, which is waited for by polling.
    """

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._threads = threading.Lock()

    @contextmanager
    def held(self, timeout_s: float | None = None) -> Iterator[None]:
        """Hold the lock within the block. Raises Unavailable, naming the lock, where it cannot be had in time."""
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        deadline = time.monotonic() + timeout_s
        if not self._threads.acquire(timeout=timeout_s):
            raise self._timed_out(timeout_s)
        try:
            with self._held_file(max(0.0, deadline - time.monotonic()), timeout_s):
                yield
        finally:
            self._threads.release()

    def is_free(self) -> bool:
        """Tell whether no writer is at work now; where the lock file cannot be used, none can be seen."""
        try:
            # A new object each time: one that a fork inherited refuses to be used.
            with FileLock(self._path, blocking=False):
                return True
        except Timeout:
            return False
        except OSError:
            return True

    @contextmanager
    def _held_file(self, wait_s: float, timeout_s: float) -> Iterator[None]:
        if not self._path.parent.is_dir():  # FileLock would make it, in the way of the one that may come back
            raise Unavailable(f"cannot lock {self._path}: the folder is gone")
        lock = FileLock(self._path, timeout=wait_s, poll_interval=_POLL_INTERVAL_S)
        try:
            lock.acquire()
        except Timeout:
            raise self._timed_out(timeout_s) from None
        except OSError as error:
            raise Unavailable(f"cannot lock {self._path}: {error.strerror or error}") from error
        try:
            yield
        finally:
            lock.release()

    def _timed_out(self, timeout_s: float) -> Unavailable:
        return Unavailable(f"the storage is busy: lock {self._path} was not free within {timeout_s:g} s")
