"""Tracking in the documents: which runs a tracker is yet to be told of, and what came of telling it.

Models, the tombstones of models deleted for good, and jobs that ended without a model each hold a `Tracking`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from modelyard.errors import DataLoss
from modelyard.schemas import Tracking
from modelyard.storage.collections.job_index import JOBS
from modelyard.storage.collections.models import MODELS, TOMBSTONES
from modelyard.storage.protocols import Documents, Transaction

_PARTS = {MODELS: "metadata", JOBS: "job", TOMBSTONES: None}
"""Where in a collection's documents `tracking` stands; None: at the top."""

_CHANGED_AT = {MODELS: "updated_at", JOBS: "ended_at", TOMBSTONES: "deleted_at"}
"""The moment of the change that a tracker is told of."""

_Found = tuple[str, dict[str, Any]]
"""A document and its collection."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Something that is yet to be told: a model, a tombstone or a job, and when it came to be so."""

    key: str
    collection: str
    at: datetime


class TrackingIndex:
    """An observer of the documents, guarded by their lock: use it within a `reading` or a transaction.

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
                self.pending[key] = Pending(key, collection, datetime.fromisoformat(part[_CHANGED_AT[collection]]))
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
    """The state of a run that a tracker was told of: a run in another state has more to tell."""

    collection: str
    changed: str


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """What a tracker may be told of: a model, one that was deleted for good, or a job that ended without one.

    `said` is what everybody sees of it, as JSON. `details` are what is known of a job's order.
    """

    collection: str
    said: Mapping[str, Any]
    details: Mapping[str, Any]

    @property
    def is_job(self) -> bool:
        return self.collection == JOBS

    @property
    def is_gone(self) -> bool:
        return self.collection == TOMBSTONES

    @property
    def parent_id(self) -> str | None:
        """The id of the model that was retrained."""
        parent_id: str | None = self.said.get("parent_id")
        return parent_id

    @property
    def tracking(self) -> Tracking:
        """What is known of its tracking; older releases said nothing."""
        return Tracking.model_validate(self.said.get("tracking") or {})

    @property
    def told(self) -> Told:
        """The state it is in."""
        return Told(self.collection, str(self.said.get("updated_at")))


class TrackedRuns:
    """The tracked runs in the documents, which `index` observes. Every use raises what the documents raise."""

    def __init__(self, documents: Documents, index: TrackingIndex) -> None:
        self._documents = documents
        self._index = index

    def pending(self) -> list[Pending]:
        """Return what is yet to be told, in the order in which it came to be so."""
        with self._documents.reading():
            found = list(self._index.pending.values())
        return sorted(found, key=lambda one: (one.at, one.key))

    def counts(self) -> tuple[int, int]:
        """Return how much is yet to be told, and how much was refused for good."""
        with self._documents.reading():
            return len(self._index.pending), len(self._index.failed)

    def failed(self) -> list[str]:
        """Return the keys of what was refused for good."""
        with self._documents.reading():
            return sorted(self._index.failed)

    def children_told(self, model_id: str) -> list[str]:
        """Return the retrainings of a model that were told of."""
        with self._documents.reading():
            return sorted(self._index.children.get(model_id, ()))

    def find(self, key: str) -> TrackedRun | None:
        """Return the run of a key, None if there is none."""
        with self._documents.reading():
            raw = ((collection, self._documents.raw(collection, key)) for collection in _PARTS)
            found = next(((collection, body) for collection, body in raw if body is not None), None)
        return None if found is None else _run((found[0], orjson.loads(found[1])))

    def settle(self, key: str, told: Told, tracking: Tracking, *, concerns: Sequence[str] = ()) -> Tracking | None:
        """Write down what came of telling; what has changed since then stays pending. None if it is gone.

        In the same transaction those whom it `concerns` are to be told again, if they were told.
        """
        with self._documents.transaction() as transaction:
            _mark_pending(transaction, concerns, only_if="sent")
            found = _find(transaction, key)
            if found is None:
                return None
            if tracking.status == "sent" and _run(found).told != told:
                tracking = tracking.model_copy(update={"status": "pending"})
            _put(transaction, key, found, tracking)
        return tracking

    def refuse(self, key: str, reason: str) -> None:
        """Write down that something will never be taken, and why."""
        with self._documents.transaction() as transaction:
            found = _find(transaction, key)
            if found is not None:
                refused = _run(found).tracking.model_copy(update={"status": "failed", "reason": reason})
                _put(transaction, key, found, refused)

    def mark_pending(self, keys: Sequence[str], *, only_if: str) -> list[str]:
        """Have those told (again) whose tracking is `only_if`; return which they were."""
        with self._documents.transaction() as transaction:
            return _mark_pending(transaction, keys, only_if=only_if)


def _mark_pending(transaction: Transaction, keys: Sequence[str], *, only_if: str) -> list[str]:
    marked = []
    for key in keys:
        found = _find(transaction, key)
        if found is not None and (tracking := _run(found).tracking).status == only_if:
            _put(transaction, key, found, tracking.model_copy(update={"status": "pending", "reason": None}))
            marked.append(key)
    return marked


def _find(transaction: Transaction, key: str) -> _Found | None:
    documents = ((collection, transaction.get(collection, key)) for collection in _PARTS)
    return next(((collection, document) for collection, document in documents if document is not None), None)


def _put(transaction: Transaction, key: str, found: _Found, tracking: Tracking) -> None:
    collection, document = found
    _part(collection, document)["tracking"] = tracking.model_dump()
    transaction.put(collection, key, document)


def _run(found: _Found) -> TrackedRun:
    collection, document = found
    return TrackedRun(collection, _part(collection, document), document.get("details") or {})


def _part(collection: str, document: dict[str, Any]) -> dict[str, Any]:
    name = _PARTS[collection]
    part: dict[str, Any] = document if name is None else document[name]
    return part
