"""Append to `db.jsonl`, and mend its end before. The caller holds the lock."""

from __future__ import annotations

import logging
import os

from modelyard.storage.documents.log_reader import LogReader
from modelyard.storage.files import write_all
from modelyard.storage.line_file import LineFile

log = logging.getLogger("modelyard.storage")

_PROBE_BYTES = 4096


class LogWriter(LineFile):
    """The database file, opened for writing by its path. Its steps raise OSError."""

    def repair(self, reader: LogReader) -> bool:
        """Make the file end with its last committed line: drop a torn line, finish one without its newline.

        Returns whether there is more to read.
        """
        size = self.size()
        if size > reader.offset:
            log.warning("%s: dropping %d bytes of a write that was cut short", self.path, size - reader.offset)
            os.ftruncate(self._file, reader.offset)
        if not reader.open_line_bytes:
            return False
        line = reader.open_line()
        # Written again, not only fsynced: after a failed fsync the system takes its pages for clean.
        write_all(self._file, line, reader.offset - len(line))
        os.fsync(self._file)
        write_all(self._file, b"\n", reader.offset)
        return True

    def try_to_grow(self, offset: int) -> None:
        """Append some blanks, fsync and take them back: what a commit would need, without one."""
        try:
            write_all(self._file, b" " * _PROBE_BYTES, offset)
            os.fsync(self._file)
        finally:
            os.ftruncate(self._file, offset)
