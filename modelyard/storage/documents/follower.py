"""The documents in memory, and how they follow the file `db.jsonl`. Takes no lock of the folder and writes nothing.

Documents are kept as JSON. State is guarded by `mutex`, which callers hold around everything here.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson

from modelyard.errors import DataLoss, Unavailable
from modelyard.storage.documents import compaction
from modelyard.storage.documents.log_format import Entry
from modelyard.storage.documents.log_reader import LogReader
from modelyard.storage.files import unavailable
from modelyard.storage.memory import Memory
from modelyard.storage.protocols import Observer


class Follower(Memory):
    """The newest committed state of a file.

    `is_settled()` tells whether no writer is at work: then a last line without its newline counts.
    """

    def __init__(self, path: Path, observers: Sequence[Observer], is_settled: Callable[[], bool]) -> None:
        super().__init__(observers)
        self.live_bytes = 0
        self._path = path
        self._is_settled = is_settled
        self._reader: LogReader | None = None
        self._seen: tuple[str, int] | None = None  # generation and seq: what was seen must never be gone
        self._damage: tuple[tuple[int, ...], DataLoss] | None = None

    @property
    def reader(self) -> LogReader:
        """The file as far as it was followed; there is one after `look` and `catch_up`."""
        assert self._reader is not None
        return self._reader

    def look(self) -> None:
        """Bring the state up to the file as it is now.

        Raises Unavailable if it cannot be read, DataLoss if it is damaged, FailedPrecondition if it is newer.
        """
        self._bring_up(self._is_settled)

    def catch_up(self) -> None:
        """Bring the state up to the file for a writer, who has the lock: whole lines count. Raises like `look`."""
        self._bring_up(_always)

    def _bring_up(self, is_settled: Callable[[], bool]) -> None:
        try:
            status = os.stat(self._path)  # noqa: PTH116 -- a third of the time of Path.stat, at every prediction
        except OSError as error:
            raise Unavailable(f"cannot read {self._path}: {error.strerror or error}") from error
        reader = self._reader
        if reader is None or reader.offset != status.st_size or reader.identity != (status.st_dev, status.st_ino):
            self._catch_up(status, is_settled)

    def close(self) -> None:
        """Let go of the file; the next use reads it anew."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _catch_up(self, status: os.stat_result, is_settled: Callable[[], bool]) -> None:
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if self._damage is not None and self._damage[0] == key:
            raise DataLoss(self._damage[1].detail)
        self._damage = None
        try:
            with unavailable(f"read {self._path}"):
                self._follow(status, is_settled)
        except DataLoss as damage:
            self.close()
            self._damage = (key, damage)
            raise
        except BaseException:
            self.close()  # what was half applied must not be served
            raise
        self._seen = (self.reader.header.generation, self.reader.seq)

    def _follow(self, status: os.stat_result, is_settled: Callable[[], bool]) -> None:
        reader = self._reader
        replaced = reader is not None and reader.identity != (status.st_dev, status.st_ino)
        if reader is None or (not replaced and status.st_size < reader.offset):
            self._read_anew(is_settled)
            return
        try:
            if replaced:
                # Nobody writes to a file that was replaced: its last lines are the last of its time.
                self._read_on(reader, _always)
                reader = self._move_on(reader)
            self._read_on(reader, is_settled)
        except DataLoss:
            # A line that was torn, cut off and written anew while it was being read, or another file under the same
            # inode, look like damage: only what a whole reading finds damaged is.
            self._read_anew(is_settled)

    def _move_on(self, old: LogReader) -> LogReader:
        """Hold the file that took the place of `old`. Does not read its snapshot if that repeats a known state."""
        new = LogReader(self._path)
        known = new.header.previous == old.header.generation and new.header.seq == old.seq
        self._hold(new)
        if known:
            new.skip_snapshot()
        else:
            self.clear()
        return new

    def _read_anew(self, is_settled: Callable[[], bool]) -> None:
        reader = LogReader(self._path)
        self._hold(reader)
        self.clear()
        with _without_garbage_collection():
            self._read_on(reader, is_settled)
        if self._seen is not None and self._seen[0] == reader.header.generation and reader.seq < self._seen[1]:
            raise DataLoss(
                f"{self._path} is cut short: it ends with transaction {reader.seq}, but had {self._seen[1]} before"
            )

    def _hold(self, reader: LogReader) -> None:
        self.close()
        self._reader = reader

    def clear(self) -> None:
        super().clear()
        self.live_bytes = 0

    def _read_on(self, reader: LogReader, is_settled: Callable[[], bool]) -> None:
        for entry in reader.entries(is_settled):
            self._apply(entry)

    def _apply(self, entry: Entry) -> None:
        for collection, key, document in entry.put:
            # A copy of the right size: what orjson returns keeps its much larger buffer's place in memory.
            raw = bytes(memoryview(orjson.dumps(document)))
            old = self.put(collection, key, raw, document)
            if old is None:
                self.live_bytes += compaction.size_of(collection, key, raw)
            else:
                self.live_bytes += len(raw) - len(old)
        for collection, key in entry.removed:
            old = self.remove(collection, key)
            if old is not None:
                self.live_bytes -= compaction.size_of(collection, key, old)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Keep Python from looking for cycles while documents are read: there are none, and it takes time (a fifth)."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _always() -> bool:
    return True
