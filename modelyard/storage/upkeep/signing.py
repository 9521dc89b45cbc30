"""Sign the models of a yard, after a person looked at what is signed. Nothing is unpickled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.access.signing import SigningKeys
from modelyard.errors import FailedPrecondition
from modelyard.references import parse_reference
from modelyard.storage.artifacts.model_files import DESCRIPTION_FILE, ESTIMATOR_FILE
from modelyard.storage.collections.audit import AUDIT, AuditCollection
from modelyard.storage.collections.model_index import ModelIndex
from modelyard.storage.collections.models import (
    MODELS,
    ModelRecord,
    description_file,
    model_document,
    model_record,
    named,
)
from modelyard.storage.collections.resolving import find
from modelyard.storage.collections.signatures import Signatures, signed_part
from modelyard.storage.opening import Engines, whole_documents


@dataclass(frozen=True, slots=True)
class ToSign:
    """A model as a person is shown it, and why it is to be signed."""

    record: ModelRecord
    why: str

    @property
    def sha256(self) -> str:
        """The checksum by which the artifact is read; that of the metadata is for show."""
        return self.record.files[ESTIMATOR_FILE].sha256


class Signing:
    """Finds and signs models of one yard, while servers go on. Close it.

    Raises NoYard if there is none, DataLoss if its documents are damaged, Unavailable if it cannot be used.
    """

    def __init__(self, engines: Engines, keys: SigningKeys) -> None:
        self._index = ModelIndex()
        self._documents = whole_documents(engines, [self._index])
        self._audit = AuditCollection(self._documents, engines.ledger(), signer=keys.of(AUDIT))
        self._artifacts = engines.artifacts()
        self._signatures = Signatures(keys)

    def to_sign(self, references: Sequence[str] | None) -> list[ToSign]:
        """Return those of some models, None for all, that are not signed by the first key.

        Raises ModelNotFound, InvalidRequest for what is no reference.
        """
        with self._documents.reading():
            ids = self._index.by_id if references is None else dict.fromkeys(map(self._id_of, references))
            records = [model_record(model_id, self._documents.raw(MODELS, model_id) or b"") for model_id in ids]
        found = ((record, self._signatures.why_to_sign(record)) for record in records)
        return [ToSign(record, why) for record, why in found if why is not None]

    def sign(self, shown: ModelRecord) -> None:
        """Sign a model as it was shown. Raises FailedPrecondition if it is another or none by now."""
        model_id = shown.metadata.model_id
        with self._documents.transaction() as transaction:
            raw = self._documents.raw(MODELS, model_id)
            record = None if raw is None else model_record(model_id, raw)
            if record is None or signed_part(record) != signed_part(shown):
                raise FailedPrecondition(f"model {model_id} is not what was shown any more; look at it again")
            signed = self._signatures.sign(record)
            transaction.put(MODELS, model_id, model_document(signed))
            described = description_file(signed)
            transaction.before_commit(lambda: self._artifacts.replace(model_id, DESCRIPTION_FILE, described))
            self._audit.note(transaction, "sign", named(signed))

    def close(self) -> None:
        """Let go of the yard."""
        self._documents.close()

    def _id_of(self, reference: str) -> str:
        return find(self._index, parse_reference(reference)).model_id
