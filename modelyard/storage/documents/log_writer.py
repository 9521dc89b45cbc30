"""Append to `db.jsonl`: a line is written, fsynced, then made visible; or taken back. The caller holds the lock."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Self

from modelyard.storage.documents.log_reader import Identity, LogReader
from modelyard.storage.files import write_all

log = logging.getLogger("modelyard.storage")

_PROBE_BYTES = 4096


class LogWriter:
    """The database file, opened for writing by its path. Its steps raise OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        status = os.fstat(self._file)
        self.identity: Identity = (status.st_dev, status.st_ino)
        self.is_taken_back = True
        """Whether nothing that `append` wrote can be in the file, now or after a power cut."""

    def repair(self, reader: LogReader) -> bool:
        """Make the file end with its last committed line: drop a torn line, finish one without its newline.

        Returns whether there is more to read.
        """
        size = os.fstat(self._file).st_size
        if size > reader.offset:
            log.warning("%s: dropping %d bytes of a write that was cut short", self._path, size - reader.offset)
            os.ftruncate(self._file, reader.offset)
        if not reader.open_line_bytes:
            return False
        line = reader.open_line()
        # Written again, not only fsynced: after a failed fsync the system takes its pages for clean.
        write_all(self._file, line, reader.offset - len(line))
        os.fsync(self._file)
        write_all(self._file, b"\n", reader.offset)
        return True

    def append(self, line: bytes, offset: int) -> None:
        """Write a line at the end of the file and down to the disk.

        If that fails, the line is taken back; `is_taken_back` then tells whether that is certain.
        """
        self.is_taken_back = False
        try:
            write_all(self._file, line, offset)
            os.fsync(self._file)
        except BaseException:
            self.is_taken_back = self._take_back(offset)
            raise
        try:
            write_all(self._file, b"\n", offset + len(line))
        except OSError as error:
            # It is committed: a whole line needs no newline once its writer has let go of the lock.
            log.warning("%s: the newline of a committed line was refused: %s", self._path, error.strerror)

    def try_to_grow(self, offset: int) -> None:
        """Append some blanks, fsync and take them back: what a commit would need, without one."""
        try:
            write_all(self._file, b" " * _PROBE_BYTES, offset)
            os.fsync(self._file)
        finally:
            os.ftruncate(self._file, offset)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def _take_back(self, offset: int) -> bool:
        try:
            os.ftruncate(self._file, offset)
            os.fsync(self._file)
        except OSError as error:
            log.error("%s: a line that failed could not be taken back: %s", self._path, error.strerror)  # noqa: TRY400
            return False
        return True
