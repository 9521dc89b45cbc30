"""The store of models: ids, names, versions, references, status; files first, then the transaction that names them."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import joblib
import uuid_utils

from modelyard.errors import (
    DataLoss,
    EnvironmentMismatch,
    IdempotencyConflict,
    InvalidRequest,
    ModelGone,
    ModelNotFound,
    Unavailable,
)
from modelyard.schemas import ModelPage, ModelQuery, Status, check_name
from modelyard.storage.artifacts import ArtifactFolder, ArtifactGone, StoredFile, write_files
from modelyard.storage.cursors import decode_cursor, encode_cursor
from modelyard.storage.database import Database, Transaction
from modelyard.storage.environment import check_environment
from modelyard.storage.files import exists, make_folder, unavailable
from modelyard.storage.folder_index import FolderIndex, IndexEntry
from modelyard.storage.follower import Observer
from modelyard.storage.records import (
    CONTRACT_FILE,
    ESTIMATOR_FILE,
    IDEMPOTENCY,
    MODELS,
    NAMES,
    REPORT_FILE,
    TOMBSTONES,
    IdempotencyEntry,
    ModelDescription,
    ModelRecord,
    NewModel,
    idempotency_document,
    idempotency_entry,
    is_expired,
    model_document,
    model_record,
    new_record,
)
from modelyard.storage.references import NameReference, parse_reference

_CHECK_LOCK_TIMEOUT_S = 1.0
_EXPIRED_AT_ONCE = 64
_UNPICKLING_ERRORS = (
    pickle.UnpicklingError,
    ImportError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
)


class ModelStore:
    """The models of one folder, shared by threads and processes. The folder is made where it is missing.

    Every use raises Unavailable where the folder cannot be read or written, DataLoss where what it holds does not match
    its checksums. A `reference` is a model id, a name (its latest active version) or `name:version`; one that means
    nothing raises ModelNotFound, one that is of no such form InvalidRequest.

    `database` also holds documents of others, who keep indexes of theirs as `observers` and write them in transactions
    of their own or along with a model.
    """

    def __init__(
        self,
        root: Path,
        *,
        lock_timeout_s: float = 10.0,
        allow_version_skew: bool = False,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.root = root
        self._lock_timeout_s = lock_timeout_s
        self._allow_version_skew = allow_version_skew
        with unavailable(f"make {root}"):
            make_folder(root)
        self._artifacts = ArtifactFolder(root / "artifacts")
        database = root / "db.jsonl"
        # In this order: where there are models, the database that named them was there before them.
        if self._artifacts.model_ids() and not exists(database):
            raise DataLoss(f"{database} is gone, but models are in {self._artifacts.path}: restore it from a backup")
        self._index = FolderIndex()
        self.database = Database(database, lock_timeout_s=lock_timeout_s, observers=[self._index, *observers])

    def add(self, draft: NewModel, *, idempotency: IdempotencyEntry | None = None) -> ModelRecord:
        """Store a new model as the next version of its name, which is made from its class and id where it has none.

        With an idempotency key that another request of the same content used meanwhile, nothing is stored and that
        one's model is returned; raises IdempotencyConflict where the content was another.
        """
        model_id = str(uuid_utils.uuid7())
        name = _checked_name(draft, model_id)
        files = self._artifacts.write(model_id, _contents(draft.estimator, draft.report, draft.contract))
        transaction = self.database.transaction()
        try:
            with transaction:
                record = None if idempotency is None else self._made_meanwhile(transaction, idempotency)
                if record is None:
                    record = _put_new(transaction, draft, model_id, name, files)
                    if idempotency is not None:
                        self._remember(transaction, idempotency, model_id)
            return record
        finally:
            if not transaction.may_be_stored:
                self._artifacts.remove(model_id)

    def publish(
        self,
        draft: ModelDescription,
        folder: Path,
        files: Mapping[str, StoredFile],
        *,
        also: Callable[[Transaction, ModelRecord], None],
    ) -> ModelRecord:
        """Store a new model, as `add` does, whose files `write_model_files` wrote: their folder becomes the model's.

        `also` puts what belongs to it into the same transaction; where it raises, nothing is stored.
        """
        model_id = str(uuid_utils.uuid7())
        name = _checked_name(draft, model_id)
        self._artifacts.take(model_id, folder)
        transaction = self.database.transaction()
        try:
            with transaction:
                record = _put_new(transaction, draft, model_id, name, files)
                also(transaction, record)
            return record
        finally:
            if not transaction.may_be_stored:
                self._artifacts.remove(model_id)

    def get(self, reference: str) -> ModelRecord:
        """Return a model, whatever its status (a bare name means the latest active version)."""
        with self.database.reading():
            entry = self._find(parse_reference(reference))
            raw = self.database.raw(MODELS, entry.model_id)
        return _record(entry.model_id, raw)

    def get_active(self, reference: str) -> ModelRecord:
        """Return an active model. Raises ModelNotFound where it is deleted, saying how to restore it."""
        with self.database.reading():
            entry = self._find_active(reference)
            raw = self.database.raw(MODELS, entry.model_id)
        return _record(entry.model_id, raw)

    def resolve_active(self, reference: str) -> str:
        """Return the id of the active model that is meant, in microseconds. Raises like `get_active`."""
        with self.database.reading():
            return self._find_active(reference).model_id

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
            if status == "active" and (gone := self._tombstone_id(meant)) is not None:
                raise ModelGone(f"model {gone} was deleted for good; it cannot be restored")
            entry = self._find(meant)
            record = _record(entry.model_id, self.database.raw(MODELS, entry.model_id))
            if record.metadata.status != status:
                changed = {"status": status, "updated_at": datetime.now(UTC)}
                record = ModelRecord(record.metadata.model_copy(update=changed), record.files)
                transaction.put(MODELS, entry.model_id, model_document(record))
        return record

    def delete_for_good(self, reference: str) -> None:
        """Remove a model, whatever its status, and then its files. Its id and version are never used again."""
        with self.database.transaction() as transaction:
            entry = self._find(parse_reference(reference))
            now = datetime.now(UTC).isoformat()
            transaction.remove(MODELS, entry.model_id)
            transaction.put(
                TOMBSTONES, entry.model_id, {"name": entry.name, "version": entry.version, "deleted_at": now}
            )
        self._artifacts.remove(entry.model_id)

    def read_file(self, record: ModelRecord, file: str) -> bytes:
        """Return the content of one of a model's files, after its checksum held.

        Raises ModelNotFound where the model was deleted for good meanwhile.
        """
        try:
            return self._artifacts.read(record.metadata.model_id, file, _stored_file(record, file))
        except ArtifactGone as gone:
            raise self._missing(record, str(gone)) from None

    def file_path(self, record: ModelRecord, file: str) -> Path:
        """Return the path of one of a model's files, after its checksum held. Raises like `read_file`."""
        try:
            return self._artifacts.verify(record.metadata.model_id, file, _stored_file(record, file))
        except ArtifactGone as gone:
            raise self._missing(record, str(gone)) from None

    def load_estimator(self, record: ModelRecord, libraries: tuple[str, ...]) -> Any:
        """Return a model's fitted estimator, whose class comes from these distributions.

        It is unpickled only after its environment and its checksum were found right. Raises EnvironmentMismatch.
        """
        model = f"model {record.metadata.model_id}"
        skew = self._allow_version_skew
        check_environment(model, record.metadata.environment, libraries, allow_version_skew=skew)
        content = self.read_file(record, ESTIMATOR_FILE)
        try:
            return joblib.load(BytesIO(content))
        except _UNPICKLING_ERRORS as error:
            raise EnvironmentMismatch(
                f"{model} cannot be loaded in this environment ({type(error).__name__}: {error}): retrain it"
            ) from error

    def remembered(self, key: str) -> IdempotencyEntry | None:
        """Return what came of an idempotency key within the last 24 hours."""
        document = self.database.get(IDEMPOTENCY, key)
        entry = None if document is None else idempotency_entry(key, document)
        return None if entry is None or is_expired(entry, datetime.now(UTC)) else entry

    def check(self) -> None:
        """Raise Unavailable with the reason if the folder cannot be read or written now."""
        try:
            self.database.check(min(self._lock_timeout_s, _CHECK_LOCK_TIMEOUT_S))
        except DataLoss as error:
            raise Unavailable(error.detail) from error
        self._artifacts.check()

    def close(self) -> None:
        """Let go of the folder."""
        self.database.close()

    def _find(self, meant: str | NameReference) -> IndexEntry:
        """Return the index's entry of the model that is meant, of any status."""
        index = self._index
        if isinstance(meant, str):
            entry = index.by_id.get(meant)
        elif meant.version is None:
            entry = index.latest_active.get(meant.name)
        else:
            entry = index.version(meant.name, meant.version)
        if entry is None:
            raise self._not_found(meant)
        return entry

    def _find_active(self, reference: str) -> IndexEntry:
        index = self._index
        # First what is asked at every prediction; no reference is both an id and a name.
        entry = index.by_id.get(reference) or index.latest_active.get(reference)
        if entry is None:
            entry = self._find(parse_reference(reference))
        if not entry.active:
            raise ModelNotFound(
                f"model {entry.model_id} ({entry.name} version {entry.version}) is deleted; restore it to use it again"
            )
        return entry

    def _not_found(self, meant: str | NameReference) -> ModelNotFound:
        if (gone := self._tombstone_id(meant)) is not None:
            return ModelNotFound(f"model {gone} was deleted for good")
        if isinstance(meant, str):
            return ModelNotFound(f"there is no model with id {meant}")
        deleted = [entry.version for entry in self._index.versions(meant.name)]
        if not deleted:
            return ModelNotFound(f"there is no model named {meant.name!r}")
        if meant.version is not None:
            return ModelNotFound(f"there is no version {meant.version} of {meant.name!r}")
        newest = f"{meant.name}:{max(deleted)}"
        return ModelNotFound(f"all versions of {meant.name!r} are deleted; restore one to use it again, as {newest!r}")

    def _tombstone_id(self, meant: str | NameReference) -> str | None:
        if isinstance(meant, str):
            return None if self.database.raw(TOMBSTONES, meant) is None else meant
        return None if meant.version is None else self._index.gone(meant.name, meant.version)

    def _missing(self, record: ModelRecord, path: str) -> ModelNotFound | DataLoss:
        model_id = record.metadata.model_id
        with self.database.reading():
            if model_id in self._index.by_id:
                return DataLoss(f"{path} is missing, which model {model_id} needs")
            return self._not_found(model_id)

    def _made_meanwhile(self, transaction: Transaction, mine: IdempotencyEntry) -> ModelRecord | None:
        document = transaction.get(IDEMPOTENCY, mine.key)
        first = None if document is None else idempotency_entry(mine.key, document)
        if first is None or is_expired(first, datetime.now(UTC)):
            return None
        if first.request_sha256 != mine.request_sha256:
            raise IdempotencyConflict(f"idempotency key {mine.key!r} was used for another request; use a new key")
        return _record(first.model_id, self.database.raw(MODELS, self._find(first.model_id).model_id))

    def _remember(self, transaction: Transaction, entry: IdempotencyEntry, model_id: str) -> None:
        now = datetime.now(UTC)
        for key in self._expired_keys(transaction, now):
            transaction.remove(IDEMPOTENCY, key)
        transaction.put(IDEMPOTENCY, entry.key, idempotency_document(entry, model_id, now))

    def _expired_keys(self, transaction: Transaction, now: datetime) -> list[str]:
        # They stand about in the order in which they came: a few at a time are enough to keep up.
        oldest = [key for key, _ in islice(self.database.documents(IDEMPOTENCY), _EXPIRED_AT_ONCE)]
        documents = [(key, transaction.get(IDEMPOTENCY, key)) for key in oldest]
        return [key for key, document in documents if document and is_expired(idempotency_entry(key, document), now)]


def write_model_files(folder: Path, estimator: Any, report: bytes, contract: bytes) -> dict[str, StoredFile]:
    """Write a model's files down to the disk, into a folder that is made for them, for `ModelStore.publish`.

    The folder is on the store's file system. Raises Unavailable.
    """
    with unavailable(f"write {folder}"):
        return write_files(folder, _contents(estimator, report, contract))


def _put_new(
    transaction: Transaction, draft: ModelDescription, model_id: str, name: str, files: Mapping[str, StoredFile]
) -> ModelRecord:
    counter = transaction.get(NAMES, name)
    version = 1 if counter is None else counter["last_version"] + 1
    record = new_record(draft, model_id, name, version, files)
    transaction.put(NAMES, name, {"last_version": version})
    transaction.put(MODELS, model_id, model_document(record))
    return record


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


def _contents(estimator: Any, report: bytes, contract: bytes) -> dict[str, bytes]:
    return {ESTIMATOR_FILE: _pickled(estimator), REPORT_FILE: report, CONTRACT_FILE: contract}


def _pickled(estimator: Any) -> bytes:
    buffer = BytesIO()
    joblib.dump(estimator, buffer)
    return buffer.getvalue()
