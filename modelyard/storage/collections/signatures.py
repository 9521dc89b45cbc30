"""The signatures of models: what is signed of a model, and which models may be used.

All that is known of a model is signed, but what changes (`CHANGING`): its id, its environment, the checksums of all its
files, the contract's too. So whoever can write the folder alone cannot have a file unpickled, nor one model answer for
another.
"""

from __future__ import annotations

from dataclasses import replace

import orjson

from modelyard.access.signing import SigningKeys
from modelyard.errors import Unsigned
from modelyard.storage.collections.models import ModelRecord

CHANGING = {
    "version",
    "status",
    "aliases",
    "promotion",
    "tags",
    "description",
    "decision",
    "tracking",
    "updated_at",
    "message",
}
"""What verbs, repairs and the publishing change. A signature over it would say no more than that it was so once."""


class Signatures:
    """Signs models and knows them again. Without keys nothing is signed, and every model may be used."""

    def __init__(self, keys: SigningKeys | None) -> None:
        self._keys = None if keys is None else keys.of("models")

    @property
    def are_asked_for(self) -> bool:
        """Whether a model must be signed to be used."""
        return self._keys is not None

    def sign(self, record: ModelRecord) -> ModelRecord:
        """Return a record with a signature by the first key, if there are keys."""
        return record if self._keys is None else replace(record, signature=self._keys.sign(signed_part(record)))

    def sign_like(self, before: ModelRecord, record: ModelRecord) -> ModelRecord:
        """Sign what was made of another record if that one's signature held; else leave it without a signature."""
        if self._keys is None or self.problem(before) is not None:
            return replace(record, signature=None)
        return self.sign(record)

    def why_to_sign(self, record: ModelRecord) -> str | None:
        """Return in words why a model is to be signed; None if a signature by the first key holds."""
        problem = self.problem(record)
        if problem is None and self._keys is not None and not self._keys.is_by_first(record.signature or ""):
            return "is signed by an older key"
        return problem

    def problem(self, record: ModelRecord) -> str | None:
        """Return in words why a model must not be used; None if it may be."""
        if self._keys is None:
            return None
        signature = record.signature
        if signature is None:
            return "is not signed"
        if not self._keys.knows(signature):
            return "is signed by a key that MODELYARD_SIGNING_KEY_FILE does not hold"
        if not self._keys.verify(signed_part(record), signature):
            return "is not what was signed: its signature does not hold"
        return None

    def check(self, record: ModelRecord) -> None:
        """Raise Unsigned unless a model may be used."""
        if (problem := self.problem(record)) is not None:
            model = record.metadata
            raise Unsigned(
                f"model {model.model_id} ({model.name}:{model.version}) {problem}; "
                f"look at it, then sign it by `modelyard sign {model.model_id}`, or train it anew"
            )


def signed_part(record: ModelRecord) -> bytes:
    """Return what is signed of a model.

    Defaults are left out, so that a field of a later release, which then has its default, changes no signature.
    """
    known = record.metadata.model_dump(mode="json", exclude=CHANGING, exclude_defaults=True)
    files = {name: [file.sha256, file.bytes] for name, file in record.files.items()}
    return orjson.dumps({"metadata": known, "files": files}, option=orjson.OPT_SORT_KEYS)
