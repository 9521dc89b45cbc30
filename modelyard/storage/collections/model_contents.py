"""The contents of stored models: files that are read, and the estimator in one of them, after all was found right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelyard import calls
from modelyard.errors import DataLoss, InvalidRequest, ModelNotFound, Unsigned
from modelyard.storage.artifacts.environment import check_environment
from modelyard.storage.artifacts.estimators import unpickle
from modelyard.storage.artifacts.model_files import ESTIMATOR_FILE, REPORT_FILE
from modelyard.storage.collections.model_index import ModelIndex
from modelyard.storage.collections.models import ModelRecord
from modelyard.storage.collections.resolving import not_found
from modelyard.storage.collections.signatures import Signatures
from modelyard.storage.protocols import ArtifactGone, Artifacts, Documents, StoredFile


class ModelContents:
    """The files of models, for the store of models, which says what is raised by every use.

    If `signatures` asks for it, no file of a model whose signature does not hold is read but its report: that raises
    Unsigned.
    """

    def __init__(
        self,
        documents: Documents,
        artifacts: Artifacts,
        index: ModelIndex,
        signatures: Signatures,
        *,
        allow_version_skew: bool,
    ) -> None:
        self._documents = documents
        self._artifacts = artifacts
        self._index = index
        self._signatures = signatures
        self._allow_version_skew = allow_version_skew
        self._damaged: dict[str, str] = {}

    def check_signed(self, record: ModelRecord) -> None:
        """Raise Unsigned unless a model may be used."""
        self._signatures.check(record)

    def read_file(self, record: ModelRecord, file: str) -> bytes:
        """Return the content of one of a model's files, after the model's signature and the file's checksum held.

        Raises ModelNotFound if the model was deleted for good meanwhile.
        """
        with self._noting_damage(record):
            return self._artifacts.read(record.metadata.model_id, file, self._expected(record, file))

    def file_path(self, record: ModelRecord, file: str) -> Path:
        """Return the path of one of a model's files. Raises like `read_file`."""
        with self._noting_damage(record):
            return self._artifacts.verify(record.metadata.model_id, file, self._expected(record, file))

    def load_estimator(self, record: ModelRecord, libraries: tuple[str, ...]) -> Any:
        """Return a model's fitted estimator, whose class comes from these distributions.

        It is unpickled only after its environment, its signature and its checksum were found right. Raises
        EnvironmentMismatch.
        """
        model = f"model {record.metadata.model_id}"
        made_in = record.metadata.environment
        check_environment(model, made_in, libraries, allow_version_skew=self._allow_version_skew)
        return unpickle(self.read_file(record, ESTIMATOR_FILE), model)

    def damaged(self) -> list[str]:
        """Return what was found damaged, or not to be what was signed, in models that are still named, in words."""
        sees = calls.who().sees
        with self._documents.reading():
            named = self._index.by_id
            return [
                what
                for model_id, what in list(self._damaged.items())
                if model_id in named and sees(named[model_id].name)
            ]

    def _expected(self, record: ModelRecord, file: str) -> StoredFile:
        """Return what a file of a model must be, which is known only of a model that may be used."""
        if file not in record.files:
            raise InvalidRequest(f"a model has no file {file!r}; it has: {', '.join(record.files)}")
        if file != REPORT_FILE:  # people look at it to decide whether they sign
            self._signatures.check(record)
        return record.files[file]

    @contextmanager
    def _noting_damage(self, record: ModelRecord) -> Iterator[None]:
        model_id = record.metadata.model_id
        try:
            yield
        except ArtifactGone as gone:
            error = self._missing(model_id, str(gone))
            if isinstance(error, DataLoss):
                self._damaged[model_id] = error.detail
            raise error from None
        except DataLoss as error:
            self._damaged[model_id] = error.detail
            raise
        except Unsigned as error:
            if record.signature is not None:
                self._damaged[model_id] = error.detail
            raise
        self._damaged.pop(model_id, None)

    def _missing(self, model_id: str, path: str) -> ModelNotFound | DataLoss:
        with self._documents.reading():
            if model_id in self._index.by_id:
                return DataLoss(f"{path} is missing, which model {model_id} needs")
            return not_found(self._index, model_id)
