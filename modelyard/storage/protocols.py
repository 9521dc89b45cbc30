"""The protocols of the engines. Collections and upkeep know no more of them, so another engine can take their place.

`Documents` is a transactional database of JSON documents, held in every process's memory. `Artifacts` keeps the files
of models. `Series` takes entries that are appended, read by time and never held in memory. `Locks` lets one of all
processes do what only one may. An engine knows no collection.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from modelyard.errors import InvalidRequest

EntryT = TypeVar("EntryT")

Collections = dict[str, dict[str, bytes]]
"""Documents as JSON, by collection and id, the first put first."""


def now() -> datetime:
    """Return the moment (UTC)."""
    return datetime.now(UTC)


class Observer(Protocol):
    """Keeps an index of the documents. It is told of every change in order, while no reader looks."""

    def reset(self) -> None:
        """Forget everything: the documents are read anew from here on."""

    def put(self, collection: str, key: str, document: dict[str, Any]) -> None:
        """Take a document that is new or has changed. What a wrong shape raises makes the document a damaged one."""

    def remove(self, collection: str, key: str) -> None:
        """Take note that a document is gone."""


class Transaction(Protocol):
    """A `with` block that sees the newest state, alone among all writers, and commits if it is left without an error.

    After the block its changes are durable. Raises Unavailable if that fails; `may_be_stored` then tells whether they
    might be stored all the same. Keep the block short, because all readers of this process wait for it.
    """

    may_be_stored: bool
    number: int
    """The number that it will have, one above the last one's. It is known within the block."""

    def get(self, collection: str, key: str) -> dict[str, Any] | None:
        """Return a document as this transaction leaves it."""

    def put(self, collection: str, key: str, document: Mapping[str, Any]) -> None:
        """Put a document, new or in the place of the one of that id. Raises InvalidRequest if it is no JSON."""

    def remove(self, collection: str, key: str) -> None:
        """Remove a document; it need not exist."""

    def before_commit(self, step: Callable[[], None]) -> None:
        """Take a step at the end of the block, still alone among writers, while readers go on.

        If it raises, nothing is committed. No step is taken if nothing was put or removed.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Documents(Protocol):
    """A transactional database of JSON documents in collections, shared by threads and processes.

    Every use raises Unavailable if the system refuses, DataLoss if what is stored is damaged, FailedPrecondition if a
    newer release wrote it.
    """

    def reading(self) -> AbstractContextManager[None]:
        """Hold the newest committed state within a `with` block, for several looks at documents and indexes.

        A `reading` within another one holds the same state.
        """

    def raw(self, collection: str, key: str) -> bytes | None:
        """Return a document's JSON as last committed. Call it within a `reading` or a transaction."""

    def documents(self, collection: str) -> Iterable[tuple[str, bytes]]:
        """Iterate a collection's ids and JSON, the first put first. Call it within a `reading` or a transaction."""

    def get(self, collection: str, key: str) -> dict[str, Any] | None:
        """Return a document as last committed."""

    def snapshot(self) -> tuple[Collections, int]:
        """Return all documents as they are at one moment, and the number of the last transaction."""

    def about(self) -> str:
        """Say in words what keeps the documents and how fresh they are; nothing of a folder, which is as it is."""

    def check(self, timeout_s: float) -> None:
        """Raise what a reader or a writer would meet now, as far as that is known without a commit."""

    def transaction(self) -> Transaction:
        """Begin a transaction."""

    def compact(self) -> None:
        """Leave nothing of what is superseded to be read, if anything is."""

    def go_on_from(self, seq: int) -> None:
        """Give later transactions, which are those of a copy to here, numbers above this one."""

    def close(self) -> None:
        """Let go of what is open."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What the content of a file must be: its SHA-256 in hex and its size in bytes."""

    sha256: str
    bytes: int


def stored(content: bytes) -> StoredFile:
    """Say what a file of this content must be."""
    return StoredFile(hashlib.sha256(content).hexdigest(), len(content))


class ArtifactGone(Exception):
    """A file is not there. Only the documents know whether it should be."""


SETTLED_AFTER_S = 24 * 3600.0
"""What is written before it is named, and was not named in so many seconds, is taken for garbage."""


