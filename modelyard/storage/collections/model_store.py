"""The store of models: ids, names, versions, status; files first, then the transaction that names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uuid_utils

from modelyard.errors import DataLoss, FailedPrecondition, InvalidRequest, ModelGone, ModelNotFound, Unavailable
from modelyard.references import parse_reference
from modelyard.schemas import ModelHistory, ModelPage, ModelQuery, Status, Tracking, check_name
from modelyard.storage import estimators, history
from modelyard.storage.artifacts import ArtifactFolder, ArtifactGone, StoredFile, write_files
from modelyard.storage.cursors import decode_cursor, encode_cursor
from modelyard.storage.database import Transaction
from modelyard.storage.environment import check_environment
from modelyard.storage.files import unavailable
from modelyard.storage.folder_index import FolderIndex
from modelyard.storage.follower import Observer
from modelyard.storage.opening import open_database
from modelyard.storage.records import (
    CONTRACT_FILE,
    ESTIMATOR_FILE,
    MODELS,
    NAMES,
    REPORT_FILE,
    ModelDescription,
    ModelRecord,
    NewModel,
    description_file,
    model_document,
    model_record,
    new_record,
)
from modelyard.storage.resolving import Resolver

_CHECK_LOCK_TIMEOUT_S = 1.0


class ModelStore:
    """The models of one folder, shared by threads and processes. With `make` the folder is made a yard if it is none.

    Every use raises Unavailable where the folder cannot be read or written, DataLoss where what it holds does not match
    its checksums. A `reference` is a model id, a name (its latest active version) or `name:version`; one that means
    nothing raises ModelNotFound, one that is of no such form InvalidRequest.

    `database` also holds documents of others, who keep indexes of theirs as `observers` and write them in transactions
    of their own or along with a model. With `tracked`, every new model is marked as one that an experiment tracker has
    yet to be told of.
    """

    def __init__(
        self,
        root: Path,
        *,
        make: bool = True,
        lock_timeout_s: float = 10.0,
        allow_version_skew: bool = False,
        observers: Sequence[Observer] = (),
        tracked: bool = False,
    ) -> None:
        self.root = root
        self._tracking = Tracking(status="pending") if tracked else Tracking()
        self._lock_timeout_s = lock_timeout_s
        self._allow_version_skew = allow_version_skew
        self._index = FolderIndex()
        self.database = open_database(
            root, make=make, lock_timeout_s=lock_timeout_s, observers=[self._index, *observers]
        )
        self._artifacts = ArtifactFolder(root / "artifacts")
        self._resolver = Resolver(self.database, self._index)
        self._damaged: dict[str, str] = {}

    def add(self, draft: NewModel) -> ModelRecord:
        """Store a new model as the next version of its name, which is made from its class and id where it has none."""
        folder = self._artifacts.temporary()
        try:
            files = write_model_files(folder, draft.estimator, draft.report, draft.contract)
            return self.publish(draft, folder, files)
        finally:
            self._artifacts.discard(folder)

    def publish(
        self,
        draft: ModelDescription,
        folder: Path,
        files: Mapping[str, StoredFile],
        *,
        also: Callable[[Transaction, ModelRecord], None] | None = None,
    ) -> ModelRecord:
        """Store a new model, as `add` does, whose files `write_model_files` wrote: their folder becomes the model's.

        `also` puts what belongs to it into the same transaction; where it raises, nothing is stored.
        """
        model_id = str(uuid_utils.uuid7())
        name = _checked_name(draft, model_id)
        description = description_file(new_record(draft, model_id, name, 0, files))
        self._artifacts.complete(folder, description)
        transaction = self.database.transaction()
        try:
            with transaction:
                record = new_record(draft, model_id, name, next_version(transaction, name), files)
                record = record.with_metadata(tracking=self._tracking)
                transaction.put(MODELS, model_id, model_document(record))
                if also is not None:
                    also(transaction, record)
                transaction.before_commit(lambda: self._artifacts.take(model_id, folder))
            return record
        finally:
            if not transaction.may_be_stored:
                self._artifacts.remove(model_id)

    def get(self, reference: str) -> ModelRecord:
        """Return a model, whatever its status (a bare name means the latest active version)."""
        with self.database.reading():
            return self._record(self._resolver.find(parse_reference(reference)).model_id)

    def get_active(self, reference: str) -> ModelRecord:
        """Return an active model. Raises ModelNotFound where it is deleted, saying how to restore it."""
        with self.database.reading():
            return self._record(self._resolver.find_active(reference).model_id)

    def resolve_active(self, reference: str) -> str:
        """Return the id of the active model that is meant, in microseconds. Raises like `get_active`."""
        with self.database.reading():
            return self._resolver.find_active(reference).model_id

    def page(self, query: ModelQuery) -> ModelPage:
        """Return a page of models, newest first. Raises InvalidRequest for a cursor that is none."""
        before = None if query.cursor is None else decode_cursor(query.cursor)
        with self.database.reading():
            ids = self._index.select(query, before, query.limit + 1)
            page = [(model_id, self.database.raw(MODELS, model_id)) for model_id in ids[: query.limit]]
        models = [_record(model_id, raw).metadata for model_id, raw in page]
        more = len(ids) > query.limit
        return ModelPage(models=models, next_cursor=encode_cursor(models[-1].model_id) if more else None)

    def count_active(self) -> int:
        """Return how many models are active."""
        with self.database.reading():
            return self._index.active_count

    def set_status(self, reference: str, status: Status) -> ModelRecord:
        """Soft-delete or restore a model; nothing changes where it is so already.

        Raises ModelGone for restoring what was deleted for good.
        """
        with self.database.transaction() as transaction:
            meant = parse_reference(reference)
            if status == "active" and (gone := self._resolver.gone(meant)) is not None:
                raise ModelGone(f"model {gone} was deleted for good; it cannot be restored")
            record = self._record(self._resolver.find(meant).model_id)
            if record.metadata.status != status:
                now = datetime.now(UTC)
                tracking = history.to_be_told(record.metadata.tracking)
                record = record.with_metadata(status=status, updated_at=now, tracking=tracking)
                transaction.put(MODELS, record.metadata.model_id, model_document(record))
                history.note(transaction, record, "restore" if status == "active" else "delete", now)
        return record

    def delete_for_good(self, reference: str) -> None:
        """Remove a model, whatever its status, and then its files. Its id and version are never used again."""
        with self.database.transaction() as transaction:
            record = self._record(self._resolver.find(parse_reference(reference)).model_id)
            history.bury(transaction, record, "delete", datetime.now(UTC))
        self._artifacts.remove(record.metadata.model_id)

    def history(self, reference: str) -> ModelHistory:
        """Return what happened to a model, of one deleted for good too (by its id or `name:version`)."""
        with self.database.reading():
            meant = parse_reference(reference)
            gone = self._resolver.gone(meant)
            model_id = self._resolver.find(meant).model_id if gone is None else gone
            return history.read(self.database, model_id)

    def read_file(self, record: ModelRecord, file: str) -> bytes:
        """Return the content of one of a model's files, after its checksum held.

        Raises ModelNotFound where the model was deleted for good meanwhile.
        """
        with self._noting_damage(record):
            return self._artifacts.read(record.metadata.model_id, file, _stored_file(record, file))

    def file_path(self, record: ModelRecord, file: str) -> Path:
        """Return the path of one of a model's files, after its checksum held. Raises like `read_file`."""
        with self._noting_damage(record):
            return self._artifacts.verify(record.metadata.model_id, file, _stored_file(record, file))

    def load_estimator(self, record: ModelRecord, libraries: tuple[str, ...]) -> Any:
        """Return a model's fitted estimator, whose class comes from these distributions.

        It is unpickled only after its environment and its checksum were found right. Raises EnvironmentMismatch.
        """
        model = f"model {record.metadata.model_id}"
        made_in = record.metadata.environment
        check_environment(model, made_in, libraries, allow_version_skew=self._allow_version_skew)
        return estimators.unpickle(self.read_file(record, ESTIMATOR_FILE), model)

    def damaged(self) -> list[str]:
        """Return what was found damaged in reading models that are still named, in words."""
        with self.database.reading():
            return [what for model_id, what in list(self._damaged.items()) if model_id in self._index.by_id]

    def check(self) -> None:
        """Raise Unavailable with the reason if the folder cannot be read or written now."""
        try:
            self.database.check(min(self._lock_timeout_s, _CHECK_LOCK_TIMEOUT_S))
        except (DataLoss, FailedPrecondition) as error:
            raise Unavailable(error.detail) from error
        self._artifacts.check()

    def close(self) -> None:
        """Let go of the folder."""
        self.database.close()

    def _record(self, model_id: str) -> ModelRecord:
        return _record(model_id, self.database.raw(MODELS, model_id))

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
        self._damaged.pop(model_id, None)

    def _missing(self, model_id: str, path: str) -> ModelNotFound | DataLoss:
        with self.database.reading():
            if model_id in self._index.by_id:
                return DataLoss(f"{path} is missing, which model {model_id} needs")
            return self._resolver.not_found(model_id)


