"""An index of all jobs: those alive in order, the newest of each idempotency key, the newest of all."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from modelyard.schemas import JobKind, JobStatus

JOBS = "jobs"
ALIVE = ("queued", "running")


def is_alive(document: bytes | None) -> bool:
    """Whether the document of a job is there, and the job has not ended."""
    return document is not None and orjson.loads(document)["job"]["status"] in ALIVE


@dataclass(frozen=True, slots=True)
class JobEntry:
    """A job as the index holds it until its end."""

    job_id: str
    status: JobStatus
    owner: str | None
    kind: JobKind = "train"


class JobIndex:
    """An observer of the documents, guarded by their lock: use it within a `reading` or a transaction.

    `alive` holds queued and running jobs, the first ordered first. `changes` counts changes to any job.
    """

    def __init__(self) -> None:
        self.changes = 0
        self.reset()

    def reset(self) -> None:
        self.alive: dict[str, JobEntry] = {}
        self.by_key: dict[str, str] = {}
        self.changes += 1
        self._ids: list[str] = []  # by age
        self._status: dict[str, JobStatus] = {}
        self._keys: dict[str, str] = {}
        self._names: dict[str, str | None] = {}
        self._kinds: dict[str, str] = {}

    def put(self, collection: str, key: str, document: dict[str, Any]) -> None:
        if collection != JOBS:
            return
        job = document["job"]
        entry = JobEntry(key, job["status"], document["owner"], job.get("kind", "train"))
        idempotency_key = document["idempotency_key"]
        self.changes += 1
        if key not in self._status:
            insort(self._ids, key)
        self._status[key] = entry.status
        self._names[key] = job.get("name")
        self._kinds[key] = entry.kind
        if entry.status in ALIVE:
            self.alive[key] = entry
        else:
            self.alive.pop(key, None)
        if idempotency_key is not None:
            self.by_key[idempotency_key] = max(key, self.by_key.get(idempotency_key, key))
            self._keys[key] = idempotency_key

    def remove(self, collection: str, key: str) -> None:
        if collection != JOBS or key not in self._status:
            return
        self.changes += 1
        del self._status[key], self._names[key], self._kinds[key], self._ids[bisect_left(self._ids, key)]
        self.alive.pop(key, None)
        idempotency_key = self._keys.pop(key, None)
        if idempotency_key is not None and self.by_key.get(idempotency_key) == key:
            del self.by_key[idempotency_key]

    def counts(self) -> Counter[tuple[str, JobStatus]]:
        """Return how many jobs there are of each kind and status."""
        return Counter((self._kinds[job_id], status) for job_id, status in self._status.items())

    def select(
        self, status: JobStatus | None, before: str | None, count: int, sees: Callable[[str | None], bool]
    ) -> list[str]:
        """Return the ids of the newest `count` jobs of a status, of those older than the id `before`.

        Only those are meant whose models have names that somebody sees.
        """
        end = len(self._ids) if before is None else bisect_left(self._ids, before)
        found = (job_id for job_id in reversed(self._ids[:end]) if status in (None, self._status[job_id]))
        found = (job_id for job_id in found if sees(self._names[job_id]))
        return [job_id for job_id, _ in zip(found, range(count), strict=False)]

    def oldest_ended(self, kept: int, count: int) -> list[str]:
        """Return up to `count` ended jobs, the oldest first, of those beyond the newest `kept`."""
        surplus = len(self._ids) - kept
        return [job_id for job_id in self._ids[: max(0, min(surplus, count))] if job_id not in self.alive]