class Artifacts(Protocol):
    """The files of models, by model id: written whole or not at all, never changed, verified when read.

    A model's files are written into a folder, which is staged, then adopted: under the model's id they count from then
    on. Every use raises Unavailable if the system refuses.
    """

    def stage(self, model_id: str, folder: Path, contents: Mapping[str, bytes]) -> None:
        """Make a folder's files and these beside them durable for a model. No later step needs space for them."""

    def adopt(self, model_id: str, folder: Path) -> None:
        """Give a staged folder to a model."""

    def replace(self, model_id: str, name: str, content: bytes) -> None:
        """Put a file in the place of one that is damaged or tells of the past: the old one or the new one is read."""

    def read(self, model_id: str, name: str, expected: StoredFile | None) -> bytes:
        """Return a file's content. Raises ArtifactGone, DataLoss if it is not the expected one (None: any is)."""

    def verify(self, model_id: str, name: str, expected: StoredFile) -> Path:
        """Return the path of a file on this machine after reading it through. Raises like `read`."""

    def remove(self, model_id: str) -> None:
        """Remove a model's files as far as the system permits; what is left is garbage. Raises nothing."""

    def model_ids(self) -> list[str]:
        """Return the ids under which there are files, whether a document names them or not."""

    def size(self, model_id: str) -> int:
        """Return how many bytes a model's files have."""

    def is_settled(self, model_id: str) -> bool:
        """Whether files that no document names now, while no other writes, are nobody's and not about to be named."""

    def temporaries(self) -> list[Path]:
        """Return the folders in which an earlier release wrote a model's files, untouched for an hour."""

    def discard(self, folder: Path) -> None:
        """Remove one of these."""

    def check(self) -> None:
        """Raise Unavailable if no file can be written now."""


@dataclass(frozen=True, slots=True)
class SeriesEntry:
    """One entry of a stream, and the moment (UTC) at which it was appended."""

    at: datetime
    fields: dict[str, Any]


Appended = tuple[datetime, Sequence[Mapping[str, Any]]]
"""What one append brought: its moment and its entries."""


class Series(Protocol):
    """Streams of entries, appended by threads and processes at once and read by time; nothing is held in memory.

    A stream is there once it has been appended to; its name has lower-case letters, digits, `_` and `-`, at most 64, a
    letter first. Every use raises InvalidRequest for another name, Unavailable if the system refuses.
    """

    def append(self, stream: str, entries: Sequence[Mapping[str, Any]], *, loose: bool = False) -> datetime:
        """Add entries at the end of a stream, all or none; return their moment. They are on the disk then.

        With `loose` they outlive the process, but a power cut may lose some of the last seconds. A writer's moments
        never go back, even if the clock does. Raises InvalidRequest if the entries are no JSON.
        """

    def take(self, stream: str, appended: Iterable[Appended]) -> None:
        """Add what was appended elsewhere, in order of time, with its moments. All is on the disk at the end."""

    def scan(self, stream: str, since: datetime | None = None, until: datetime | None = None) -> Iterator[SeriesEntry]:
        """Iterate the entries of all writers in order of time, from `since` on and before `until`.

        Raises DataLoss at a damaged entry, after those before it.
        """

    def read(self, stream: str, kind: type[EntryT], since: datetime | None = None) -> Iterator[tuple[datetime, EntryT]]:
        """Iterate entries with their moments, each read as a `kind` (a `msgspec.Struct`), day by day in no order.

        `since` leaves out the days before it. This is the way for millions of entries. Raises like `scan`.
        """

    def streams(self) -> list[str]:
        """Return the names of the streams that there are."""

    def problems(self) -> Iterator[tuple[str, str, bool]]:
        """Yield the names of pieces of streams, each with what is wrong with it, in words, and whether it is damaged.

        If not, it has lost some of its end, as it may by a power cut.
        """

    def mend(self, piece: str, aside: Callable[[bytes], None]) -> str:
        """Leave of a piece what is whole, after its content was given to `aside`; say what was done."""

    def drop(self, stream: str, before: datetime) -> None:
        """Remove the days (UTC) of a stream that ended before this moment or at it; whole days only."""

    def remove(self, stream: str) -> None:
        """Remove a whole stream."""


class Snapshots(Protocol):
    """Small contents by name, each written whole in the place of its last one; all processes read them.

    A name has lower-case letters, digits and `-`. Each has one writer. Every use raises Unavailable if the system
    refuses.
    """

    def put(self, name: str, content: bytes) -> None:
        """Write a content in the place of the last one: whoever reads finds one of the two."""

    def names(self) -> list[str]:
        """Return the names of all contents."""

    def get(self, name: str) -> bytes | None:
        """Return a content; None if it is gone."""

    def remove(self, name: str) -> None:
        """Remove a content; it need not exist."""


_STREAM = re.compile(r"[a-z][a-z0-9_-]{0,63}")


def is_stream(name: str) -> bool:
    """Whether a stream may have this name."""
    return _STREAM.fullmatch(name) is not None


def check_stream(name: str) -> None:
    """Raise InvalidRequest unless a stream may have this name."""
    if not is_stream(name):
        raise InvalidRequest(
            f"{name[:100]!r} is no name of a stream: it has lower-case letters, digits, '_' and '-', at most 64, "
            "a letter first"
        )


class Locks(Protocol):
    """Locks by name, for all processes of a yard. The system frees a lock when its holder dies."""

    def held(self, name: str) -> AbstractContextManager[None]:
        """Hold a lock within a `with` block. Raises Unavailable at once if another process or thread holds it."""
