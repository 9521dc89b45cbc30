"""A transactional database of JSON documents in one file, `db.jsonl`, shared by threads and processes.

Documents stand in collections under ids. A transaction is one line, appended and fsynced under the writers' lock;
readers take no lock and follow the file. What the documents mean is their owners' affair.

A line becomes visible by its newline, which is written after the fsync: no reader sees what might still be taken back.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from modelyard.storage.documents import compaction
from modelyard.storage.documents.folder_lock import FolderLock
from modelyard.storage.documents.follower import Follower
from modelyard.storage.documents.log_format import FORMAT, encode_entry
from modelyard.storage.documents.log_writer import LogWriter
from modelyard.storage.files import make_folder, unavailable
from modelyard.storage.memory import Changes, Draft, Reading, parse
from modelyard.storage.protocols import Collections, Observer

log = logging.getLogger("modelyard.storage")

COMPACT_ABOVE_BYTES = 1 << 20
"""A file smaller than this is not worth compacting."""


class Database:
    """`protocols.Documents` in one file. With `make` the file is made with its first line if it is missing.

    DataLoss names file and line. A file is compacted when it is larger than `compact_above_bytes` (None:
    COMPACT_ABOVE_BYTES) and more than half of it is superseded.
    """

    def __init__(
        self,
        path: Path,
        *,
        make: bool = True,
        lock_timeout_s: float = 10.0,
        observers: Sequence[Observer] = (),
        compact_above_bytes: int | None = None,
    ) -> None:
        self._path = path
        self._compact_above_bytes = COMPACT_ABOVE_BYTES if compact_above_bytes is None else compact_above_bytes
        self._lock = FolderLock(path.with_suffix(".lock"), lock_timeout_s)
        self._state = Follower(path, observers, self._lock.is_free)
        self._write_failed = False
        if make:
            self._make()
        with self.reading():
            pass

    def get(self, collection: str, key: str) -> dict[str, Any] | None:
        with self.reading():
            raw = self.raw(collection, key)
        return None if raw is None else parse(raw)

    def reading(self) -> Reading:
        return Reading(self._state)

    def raw(self, collection: str, key: str) -> bytes | None:
        return self._state.raw(collection, key)

    def documents(self, collection: str) -> Iterable[tuple[str, bytes]]:
        return self._state.collections.get(collection, {}).items()

    def snapshot(self) -> tuple[Collections, int]:
        with self.reading():
            return {name: dict(found) for name, found in self._state.collections.items()}, self._state.reader.seq

    def transaction(self) -> Transaction:
        return Transaction(self)

    def about(self) -> str:
        return ""

    def check(self, timeout_s: float) -> None:
        with self.reading():
            pass
        with self._lock.held(timeout_s):
            if not self._write_failed:
                return
            # The last write failed: can the file grow again?
            with unavailable(f"write {self._path}"), LogWriter(self._path) as writer:
                with self._state.mutex:
                    self._state.catch_up()
                    offset = self._state.reader.offset
                writer.try_to_grow(offset)
            self._write_failed = False

    def go_on_from(self, seq: int) -> None:
        with self._lock.held(), unavailable(f"write {self._path}"):
            with self._state.mutex:
                self._state.catch_up()
            if self._state.reader.seq < seq:
                self._write_anew(seq)

    def compact(self) -> None:
        """Write the file anew without what is superseded; if that fails, the old one goes on."""
        with self._lock.held():
            with self._state.mutex:
                self._state.catch_up()
            self._compact()

    def close(self) -> None:
        with self._state.mutex:
            self._state.close()

    def _make(self) -> None:
        with unavailable(f"make {self._path}"):
            make_folder(self._path.parent)
            if self._path.exists():
                return
            with self._lock.held():
                if not self._path.exists():
                    compaction.write(self._path, {})

    # What a transaction does; it holds the writers' lock.

    def _upgrade(self) -> None:
        """Write a file of an earlier format anew, so that no earlier release misreads what is added to it."""
        with self._state.mutex:
            self._state.catch_up()
            found = self._state.reader.header.format
        if found < FORMAT:
            with unavailable(f"write {self._path}"):
                self._write_anew()
            log.info("%s is of format %d now, which earlier releases refuse", self._path, FORMAT)

    def _prepare(self, writer: LogWriter, changes: Changes) -> tuple[bytes, int]:
        """Repair the end of the file; return the line to be written, and where."""
        state = self._state
        with state.mutex:
            if writer.repair(state.reader):
                state.catch_up()
            reader = state.reader
            put = [(collection, key, raw) for (collection, key), raw in changes.items() if raw is not None]
            removed = [place for place, raw in changes.items() if raw is None]
            return encode_entry(reader.seq + 1, put, removed, reader.header.generation), reader.offset

    def _commit(self, writer: LogWriter, changes: Changes) -> None:
        try:
            line, offset = self._prepare(writer, changes)
            writer.append(line, offset)
        except OSError as error:
            self._write_failed = True
            log.error("%s: a transaction could not be written: %s", self._path, error.strerror)  # noqa: TRY400
            raise
        self._write_failed = False
        with self._state.mutex:
            self._state.catch_up()
            size, live_bytes = self._state.reader.offset, self._state.live_bytes
        if size > self._compact_above_bytes and live_bytes < size / 2:
            self._compact()

    def _compact(self) -> None:
        before = self._state.reader.offset
        try:
            self._write_anew()
        except OSError as error:
            log.warning("%s could not be compacted: %s", self._path, error.strerror)
            return
        log.info("%s compacted from %d to %d bytes", self._path, before, self._state.reader.offset)

    def _write_anew(self, seq: int | None = None) -> None:
        """Write the file with all documents, as of the last transaction or as if they were of a later one, `seq`."""
        state = self._state
        with state.mutex:
            last, previous = state.reader.seq, state.reader.header.generation
            # Only a writer changes what is in them, and this one is the only writer.
            collections = dict(state.collections)
        if seq is None:
            compaction.write(self._path, collections, last, previous=previous)
        else:
            compaction.write(self._path, collections, seq)
        with state.mutex:
            state.catch_up()


class Transaction(Draft):
    """`protocols.Transaction` on the file, under the writers' lock."""

    def __init__(self, database: Database) -> None:
        super().__init__(database._state)
        self._database = database

    def __enter__(self) -> Self:
        database = self._database
        with ExitStack() as stack:
            stack.enter_context(database._lock.held())
            database._upgrade()
            with unavailable(f"write {database._path}"):
                self._writer = stack.enter_context(LogWriter(database._path))
            database._state.mutex.acquire()
            self._reading = stack.enter_context(ExitStack())
            self._reading.callback(database._state.mutex.release)
            database._state.catch_up()
            database._state.check_not_moved()
            self.number = database._state.reader.seq + 1
            self._held = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._held:
            self._reading.close()  # readers go on while the disk is waited for
            if kind is None and self._changes:
                for step in self._steps:
                    step()
                self._commit()

    def _commit(self) -> None:
        self.may_be_stored = True
        try:
            with unavailable(f"write {self._database._path}"):
                self._database._commit(self._writer, self._changes)
        finally:
            self.may_be_stored = not self._writer.is_taken_back