def write_model_files(folder: Path, estimator: Any, report: bytes, contract: bytes) -> dict[str, StoredFile]:
    """Write a model's files down to the disk, into a folder that is made for them, for `ModelStore.publish`.

    The folder is on the store's file system. Raises Unavailable.
    """
    contents = {ESTIMATOR_FILE: estimators.pickled(estimator), REPORT_FILE: report, CONTRACT_FILE: contract}
    with unavailable(f"write {folder}"):
        return write_files(folder, contents)


def next_version(transaction: Transaction, name: str) -> int:
    """Take the next number of a name."""
    counter = transaction.get(NAMES, name)
    version: int = 1 if counter is None else counter["last_version"] + 1
    transaction.put(NAMES, name, {"last_version": version})
    return version


def _record(model_id: str, raw: bytes | None) -> ModelRecord:
    if raw is None:
        raise ModelNotFound(f"there is no model with id {model_id}")
    return model_record(model_id, raw)


def _stored_file(record: ModelRecord, file: str) -> StoredFile:
    try:
        return record.files[file]
    except KeyError:
        raise InvalidRequest(f"a model has no file {file!r}; it has: {', '.join(record.files)}") from None


def _checked_name(draft: ModelDescription, model_id: str) -> str:
    if draft.name is None:
        return f"{draft.model_class_key[:87]}-{model_id[-12:]}"
    try:
        return check_name(draft.name)
    except ValueError as error:
        raise InvalidRequest(str(error)) from None
