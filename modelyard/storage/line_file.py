"""A file to which lines are appended: a line is written, fsynced, then made visible by its newline; or taken back.

Readers go by the newline, so nobody sees a line that may still be taken back. What the lines mean is not known here.
"""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path
from typing import Self

from modelyard.storage.files import write_all

log = logging.getLogger("modelyard.storage")

Identity = tuple[int, int]
"""A file whatever its name: device and inode."""


class LineFile:
    """One file, opened for writing by its path; with `make` it is made, and must not exist. Its steps raise OSError.

    One writer at a time: its owner sees to that.
    """

    def __init__(self, path: Path, *, make: bool = False) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if make else 0), 0o666)
        status = os.fstat(self._file)
        self.identity: Identity = (status.st_dev, status.st_ino)
        self.is_taken_back = True
        """Whether nothing that `append` wrote can be in the file, now or after a power cut."""

    def lock(self) -> bool:
        """Take the file for oneself until it is closed. Returns False if another has it, or its name is gone."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.path.samestat(os.fstat(self._file), self.path.stat())
        except (BlockingIOError, FileNotFoundError):
            return False

    def size(self) -> int:
        """Return the file's size in bytes."""
        return os.fstat(self._file).st_size

    def end_at(self, size: int) -> None:
        """Make the file end after `size` bytes, with a newline, down to the disk: what stands there is cut off."""
        os.ftruncate(self._file, size)
        write_all(self._file, b"\n", size)
        os.fsync(self._file)

    def behind(self, offset: int) -> bytes:
        """Return what stands behind an offset."""
        return os.pread(self._file, max(0, self.size() - offset), offset)

    def append(self, line: bytes, offset: int, *, loose: bool = False) -> None:
        """Write a line at the end of the file and, unless `loose`, down to the disk.

        If that fails, the line is taken back; `is_taken_back` then tells whether that is certain.
        """
        self.is_taken_back = False
        try:
            write_all(self._file, line + b"\n" if loose else line, offset)
            if loose:
                return
            os.fsync(self._file)
        except BaseException:
            self.is_taken_back = self._take_back(offset)
            raise
        try:
            write_all(self._file, b"\n", offset + len(line))
        except OSError as error:
            # It is committed: a whole line needs no newline once its writer has let go of the lock.
            log.warning("%s: the newline of a committed line was refused: %s", self.path, error.strerror)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _take_back(self, offset: int) -> bool:
        try:
            os.ftruncate(self._file, offset)
            os.fsync(self._file)
        except OSError as error:
            log.error("%s: a line that failed could not be taken back: %s", self.path, error.strerror)  # noqa: TRY400
            return False
        return True
