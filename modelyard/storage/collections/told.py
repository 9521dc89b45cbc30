"""What the folder's documents say of tracking: which runs are yet to be told of, and what came of it.

Models, the tombstones of models deleted for good, and jobs that ended without a model each hold a `Tracking`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modelyard.errors import DataLoss
from modelyard.schemas import Tracking
from modelyard.storage import Database, Transaction
from modelyard.storage.database import parse
from modelyard.storage.records import MODELS, TOMBSTONES

JOBS = "jobs"
"""The collection that the jobs keep; they are a sibling, so its name is repeated here."""

_PARTS = {MODELS: "metadata", JOBS: "job", TOMBSTONES: None}
"""Where in a collection's documents `tracking` stands; None: at the top."""

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pending:
    """Something that is yet to be told: a model, a tombstone or a job, and when it came to be so."""

    key: str
    collection: str
    at: datetime


class TrackingIndex:
    """An observer of the database; guarded by its lock, so use it within a `reading` or a transaction.

    `children` holds by the id of a model the retrainings of it that were told of.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.pending: dict[str, Pending] = {}
        self.failed: dict[str, str] = {}
        self.children: dict[str, set[str]] = {}

    def put(self, collection: str, key: str, document: dict[str, Any]) -> None:
        """Take a document that is new or has changed."""
        if collection not in _PARTS:
            return
        try:
            part = _part(collection, document)
            status = (part.get("tracking") or {}).get("status", "off")
            if status == "pending":
                self.pending[key] = Pending(key, collection, _moment(collection, part))
            else:
                self.pending.pop(key, None)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DataLoss(f"document {key} of {collection} is damaged: {error!r}") from error
        if status == "failed":
            self.failed[key] = collection
        else:
            self.failed.pop(key, None)
        if status == "sent" and (parent_id := part.get("parent_id")) is not None:
            self.children.setdefault(parent_id, set()).add(key)

    def remove(self, collection: str, key: str) -> None:
        """Take note that a document is gone; a model's tombstone may be there by now."""
        if key in self.pending and self.pending[key].collection == collection:
            del self.pending[key]
        if self.failed.get(key) == collection:
            del self.failed[key]


@dataclass(frozen=True, slots=True)
class Told:
    """What a document said when it was told, by which it is known whether there is more to tell."""

    collection: str
    changed: str


class TrackedDocuments:
    """The documents of a database, of which `index` is an observer. Every use raises what the database raises."""

    def __init__(self, database: Database, index: TrackingIndex) -> None:
        self._database = database
        self._index = index

    def pending(self) -> list[Pending]:
        """Return what is yet to be told, in the order in which it came to be so."""
        with self._database.reading():
            found = list(self._index.pending.values())
        return sorted(found, key=lambda one: (one.at, one.key))

    def counts(self) -> tuple[int, int]:
        """Return how much is yet to be told, and how much was refused for good."""
        with self._database.reading():
            return len(self._index.pending), len(self._index.failed)

    def failed(self) -> list[str]:
        """Return the keys of what was refused for good."""
        with self._database.reading():
            return sorted(self._index.failed)

    def children_told(self, model_id: str) -> list[str]:
        """Return the retrainings of a model that were told of."""
        with self._database.reading():
            return sorted(self._index.children.get(model_id, ()))

    def find(self, key: str) -> tuple[str, dict[str, Any]] | None:
        """Return the collection and the document of a key, None where there is none."""
        with self._database.reading():
            for collection in _PARTS:
                raw = self._database.raw(collection, key)
                if raw is not None:
                    return collection, parse(raw)
        return None

    def settle(self, key: str, told: Told, tracking: Tracking, *, concerns: Sequence[str] = ()) -> Tracking | None:
        """Write down what came of telling; what has changed since then stays pending. None where it is gone.

        In the same transaction those whom it `concerns` are to be told again, if they were told.
        """
        with self._database.transaction() as transaction:
            self._mark_pending(transaction, concerns, only_if="sent")
            found = self._find(transaction, key)
            if found is None:
                return None
            collection, document = found
            if tracking.status == "sent" and told_of(collection, document) != told:
                tracking = tracking.model_copy(update={"status": "pending"})
            _put(transaction, collection, key, document, tracking)
        return tracking

    def refuse(self, key: str, reason: str) -> None:
        """Write down that something will never be taken, and why."""
        with self._database.transaction() as transaction:
            found = self._find(transaction, key)
            if found is not None:
                tracking = tracking_of(*found).model_copy(update={"status": "failed", "reason": reason})
                _put(transaction, *found[:1], key, found[1], tracking)

    def mark_pending(self, keys: Sequence[str], *, only_if: str) -> list[str]:
        """Have those told (again) whose tracking is `only_if`; return which they were."""
        with self._database.transaction() as transaction:
            return self._mark_pending(transaction, keys, only_if=only_if)

    def _mark_pending(self, transaction: Transaction, keys: Sequence[str], *, only_if: str) -> list[str]:
        marked = []
        for key in keys:
            found = self._find(transaction, key)
            if found is not None and tracking_of(*found).status == only_if:
                tracking = tracking_of(*found).model_copy(update={"status": "pending", "reason": None})
                _put(transaction, *found[:1], key, found[1], tracking)
                marked.append(key)
        return marked

    def _find(self, transaction: Transaction, key: str) -> tuple[str, dict[str, Any]] | None:
        for collection in _PARTS:
            document = transaction.get(collection, key)
            if document is not None:
                return collection, document
        return None


def tracking_of(collection: str, document: Document) -> Tracking:
    """Return what a document says of its tracking; older releases said nothing."""
    return Tracking.model_validate(_part(collection, document).get("tracking") or {})


def told_of(collection: str, document: Document) -> Told:
    """Return by what it is known whether a document has changed."""
    return Told(collection, str(_part(collection, document).get("updated_at")))


def _part(collection: str, document: Document) -> Document:
    name = _PARTS[collection]
    part: Document = document if name is None else document[name]
    return part


def _moment(collection: str, part: Document) -> datetime:
    if collection == JOBS:
        said = part["ended_at"]
    elif collection == TOMBSTONES:
        said = part["deleted_at"]
    else:
        said = part["updated_at"]
    return datetime.fromisoformat(said)


def _put(transaction: Transaction, collection: str, key: str, document: dict[str, Any], tracking: Tracking) -> None:
    name = _PARTS[collection]
    said = tracking.model_dump()
    changed = (
        {**document, "tracking": said} if name is None else {**document, name: {**document[name], "tracking": said}}
    )
    transaction.put(collection, key, changed)
