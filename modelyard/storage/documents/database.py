"""A transactional database of JSON documents in one file, `db.jsonl`, shared by threads and processes.

Documents stand in collections under ids. A transaction is one line, appended and fsynced under the writers' lock;
readers take no lock and follow the file. What the documents mean is their owners' affair.

A line becomes visible by its newline, which is written after the fsync: no reader sees what might still be taken back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from modelyard.errors import InvalidRequest
from modelyard.storage.documents import compaction
from modelyard.storage.documents.folder_lock import FolderLock
from modelyard.storage.documents.follower import Follower
from modelyard.storage.documents.log_format import encode_entry
from modelyard.storage.documents.log_writer import LogWriter
from modelyard.storage.files import make_folder, unavailable
from modelyard.storage.protocols import Collections, Observer

log = logging.getLogger("modelyard.storage")

COMPACT_ABOVE_BYTES = 1 << 20
"""A file smaller than this is not worth compacting."""


class Database:
    """The documents of one file. With `make` the file is made with its first line if it is missing.

    Every use raises Unavailable where the system refuses, DataLoss (file and line) where the file is damaged,
    FailedPrecondition where a newer release wrote it.
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
        """Return a document as last committed, or None."""
        with self.reading():
            raw = self.raw(collection, key)
        return None if raw is None else parse(raw)

    def ids(self, collection: str) -> list[str]:
        """Return the ids of a collection's documents, in the order in which they were first put."""
        with self.reading():
            return [key for key, _ in self.documents(collection)]

    def reading(self) -> Reading:
        """Hold one committed state, the newest, within a `with` block: for several looks at `raw` and at indexes."""
        return Reading(self._state)

    def raw(self, collection: str, key: str) -> bytes | None:
        """Return a document's JSON, within a `reading` or a transaction: as last committed."""
        documents = self._state.collections.get(collection)
        return None if documents is None else documents.get(key)

    def documents(self, collection: str) -> Iterable[tuple[str, bytes]]:
        """Iterate a collection's ids and JSON, the first put first, within a `reading` or a transaction."""
        return self._state.collections.get(collection, {}).items()

    def snapshot(self) -> tuple[Collections, int]:
        """Return all documents as they are at one moment, by collection and id, and the last transaction's number."""
        with self.reading():
            return {name: dict(found) for name, found in self._state.collections.items()}, self._state.reader.seq

    def transaction(self) -> Transaction:
        """Begin a transaction: a `with` block that commits at its end, and changes nothing where it raises."""
        return Transaction(self)

    def check(self, timeout_s: float) -> None:
        """Raise what a reader or, as far as can be told without a commit, a writer would meet now.

        Where the last write failed, try whether the file can grow again.
        """
        with self.reading():
            pass
        with self._lock.held(timeout_s):
            if not self._write_failed:
                return
            with unavailable(f"write {self._path}"), LogWriter(self._path) as writer:
                with self._state.mutex:
                    self._state.catch_up()
                    offset = self._state.reader.offset
                writer.try_to_grow(offset)
            self._write_failed = False

    def compact(self) -> None:
        """Write the file anew without what is superseded; where that fails the old one goes on."""
        with self._lock.held():
            with self._state.mutex:
                self._state.catch_up()
            self._compact()

    def close(self) -> None:
        """Let go of the file."""
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
        """Replace the file by one without what is superseded; where that fails the old one goes on."""
        state = self._state
        with state.mutex:
            reader = state.reader
            seq, generation, before = reader.seq, reader.header.generation, reader.offset
            # Only a writer changes what is in them, and this one is the only writer.
            collections = dict(state.collections)
        try:
            compaction.write(self._path, collections, seq, previous=generation)
        except OSError as error:
            log.warning("%s could not be compacted: %s", self._path, error.strerror)
            return
        with state.mutex:
            state.catch_up()
            log.info("%s compacted from %d to %d bytes", self._path, before, state.reader.offset)


Changes = dict[tuple[str, str], bytes | None]
"""By collection and id: a document's JSON, or None where it is removed."""


class Reading:
    """A `with` block in which one committed state of a database is held; short, for all readers wait for it."""

    __slots__ = ("_state",)

    def __init__(self, state: Follower) -> None:
        self._state = state

    def __enter__(self) -> None:
        self._state.mutex.acquire()
        try:
            self._state.look()
        except BaseException:
            self._state.mutex.release()
            raise

    def __exit__(self, *_: object) -> None:
        self._state.mutex.release()


class Transaction:
    """A `with` block under the writers' lock that sees the newest state, and commits when it is left without an error.

    Then its changes are on the disk. Raises Unavailable where that fails; `may_be_stored` tells whether they might be
    there all the same. Keep the block short, for all readers of this process wait for it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changes: Changes = {}
        self._steps: list[Callable[[], None]] = []
        self.may_be_stored = False

    def get(self, collection: str, key: str) -> dict[str, Any] | None:
        """Return a document as this transaction leaves it."""
        place = (collection, key)
        raw = self._changes[place] if place in self._changes else self._database.raw(collection, key)
        return None if raw is None else parse(raw)

    def put(self, collection: str, key: str, document: Mapping[str, Any]) -> None:
        """Put a document, new or in the place of the one of that id."""
        try:
            self._changes[collection, key] = orjson.dumps(document)
        except TypeError as error:
            raise InvalidRequest(f"{collection} document {key!r} cannot be written as JSON: {error}") from error

    def remove(self, collection: str, key: str) -> None:
        """Remove a document; it need not exist."""
        self._changes[collection, key] = None

    def before_commit(self, step: Callable[[], None]) -> None:
        """Take a step at the end of the block, under the lock still, while readers go on.

        Where it raises, nothing is committed.
        """
        self._steps.append(step)

    def __enter__(self) -> Self:
        database = self._database
        with ExitStack() as stack:
            stack.enter_context(database._lock.held())
            with unavailable(f"write {database._path}"):
                self._writer = stack.enter_context(LogWriter(database._path))
            database._state.mutex.acquire()
            self._reading = stack.enter_context(ExitStack())
            self._reading.callback(database._state.mutex.release)
            database._state.catch_up()
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


def parse(raw: bytes) -> dict[str, Any]:
    """Read a document's JSON."""
    document: dict[str, Any] = orjson.loads(raw)
    return document
