"""References: what a caller may write where a model is meant."""

from __future__ import annotations

import re
from dataclasses import dataclass

from modelyard.errors import InvalidRequest
from modelyard.schemas import NAME_PATTERN, is_model_id

_REFERENCE = re.compile(rf"({NAME_PATTERN})(?::([1-9][0-9]{{0,17}}))?")


@dataclass(frozen=True, slots=True)
class NameReference:
    """A name, and one of its versions or (None) the latest active one."""

    name: str
    version: int | None


def parse_reference(reference: str) -> str | NameReference:
    """Return the model id that a reference is, in lower case, or the name that it is. Raises InvalidRequest."""
    if is_model_id(reference):
        return reference.lower()
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise InvalidRequest(
            f"{reference[:120]!r} is not a reference to a model: write a model id, a name (its latest active version), "
            f"or name:version, as in 'churn:3'"
        )
    name, version = match.groups()
    return NameReference(name, None if version is None else int(version))
