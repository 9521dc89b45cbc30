"""A job as a document (collection: `jobs`, by job id), and the jobs of a yard.

What may become of a job is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from modelyard.errors import DataLoss
from modelyard.references import no_such_job
from modelyard.schemas import Job
from modelyard.storage.collections.audit import AuditCollection
from modelyard.storage.collections.job_index import JOBS, JobIndex
from modelyard.storage.protocols import Documents, Transaction


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A stored job: what everybody sees of it; who owns it; and its request's idempotency key and SHA-256.

    `owner` is the id of the lock of the process that runs it or will, None while anybody may. `by` is who ordered it,
    None for jobs of releases before it. `details` are what an experiment tracker is told of the order should no model
    come of it; None if trainings are not tracked. `told` is what the runs of a search have told so far, `lost` how many
    processes in a row have died since, while they carried the search through.
    """

    job: Job
    owner: str | None = None
    idempotency_key: str | None = None
    request_sha256: str | None = None
    details: Mapping[str, Any] | None = None
    by: str | None = None
    told: tuple[Mapping[str, Any], ...] = ()
    lost: int = 0


class JobChanges:
    """The jobs within a transaction; `index` is of the state before it."""

    def __init__(self, transaction: Transaction, index: JobIndex, audit: AuditCollection) -> None:
        self._transaction = transaction
        self._audit = audit
        self.index = index

    def get(self, job_id: str) -> JobRecord:
        """Return a job as this transaction leaves it. Raises JobNotFound."""
        return _record(job_id, self._transaction.get(JOBS, job_id))

    def put(self, record: JobRecord) -> None:
        """Put a job, a new one or the next state of the one with that id."""
        self._transaction.put(JOBS, record.job.job_id, _document(record))

    def note(self, verb: str, job: Job) -> None:
        """Write to the audit what the call under way does with a job."""
        what = {"job_id": job.job_id, "model_class": job.model_class_key}
        self._audit.note(self._transaction, verb, what if job.name is None else {**what, "name": job.name})

    def remove(self, job_id: str) -> None:
        """Remove a job; it need not exist."""
        self._transaction.remove(JOBS, job_id)


class JobCollection:
    """The jobs in the documents, which `index` observes. Every use raises what the documents raise."""

    def __init__(self, documents: Documents, index: JobIndex, audit: AuditCollection) -> None:
        self._documents = documents
        self._index = index
        self._audit = audit

    def get(self, job_id: str) -> JobRecord:
        """Return a job. Raises JobNotFound."""
        return _record(job_id, self._documents.get(JOBS, job_id))

    @contextmanager
    def reading(self) -> Iterator[JobIndex]:
        """Hold the newest committed state within a `with` block."""
        with self._documents.reading():
            yield self._index

    @contextmanager
    def changing(self) -> Iterator[JobChanges]:
        """Change jobs in a transaction of their own: a `with` block that changes nothing if it raises."""
        with self._documents.transaction() as transaction:
            yield self.within(transaction)

    def within(self, transaction: Transaction) -> JobChanges:
        """Change jobs in a transaction that changes more than them."""
        return JobChanges(transaction, self._index, self._audit)


def _document(record: JobRecord) -> dict[str, Any]:
    document: dict[str, Any] = {
        "job": record.job.model_dump(mode="json"),
        "owner": record.owner,
        "by": record.by,
        "idempotency_key": record.idempotency_key,
        "request_sha256": record.request_sha256,
    }
    if record.details is not None:
        document["details"] = record.details
    if record.told:
        document["told"] = list(record.told)
    if record.lost:
        document["lost"] = record.lost
    return document


def _record(job_id: str, document: Mapping[str, Any] | None) -> JobRecord:
    """Read a record from a document. Raises JobNotFound if there is none, DataLoss if it is no job's."""
    if document is None:
        raise no_such_job(job_id)
    try:
        return JobRecord(
            Job.model_validate(document["job"]),
            document["owner"],
            document["idempotency_key"],
            document["request_sha256"],
            document.get("details"),
            document.get("by"),
            tuple(document.get("told", ())),
            document.get("lost", 0),
        )
    except (ValidationError, KeyError, TypeError) as error:
        raise DataLoss(f"the document of job {job_id} is damaged: {error}") from error
