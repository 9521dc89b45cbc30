"""What is kept of a model, and the documents it is kept in.

Collections: `models` by model id; `names` by name, with the last version given out; `tombstones` by the id of a model
deleted for good; `events` by model id and number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from pydantic import ValidationError

from modelyard.errors import DataLoss
from modelyard.schemas import Artifact, Evaluation, FeatureType, Label, ModelMetadata, ModelWarning, Reading
from modelyard.storage.artifacts import DESCRIPTION_FILE, StoredFile
from modelyard.storage.log_format import is_sealed, seal

MODELS = "models"
NAMES = "names"
TOMBSTONES = "tombstones"
EVENTS = "events"

ESTIMATOR_FILE = "model.pkl"
REPORT_FILE = "report.json"
CONTRACT_FILE = "contract.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """What is said of a model that is to be stored.

    The store gives the id, the version, a name where there is none, and the description of the artifact.
    """

    model_class_key: str
    hyperparams: Mapping[str, Any]
    metrics: Mapping[str, float | None]
    feature_types: Mapping[str, FeatureType]
    classes: Sequence[Label]
    n_rows: int
    created_at: datetime
    training_seconds: float
    environment: Mapping[str, str]
    name: str | None = None
    parent_id: str | None = None
    target: str | None = None
    fingerprint: str | None = None
    tags: Sequence[str] = ()
    warnings: Sequence[ModelWarning] = ()
    evaluation: Evaluation = field(default_factory=Evaluation)
    reading: Reading | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewModel(ModelDescription):
    """A model that is to be stored: its description and the contents of its files."""

    estimator: Any
    report: bytes
    contract: bytes


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A stored model: its metadata, and what each of its files must be."""

    metadata: ModelMetadata
    files: Mapping[str, StoredFile]

    def with_metadata(self, **changed: Any) -> ModelRecord:
        """Return the record with some of its metadata changed."""
        return ModelRecord(self.metadata.model_copy(update=changed), self.files)


def new_record(
    draft: ModelDescription, model_id: str, name: str, version: int, files: Mapping[str, StoredFile]
) -> ModelRecord:
    """Make the record of a new model."""
    estimator = files[ESTIMATOR_FILE]
    metadata = ModelMetadata(
        model_id=model_id,
        name=name,
        version=version,
        parent_id=draft.parent_id,
        model_class_key=draft.model_class_key,
        hyperparams=dict(draft.hyperparams),
        metrics=dict(draft.metrics),
        feature_names=list(draft.feature_types),
        feature_types=dict(draft.feature_types),
        classes=list(draft.classes),
        n_rows=draft.n_rows,
        target=draft.target,
        fingerprint=draft.fingerprint,
        tags=list(draft.tags),
        warnings=list(draft.warnings),
        evaluation=draft.evaluation,
        reading=draft.reading,
        created_at=draft.created_at,
        updated_at=draft.created_at,
        training_seconds=draft.training_seconds,
        artifact=Artifact(file=ESTIMATOR_FILE, sha256=estimator.sha256, bytes=estimator.bytes),
        environment=dict(draft.environment),
    )
    return ModelRecord(metadata, dict(files))


def model_document(record: ModelRecord) -> dict[str, Any]:
    """Write a record as a document."""
    return {
        "metadata": record.metadata.model_dump(mode="json", exclude={"message"}),
        "files": {name: {"sha256": file.sha256, "bytes": file.bytes} for name, file in record.files.items()},
    }


def model_record(model_id: str, raw: bytes) -> ModelRecord:
    """Read a record from a document's JSON. Raises DataLoss where it is none."""
    try:
        document = orjson.loads(raw)
        metadata = ModelMetadata.model_validate(document["metadata"])
        files = {name: StoredFile(file["sha256"], file["bytes"]) for name, file in document["files"].items()}
    except (ValidationError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataLoss(f"the document of model {model_id} is damaged: {error}") from error
    return ModelRecord(metadata, files)


def description_file(record: ModelRecord) -> bytes:
    """Write a record as the content of the model's `model.json`, where the version is 0."""
    return seal(orjson.dumps(model_document(record)), record.metadata.model_id.encode())


def described_record(model_id: str, content: bytes) -> ModelRecord:
    """Read the content of a model's `model.json`. Raises DataLoss where it is damaged or another model's."""
    if not is_sealed(content, model_id.encode()):
        raise DataLoss(f"the {DESCRIPTION_FILE} of model {model_id} is damaged: its checksum does not hold")
    return model_record(model_id, content)
