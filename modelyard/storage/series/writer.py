"""Append to one stream by files of one's own: a new one each day, and whenever the last one cannot be gone on with.

So writers need no lock among each other. A file is locked only while it is written to, so that whoever mends or drops
files keeps out of an append, and readers can tell a line in the making from one that its writer died over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from modelyard.storage.files import make_folder, sync_folder, write_new_file
from modelyard.storage.ledger import LedgerEnd
from modelyard.storage.line_file import Identity, LineFile
from modelyard.storage.protocols import Appended
from modelyard.storage.series.stream_file import day_of, encode_line, new_name

MAX_FILE_BYTES = 1 << 26
"""A file that has grown to this is not gone on with, so that one can be mended or copied in memory."""


class StreamWriter:
    """Appends to the stream of one folder, below the folder `inside`, which must be there. Safe for threads.

    With `loose` nothing waits for the disk.
    """

    def __init__(self, folder: Path, inside: Path, clock: Callable[[], datetime], *, loose: bool = False) -> None:
        self._loose = loose
        self.folder = folder
        self._inside = inside
        self._clock = clock
        self._mutex = threading.Lock()
        self._last = datetime.min.replace(tzinfo=UTC)
        self._path: Path | None = None
        self._identity: Identity | None = None
        self._lines = 0
        self._offset = 0

    def append(self, entries: Sequence[Mapping[str, Any]]) -> datetime:
        """Write entries as one line, unless `loose` down to the disk; return their moment.

        Raises InvalidRequest, OSError.
        """
        with self._mutex:
            at = max(self._clock(), self._last)
            with self._last_file(at.date()) or self._new_file(at.date()) as file:
                if self._lines == 0 and not self._loose:
                    sync_folder(self.folder)
                line = encode_line(file.path, self._lines + 1, at, entries)
                file.append(line, self._offset, loose=self._loose)
            self._lines += 1
            self._offset += len(line) + 1
            self._last = at
        return at

    def _last_file(self, day: date) -> LineFile | None:
        """Open the file of the last append, locked; None unless it is as that append left it."""
        if self._path is None or day_of(self._path.name) != day or self._offset >= MAX_FILE_BYTES:
            return None
        try:
            file = LineFile(self._path)
        except FileNotFoundError:  # dropped, or set aside
            return None
        if file.lock() and (file.identity, file.size()) == (self._identity, self._offset):
            return file
        file.close()
        return None

    def _new_file(self, day: date) -> LineFile:
        make_folder(self.folder, inside=self._inside)
        while not (file := LineFile(self.folder / new_name(day, loose=self._loose), make=True)).lock():
            file.close()  # removed as it was made: there was nothing in it
        self._path, self._identity, self._lines, self._offset = file.path, file.identity, 0, 0
        return file


def write_files(
    folder: Path,
    inside: Path,
    appended: Iterable[Appended],
    name: Callable[[date, Sequence[Mapping[str, Any]]], str],
) -> LedgerEnd | None:
    """Write new files of lines that have their moments already, down to the disk; return where the last one ends.

    `name` makes a file's name of its day and of what its first line holds. Raises OSError.
    """
    make_folder(folder, inside=inside)
    end: LedgerEnd | None = None
    content = bytearray()
    for at, entries in appended:
        if end is None or day_of(end.file) != at.date() or len(content) >= MAX_FILE_BYTES:
            if end is not None:
                write_new_file(folder / end.file, content)
            end, content = LedgerEnd(name(at.date(), entries), 0, 0), bytearray()
        content += encode_line(folder / end.file, end.lines + 1, at, entries) + b"\n"
        end = LedgerEnd(end.file, end.lines + 1, len(content))
    if end is not None:
        write_new_file(folder / end.file, content)
    sync_folder(folder)
    return end
