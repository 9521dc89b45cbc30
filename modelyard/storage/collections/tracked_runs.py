"""Tracking in the documents: which runs the tracker has not been told of, and what came of telling it.

Models, the tombstones of models deleted for good, and jobs that ended without a model each hold a `Tracking`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from modelyard.schemas import Tracking
from modelyard.storage.collections.job_index import JOBS
from modelyard.storage.collections.models import MODELS, TOMBSTONES
from modelyard.storage.protocols import Documents, Transaction

_PARTS = {MODELS: "metadata", JOBS: "job", TOMBSTONES: None}
"""Where in a collection's documents `tracking` stands; None: at the top."""

_MADE_AT = {MODELS: "created_at", JOBS: "ended_at", TOMBSTONES: "created_at"}
"""When a run came to its end: runs that the tracker does not know are told in this order, whatever happened since."""

_CHANGED_AT = {MODELS: "updated_at", JOBS: "ended_at", TOMBSTONES: "deleted_at"}
"""When a run that the tracker knows changed last."""

_Found = tuple[str, dict[str, Any]]
"""A document and its collection."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Something to tell: a model, a tombstone or a job, and when it happened."""

    key: str
    collection: str
    at: datetime


class TrackingIndex:
    """An observer of the documents, guarded by their lock: use it within a `reading` or a transaction.

    `children` holds for each model its retrainings that the tracker knows, `jobs` the job that made a model, `running`
    when each job that runs now was started.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.pending: dict[str, Pending] = {}
        self.failed: dict[str, str] = {}
        self.children: dict[str, set[str]] = {}
        self.jobs: dict[str, str] = {}
        self.running: dict[str, datetime] = {}

    def put(self, collection: str, key: str, document: dict[str, Any]) -> None:
        if collection not in _PARTS:
            return
        part = _part(collection, document)
        tracking = part.get("tracking") or {}
        status = tracking.get("status", "off")
        if status == "pending":
            moment = (_MADE_AT if tracking.get("task_id") is None else _CHANGED_AT)[collection]
            self.pending[key] = Pending(key, collection, datetime.fromisoformat(part[moment]))
        else:
            self.pending.pop(key, None)
        if collection == JOBS:
            self._put_job(key, part)
        if status == "failed":
            self.failed[key] = collection
        else:
            self.failed.pop(key, None)
        if status == "sent" and (parent_id := part.get("parent_id")) is not None:
            self.children.setdefault(parent_id, set()).add(key)

    def remove(self, collection: str, key: str) -> None:
        """Forget a document, unless the key is a tombstone's by now."""
        if key in self.pending and self.pending[key].collection == collection:
            del self.pending[key]
        if self.failed.get(key) == collection:
            del self.failed[key]
        if collection == JOBS:
            self.running.pop(key, None)
            self.jobs = {model_id: job_id for model_id, job_id in self.jobs.items() if job_id != key}

    def _put_job(self, job_id: str, job: dict[str, Any]) -> None:
        if job["status"] == "running":
            self.running[job_id] = datetime.fromisoformat(job["started_at"])
        else:
            self.running.pop(job_id, None)
        if job["model_id"] is not None:
            self.jobs[job["model_id"]] = job_id


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
        """Return what is to be told, in the order in which it happened."""
        with self._documents.reading():
            found = list(self._index.pending.values())
        return sorted(found, key=lambda one: (one.at, one.key))

    def counts(self) -> tuple[int, int]:
        """Return how much is to be told, and how much was refused for good."""
        with self._documents.reading():
            return len(self._index.pending), len(self._index.failed)

    def failed(self) -> list[str]:
        """Return the keys of the runs that were refused for good."""
        with self._documents.reading():
            return sorted(self._index.failed)

    def children_told(self, model_id: str) -> list[str]:
        """Return the retrainings of a model that the tracker knows."""
        with self._documents.reading():
            return sorted(self._index.children.get(model_id, ()))

    def running(self) -> dict[str, datetime]:
        """Return the jobs that run now, and when each was started."""
        with self._documents.reading():
            return dict(self._index.running)

    def job_of(self, model_id: str) -> str | None:
        """Return the job that made a model; None if it is not kept any more."""
        with self._documents.reading():
            return self._index.jobs.get(model_id)

    def find(self, key: str) -> TrackedRun | None:
        """Return the run of a key, None if there is none."""
        with self._documents.reading():
            raw = ((collection, self._documents.raw(collection, key)) for collection in _PARTS)
            found = next(((collection, body) for collection, body in raw if body is not None), None)
        return None if found is None else _run((found[0], orjson.loads(found[1])))

    def settle(self, key: str, told: Told, tracking: Tracking, *, concerns: Sequence[str] = ()) -> Tracking | None:
        """Record the outcome of telling of a run, which stays pending if it changed meanwhile. None if it is gone.

        The same transaction marks the runs in `concerns` as pending if they were sent.
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
        """Record that the tracker refused a run for good, and why."""
        with self._documents.transaction() as transaction:
            found = _find(transaction, key)
            if found is not None:
                refused = _run(found).tracking.model_copy(update={"status": "failed", "reason": reason})
                _put(transaction, key, found, refused)

    def forget_task(self, key: str) -> None:
        """Write down that the tracker has lost its task of a run, so that it is told of the run anew."""
        with self._documents.transaction() as transaction:
            found = _find(transaction, key)
            if found is not None:
                _put(transaction, key, found, Tracking(status="pending"))

    def mark_pending(self, keys: Sequence[str], *, only_if: str) -> list[str]:
        """Mark those runs as pending whose tracking is `only_if`. Returns their keys."""
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
