"""The writers' lock of a folder: one writer at a time among all threads and processes.

It is `flock` itself rather than the `filelock` library, whose bookkeeping takes as long as the fsync of a commit; the
two exclude each other.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.errors import Unavailable

_POLL_INTERVAL_S = 0.005
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


class FolderLock:
    """A lock file of its own, so that what it guards can be replaced while it is held.

    Threads of this process queue before one of them asks for the file, which is waited for by polling. The system frees
    it when its holder dies. The file is never removed: a writer that waits for it and one that makes it anew would both
    hold it.
    """

    def __init__(self, path: Path, timeout_s: float, *, for_reading: bool = False) -> None:
        """Lock by the file `path`. `for_reading`: its holder writes nothing, so a file that is read-only will do."""
        self._path = path
        self._timeout_s = timeout_s
        self._for_reading = for_reading
        self._threads = threading.Lock()

    @contextmanager
    def held(self, timeout_s: float | None = None) -> Iterator[None]:
        """Hold the lock within the block. Raises Unavailable, naming the lock, if it cannot be had in time."""
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        deadline = time.monotonic() + timeout_s
        if not self._threads.acquire(timeout=timeout_s):
            raise self._timed_out(timeout_s)
        try:
            file = self._acquire(deadline, timeout_s)
            try:
                yield
            finally:
                _release(file)
        finally:
            self._threads.release()

    def is_free(self) -> bool:
        """Whether no writer is at work now. If the lock file cannot be used, none can be seen."""
        try:
            file = self._try()
        except OSError:
            return True
        if file is None:
            return False
        _release(file)
        return True

    def _acquire(self, deadline: float, timeout_s: float) -> int:
        while True:
            try:
                file = self._try()
            except FileNotFoundError:
                raise Unavailable(f"cannot lock {self._path}: the folder is gone") from None
            except OSError as error:
                raise Unavailable(f"cannot lock {self._path}: {error.strerror or error}") from error
            if file is not None:
                return file
            if time.monotonic() >= deadline:
                raise self._timed_out(timeout_s)
            time.sleep(_POLL_INTERVAL_S)

    def _try(self) -> int | None:
        """Return the locked file, None if another holds it."""
        file = self._open()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A folder that was moved away and put back in between has another file under this name.
            if os.path.samestat(os.fstat(file), os.stat(self._path)):  # noqa: PTH116 -- at every commit
                return file
        except BlockingIOError:
            pass
        except BaseException:
            os.close(file)
            raise
        os.close(file)
        return None

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            if not self._for_reading or error.errno not in _READ_ONLY:
                raise
            return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)

    def _timed_out(self, timeout_s: float) -> Unavailable:
        return Unavailable(f"the storage is busy: lock {self._path} was not free within {timeout_s:g} s")


def _release(file: int) -> None:
    fcntl.flock(file, fcntl.LOCK_UN)  # before closing: a child that was forked meanwhile has the file open, too
    os.close(file)
