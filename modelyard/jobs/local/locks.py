"""Locks that the kernel frees when their process ends, however it ends: who is alive, and which slots are taken.

Each is a file in the folder of jobs, locked by flock: it belongs to an open file, which can be handed to another
process, and then is free only when both have closed it.
"""

from __future__ import annotations

import fcntl
import os
import threading
import uuid
from contextlib import suppress
from pathlib import Path

from modelyard.storage.files import make_folder, unavailable


class LocalOwners:
    """`runner.Owners` in a folder: each process holds a lock that the system frees at its end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._claiming = threading.Lock()
        self._file = -1
        self.mine: str | None = None

    def claim(self) -> str:
        with self._claiming:
            if self.mine is None:
                owner_id = uuid.uuid4().hex
                path = self._path(owner_id)
                coming = path.with_suffix(".new")  # locked before it has its name: others forget what is not locked
                with unavailable(f"lock {path}"):
                    make_folder(self._folder, inside=self._folder.parent)
                    self._file = os.open(coming, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
                    fcntl.flock(self._file, fcntl.LOCK_EX)
                    coming.rename(path)
                self.mine = owner_id
            return self.mine

    def release(self) -> None:
        if self.mine is not None:
            with suppress(OSError):  # a lock that stays, because the folder is gone say, is free all the same
                self._path(self.mine).unlink()
            os.close(self._file)
            self.mine = None

    def is_alive(self, owner_id: str) -> bool:
        return not _is_free(self._path(owner_id))

    def has_others(self) -> bool:
        mine = self._path(self.mine or "")
        return any(path != mine and not _is_free(path) for path in self._folder.glob("owner-*.lock"))

    def forget_dead(self) -> None:
        with unavailable(f"read {self._folder}"):
            for path in self._folder.glob("owner-*.lock"):
                if _is_free(path):
                    path.unlink(missing_ok=True)

    def _path(self, owner_id: str) -> Path:
        return self._folder / f"owner-{owner_id}.lock"


class Slots:
    """The `count` slots of a folder: each run holds one to its end, whichever process started it."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._count = count

    def take(self) -> int | None:
        """Return a file that holds a slot until all its copies are closed; None if none is free. Raises Unavailable."""
        with unavailable(f"lock a slot in {self._folder}"):
            for number in range(self._count):
                file = os.open(self._folder / f"slot-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
                if _lock(file, fcntl.LOCK_EX):
                    return file
                os.close(file)
        return None


def _is_free(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        return _lock(file, fcntl.LOCK_SH)  # shared, so that those who look do not take each other for the owner
    finally:
        os.close(file)


def _lock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
