"""Locks that the kernel frees when their process ends, however it ends: who is alive, and which slots are taken.

Each is a file in the folder of jobs, locked by flock: it belongs to an open file, which can be handed to another
process, and then is free only when both have closed it.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from pathlib import Path

from modelyard.storage.files import make_folder, unavailable


class OwnerLock:
    """The lock that says that a process which owns jobs is alive; held from here until `release`."""

    def __init__(self, folder: Path) -> None:
        self.owner_id = uuid.uuid4().hex
        self._path = _owner_path(folder, self.owner_id)
        with unavailable(f"lock {self._path}"):
            make_folder(folder, inside=folder.parent)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def release(self) -> None:
        """Let go of the lock: from here on its owner counts as gone."""
        self._path.unlink(missing_ok=True)
        os.close(self._file)


def is_alive(folder: Path, owner_id: str) -> bool:
    """Tell whether the owner of an id holds its lock."""
    return not _is_free(_owner_path(folder, owner_id))


def remove_free_locks(folder: Path) -> None:
    """Remove the lock files of owners that are gone: one without a file is gone as well."""
    for path in folder.glob("owner-*.lock"):
        if _is_free(path):
            path.unlink(missing_ok=True)


class Slots:
    """The `count` slots of a folder: a run holds one from its start to its end, whichever process started it."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._count = count

    def take(self) -> int | None:
        """Return a file that holds a slot until all its copies are closed, None where no slot is free."""
        for number in range(self._count):
            file = os.open(self._folder / f"slot-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            if _lock(file, fcntl.LOCK_EX):
                return file
            os.close(file)
        return None


def _owner_path(folder: Path, owner_id: str) -> Path:
    return folder / f"owner-{owner_id}.lock"


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
