"""What is kept of a job, and the document it is kept in: collection `jobs`, by job id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from modelyard.errors import DataLoss
from modelyard.schemas import Job

JOBS = "jobs"


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A stored job: what everybody sees of it; who owns it; and its request's idempotency key and SHA-256.

    `owner` is the id of the lock of the process that runs it or will, None while anybody may. `details` are what an
    experiment tracker is told of the order should no model come of it; None where trainings are not tracked.
    """

    job: Job
    owner: str | None = None
    idempotency_key: str | None = None
    request_sha256: str | None = None
    details: Mapping[str, Any] | None = None


def job_document(record: JobRecord) -> dict[str, Any]:
    """Write a record as a document."""
    document: dict[str, Any] = {
        "job": record.job.model_dump(mode="json"),
        "owner": record.owner,
        "idempotency_key": record.idempotency_key,
        "request_sha256": record.request_sha256,
    }
    if record.details is not None:
        document["details"] = record.details
    return document


def job_record(job_id: str, document: Mapping[str, Any]) -> JobRecord:
    """Read a record from a document. Raises DataLoss where it is none."""
    try:
        return JobRecord(
            Job.model_validate(document["job"]),
            document["owner"],
            document["idempotency_key"],
            document["request_sha256"],
            document.get("details"),
        )
    except (ValidationError, KeyError, TypeError) as error:
        raise DataLoss(f"the document of job {job_id} is damaged: {error}") from error
