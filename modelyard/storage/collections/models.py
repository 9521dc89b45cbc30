"""A model as a document, and as the file that describes it beside its artifact.

Collections: `models` by model id; `names` by name, with the last version that was given out; `tombstones` by the id of
a model deleted for good; `events` by model id and number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from pydantic import ValidationError

from modelyard.errors import DataLoss
from modelyard.schemas import Artifact, ModelDescription, ModelMetadata, is_model_id
from modelyard.storage.artifacts.model_files import DESCRIPTION_FILE, ESTIMATOR_FILE
from modelyard.storage.protocols import Collections, StoredFile, Transaction
from modelyard.storage.sealing import is_sealed, seal

MODELS = "models"
NAMES = "names"
TOMBSTONES = "tombstones"
EVENTS = "events"


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A stored model: its metadata, what each of its files must be, and its signature if it has one."""

    metadata: ModelMetadata
    files: Mapping[str, StoredFile]
    signature: str | None = None

    def with_metadata(self, **changed: Any) -> ModelRecord:
        """Return the record with some of its metadata changed."""
        return replace(self, metadata=self.metadata.model_copy(update=changed))


def new_record(
    description: ModelDescription,
    model_id: str,
    name: str,
    version: int,
    files: Mapping[str, StoredFile],
) -> ModelRecord:
    """Make the record of a new model."""
    estimator = files[ESTIMATOR_FILE]
    metadata = ModelMetadata(
        model_id=model_id,
        name=name,
        version=version,
        updated_at=description.created_at,
        artifact=Artifact(file=ESTIMATOR_FILE, sha256=estimator.sha256, bytes=estimator.bytes),
        **dict(description),
    )
    return ModelRecord(metadata, dict(files))


def named(record: ModelRecord) -> dict[str, str]:
    """Return what the audit says of a model: which one it is."""
    model = record.metadata
    return {"model": f"{model.name}:{model.version}", "model_id": model.model_id}


def model_document(record: ModelRecord) -> dict[str, Any]:
    """Write a record as a document."""
    return {
        "metadata": record.metadata.model_dump(mode="json", exclude={"message", "aliases"}),
        "files": {name: {"sha256": file.sha256, "bytes": file.bytes} for name, file in record.files.items()},
        **({} if record.signature is None else {"signature": record.signature}),
    }


def model_record(model_id: str, raw: bytes) -> ModelRecord:
    """Read a record from a document's JSON. Raises DataLoss if it is none, or is another model's."""
    try:
        document = orjson.loads(raw)
        metadata = ModelMetadata.model_validate(document["metadata"])
        files = {name: StoredFile(file["sha256"], file["bytes"]) for name, file in document["files"].items()}
        files[ESTIMATOR_FILE]  # every model has one
        signature = document.get("signature")
    except (ValidationError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataLoss(f"the document of model {model_id} is damaged: {error}") from error
    if metadata.model_id != model_id or not is_model_id(model_id):
        raise DataLoss(f"the document of model {model_id} is damaged: it is that of {metadata.model_id}")
    if not isinstance(signature, str | None):
        raise DataLoss(f"the document of model {model_id} is damaged: its signature is no text")
    return ModelRecord(metadata, files, signature)


def description_file(record: ModelRecord) -> bytes:
    """Write a record as the content of the model's `model.json`, which knows neither version nor status."""
    described = record.with_metadata(version=0, status="active")
    return seal(orjson.dumps(model_document(described)), record.metadata.model_id.encode())


def described_record(model_id: str, content: bytes) -> ModelRecord:
    """Read the content of a model's `model.json`. Raises DataLoss if it is damaged or another model's."""
    if not is_sealed(content, model_id.encode()):
        raise DataLoss(f"the {DESCRIPTION_FILE} of model {model_id} is damaged: its checksum does not hold")
    return model_record(model_id, content)


def next_version(transaction: Transaction, name: str) -> int:
    """Take the next version of a name, which is never given out again."""
    counter = transaction.get(NAMES, name)
    version: int = 1 if counter is None else counter["last_version"] + 1
    put_last_version(transaction, name, version)
    return version


def put_last_version(transaction: Transaction, name: str, version: int) -> None:
    """Set the last version of a name."""
    transaction.put(NAMES, name, {"last_version": version})


def last_versions(documents: Collections) -> dict[str, int]:
    """Return the last version that was given out, by name."""
    return {name: orjson.loads(raw).get("last_version", 0) for name, raw in documents.get(NAMES, {}).items()}


def numbered_models(documents: Collections) -> Iterator[tuple[str, str, int]]:
    """Yield id, name and version of every model, deleted for good or not, unless its document is damaged."""
    for model_id, raw in documents.get(MODELS, {}).items():
        try:
            model = model_record(model_id, raw).metadata
        except DataLoss:
            continue
        yield model_id, model.name, model.version
    for model_id, raw in documents.get(TOMBSTONES, {}).items():
        tombstone = orjson.loads(raw)
        yield model_id, tombstone["name"], tombstone["version"]
