"""What engines of documents have in common: the documents in memory, and what a transaction changes of them."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from modelyard.errors import DataLoss, FailedPrecondition, InvalidRequest
from modelyard.storage.protocols import Collections, Observer

MOVED = "moved"
"""The collection of the one document of a yard that was moved elsewhere."""

COMING = "coming"
"""The collection of the one document of a yard that is being copied to, and is none yet."""

PLACE = "place"
"""The id of either document."""

Changes = dict[tuple[str, str], bytes | None]
"""By collection and id: a document's JSON, or None if it is removed."""


@dataclass(slots=True)
class Salvaged:
    """The documents that are whole, the number of the last transaction, and the damage of the rest, in words.

    `what` is damaged then. `lost` are documents that are known to be damaged, each with what there is of it.
    """

    what: str
    collections: Collections = field(default_factory=dict)
    seq: int = 0
    damage: list[str] = field(default_factory=list)
    lost: dict[tuple[str, str], bytes] = field(default_factory=dict)


class Memory(ABC):
    """The documents as JSON, and the observers that index them. Callers hold `mutex` around everything here.

    `readings` is how many readings hold the state, one within the other.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self.mutex = threading.RLock()
        self.readings = 0
        self.collections: Collections = {}
        self._observers = tuple(observers)

    @abstractmethod
    def look(self) -> None:
        """Bring the state up to what is committed now. Raises Unavailable, DataLoss, FailedPrecondition."""

    def clear(self) -> None:
        """Forget everything."""
        self.collections = {}
        for observer in self._observers:
            observer.reset()

    def raw(self, collection: str, key: str) -> bytes | None:
        """Return a document's JSON."""
        documents = self.collections.get(collection)
        return None if documents is None else documents.get(key)

    def check_not_moved(self) -> None:
        """Raise FailedPrecondition if the yard was moved elsewhere: it takes no change any more."""
        for raw in self.collections.get(MOVED, {}).values():
            raise FailedPrecondition(f"this yard was moved to {parse(raw)['to']}; nothing is changed here any more")

    def put(self, collection: str, key: str, raw: bytes, document: dict[str, Any]) -> bytes | None:
        """Put a document and return the one it replaces. Raises DataLoss if an index finds its shape wrong."""
        documents = self.collections.get(collection)
        if documents is None:
            documents = self.collections[collection] = {}
        old = documents.get(key)
        documents[key] = raw
        try:
            for observer in self._observers:
                observer.put(collection, key, document)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DataLoss(f"document {key} of {collection} is damaged: {error!r}") from error
        return old

    def remove(self, collection: str, key: str) -> bytes | None:
        """Remove a document and return it; None if there was none."""
        old = self.collections.get(collection, {}).pop(key, None)
        if old is not None:
            for observer in self._observers:
                observer.remove(collection, key)
        return old


class Reading:
    """A `with` block in which one committed state is held. Keep it short, because all readers wait for it.

    A block within another one of its thread holds the same state, so it does not look anew.
    """

    __slots__ = ("_state",)

    def __init__(self, state: Memory) -> None:
        self._state = state

    def __enter__(self) -> None:
        state = self._state
        state.mutex.acquire()
        try:
            if not state.readings:
                state.look()
        except BaseException:
            state.mutex.release()
            raise
        state.readings += 1

    def __exit__(self, *_: object) -> None:
        self._state.readings -= 1
        self._state.mutex.release()


class Draft:
    """What a transaction changes, over the documents in memory, and the steps before it is committed."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._changes: Changes = {}
        self._steps: list[Callable[[], None]] = []
        self.may_be_stored = False
        self.number = 0

    def get(self, collection: str, key: str) -> dict[str, Any] | None:
        place = (collection, key)
        raw = self._changes[place] if place in self._changes else self._memory.raw(collection, key)
        return None if raw is None else parse(raw)

    def put(self, collection: str, key: str, document: Mapping[str, Any]) -> None:
        try:
            self._changes[collection, key] = orjson.dumps(document)
        except TypeError as error:
            raise InvalidRequest(f"{collection} document {key!r} cannot be written as JSON: {error}") from error

    def remove(self, collection: str, key: str) -> None:
        self._changes[collection, key] = None

    def before_commit(self, step: Callable[[], None]) -> None:
        self._steps.append(step)


def check_whole(coming: bytes | None) -> None:
    """Raise FailedPrecondition if there is the document of a yard that is still being copied to."""
    if coming is not None:
        source = parse(coming)["from"]
        raise FailedPrecondition(
            f"there is no whole yard yet: a copy of {source} to here has not ended; call the same command again"
        )


def parse(raw: bytes) -> dict[str, Any]:
    """Read a document's JSON."""
    document: dict[str, Any] = orjson.loads(raw)
    return document
