"""References: what a caller may write where a model is meant. The ids of jobs have the form of a model's."""

from __future__ import annotations

import re
from dataclasses import dataclass

from modelyard.errors import InvalidRequest, JobNotFound
from modelyard.schemas import ALIAS_PATTERN, NAME_PATTERN, is_model_id

_REFERENCE = re.compile(rf"({NAME_PATTERN})(?::([1-9][0-9]{{0,17}})|@({ALIAS_PATTERN}))?")


@dataclass(frozen=True, slots=True)
class NameReference:
    """A name, and one of its versions or aliases; with neither, what the name alone means."""

    name: str
    version: int | None = None
    alias: str | None = None


def parse_reference(reference: str) -> str | NameReference:
    """Return the model id that a reference is, in lower case, or the name that it is. Raises InvalidRequest."""
    if is_model_id(reference):
        return reference.lower()
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise InvalidRequest(
            f"{reference[:120]!r} is not a reference to a model: write a model id, a name (its latest active version), "
            f"name:version, as in 'churn:3', or name@alias"
        )
    name, version, alias = match.groups()
    return NameReference(name, None if version is None else int(version), alias)


def check_job_id(job_id: str) -> str:
    """Return `job_id` if a job may have it; raise JobNotFound otherwise."""
    if not is_model_id(job_id):
        raise no_such_job(job_id)
    return job_id


def no_such_job(job_id: str) -> JobNotFound:
    """Build the error for an id that no job has."""
    return JobNotFound(f"there is no job {job_id[:80]!r}")
