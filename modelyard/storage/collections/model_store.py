"""The store of models: ids, names, versions, status; files first, then the transaction that names them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uuid_utils

from modelyard import calls
from modelyard.errors import DataLoss, FailedPrecondition, ModelGone, ModelNotFound, Unavailable
from modelyard.references import NameReference, parse_reference
from modelyard.schemas import (
    EventVerb,
    ModelDescription,
    ModelHistory,
    ModelPage,
    ModelQuery,
    NamePage,
    NameQuery,
    ResolvedDecision,
    Status,
    Tracking,
)
from modelyard.storage.artifacts.model_files import DESCRIPTION_FILE
from modelyard.storage.collections import history, names
from modelyard.storage.collections.aliases import Proposal, promoted
from modelyard.storage.collections.audit import AuditCollection
from modelyard.storage.collections.cursors import decode_cursor, encode_cursor
from modelyard.storage.collections.model_contents import ModelContents
from modelyard.storage.collections.model_index import ModelIndex, Serving
from modelyard.storage.collections.models import (
    MODELS,
    ModelRecord,
    description_file,
    model_document,
    model_record,
    named,
    new_record,
    next_version,
)
from modelyard.storage.collections.resolving import (
    check_name_visible,
    check_visible,
    find,
    find_active,
    gone_id,
    not_found,
)
from modelyard.storage.collections.signatures import Signatures
from modelyard.storage.protocols import Artifacts, Documents, StoredFile, Transaction

_CHECK_LOCK_TIMEOUT_S = 1.0

_VERBS = {"edit": "update_model", "decision": "set_decision"}
"""The verbs, if a history has other words for them."""


class ModelStore(ModelContents):
    """The models of one yard, shared by threads and processes.

    Every use raises Unavailable if documents or artifacts cannot be read or written, DataLoss if they do not match
    their checksums. A `reference` is a model id, a name (its latest active version) or `name:version`. One that means
    nothing raises ModelNotFound, one of another form InvalidRequest.

    `index` observes `documents`, `audit` is told of every change. With `tracked`, every new model is marked as one that
    an experiment tracker has yet to be told of. What is published is signed by `signatures`.
    """

    def __init__(
        self,
        documents: Documents,
        artifacts: Artifacts,
        index: ModelIndex,
        signatures: Signatures,
        audit: AuditCollection,
        *,
        lock_timeout_s: float = 10.0,
        allow_version_skew: bool = False,
        tracked: bool = False,
    ) -> None:
        super().__init__(documents, artifacts, index, signatures, allow_version_skew=allow_version_skew)
        self._audit = audit
        self._tracking = Tracking(status="pending") if tracked else Tracking()
        self._check_timeout_s = min(lock_timeout_s, _CHECK_LOCK_TIMEOUT_S)

    def publish(
        self,
        description: ModelDescription,
        folder: Path,
        files: Mapping[str, StoredFile],
        *,
        name: str | None = None,
        decision: ResolvedDecision | None = None,
        proposal: Proposal | None = None,
        by: str | None = None,
        job_id: str | None = None,
        also: Callable[[Transaction, ModelRecord], None] | None = None,
    ) -> ModelRecord:
        """Store a new model as the next version of its name, which is made from its class and id if it has none.

        `decision` is the one that it obeys at first. A `proposal` moves an alias to it in the same transaction. `by` is
        who ordered it (None: who calls), in the job `job_id`. `write_model_files` wrote its files into `folder`, which
        becomes the model's. `also` puts what belongs to it into the same transaction; if it raises, nothing is stored.
        """
        model_id = str(uuid_utils.uuid7())
        name = names.checked_name(name, description.model_class_key, model_id)
        record = new_record(description, model_id, name, 0, files)
        ordered_by = calls.who().name if by is None else by
        record = record.with_metadata(decision=decision, created_by=ordered_by)
        record = self._signatures.sign(record)
        transaction = self._documents.transaction()
        try:
            self._artifacts.stage(model_id, folder, {DESCRIPTION_FILE: description_file(record)})
            with transaction:
                record = record.with_metadata(version=next_version(transaction, name), tracking=self._tracking)
                if proposal is not None:
                    promotion = promoted(transaction, self._audit, record.metadata, proposal, ordered_by)
                    record = record.with_metadata(promotion=promotion)
                transaction.put(MODELS, model_id, model_document(record))
                if also is not None:
                    also(transaction, record)
                transaction.before_commit(lambda: self._artifacts.adopt(model_id, folder))
                what = named(record) if job_id is None else {**named(record), "job_id": job_id}
                self._audit.note(transaction, "publish", what, by)
            return record
        finally:
            if not transaction.may_be_stored:
                self._artifacts.remove(model_id)

    def get(self, reference: str) -> ModelRecord:
        """Return a model, whatever its status (a bare name means the latest active version)."""
        with self._documents.reading():
            return self._record(find(self._index, parse_reference(reference)).model_id)

    def get_active(self, reference: str) -> ModelRecord:
        """Return an active model. Raises ModelNotFound if it is deleted, saying how to restore it."""
        with self._documents.reading():
            return self._record(find_active(self._index, reference).model_id)

    def resolve_active(self, reference: str) -> str:
        """Return the id of the active model that is meant, in microseconds. Raises like `get_active`."""
        with self._documents.reading():
            return find_active(self._index, reference).model_id

    def resolve_serving(self, reference: str) -> tuple[str, Serving | None]:
        """Return what `resolve_active` does, and what the model obeys; None if it has no decision and keeps nothing.

        The same object comes back until that changes. Raises Unauthenticated if the caller's key is no longer valid:
        one look at the documents tells that, too.
        """
        with self._documents.reading():
            calls.who().check()
            entry = find_active(self._index, reference)
            return entry.model_id, entry.serving

    def alias_in(self, reference: str) -> str | None:
        """Return the alias by which a reference means a model, the default one too; None if it is by none."""
        meant = parse_reference(reference)
        if isinstance(meant, str) or meant.version is not None:
            return None
        if meant.alias is not None:
            return meant.alias
        with self._documents.reading():
            return self._index.aliases.default if meant.name in self._index.aliases.meant else None

    def all_meant(self, reference: str) -> list[ModelRecord]:
        """Return the model that is meant, or all versions of a name alone, whatever their status."""
        meant = parse_reference(reference)
        if isinstance(meant, str) or meant != NameReference(meant.name):
            return [self.get(reference)]
        check_name_visible(meant.name)
        with self._documents.reading():
            found = self._index.versions(meant.name)
            if not found:
                raise not_found(self._index, meant)
            return [self._record(entry.model_id) for entry in found]

    def page(self, query: ModelQuery) -> ModelPage:
        """Return a page of models, newest first. Raises InvalidRequest for a cursor that is none."""
        before = None if query.cursor is None else decode_cursor(query.cursor)
        who = calls.who()
        if query.name is not None:
            check_name_visible(query.name)
        with self._documents.reading():
            ids = self._index.select(query, before, query.limit + 1, who.sees if who.limited else None)
            page = [(model_id, self._documents.raw(MODELS, model_id)) for model_id in ids[: query.limit]]
            models = [self._with_aliases(_record(model_id, raw)).metadata for model_id, raw in page]
        more = len(ids) > query.limit
        return ModelPage(models=models, next_cursor=encode_cursor(models[-1].model_id) if more else None)

    def names(self, query: NameQuery) -> NamePage:
        """Return a page of names, the newest first. Raises InvalidRequest for a cursor that is none."""
        who = calls.who()
        with self._documents.reading():
            return names.page(self._documents, self._index, query, who.sees if who.limited else None)

    def count_active(self) -> int:
        """Return how many models are active, of those that the caller may see."""
        who = calls.who()
        with self._documents.reading():
            return self._index.count_active(who.sees) if who.limited else self._index.active_count

    def count_by_status(self) -> dict[Status, int]:
        """Return how many models there are of each status, whoever asks."""
        with self._documents.reading():
            return {"active": self._index.active_count, "deleted": len(self._index.by_id) - self._index.active_count}

    def unsigned(self) -> str:
        """Return in words how many models, deleted ones too, have no signature; empty if none is asked for."""
        with self._documents.reading():
            count = self._index.unsigned_count if self._signatures.are_asked_for else 0
        said = "1 model is" if count == 1 else f"{count:,} models are"
        return f"{said} not signed, so not used: see `modelyard sign`" if count else ""

    def set_status(self, reference: str, status: Status) -> ModelRecord:
        """Soft-delete or restore a model; nothing changes if that is its status already.

        Raises ModelGone for restoring what was deleted for good.
        """
        with self._documents.transaction() as transaction:
            meant = parse_reference(reference)
            check_visible(self._index, meant)
            if status == "active" and (gone := gone_id(self._index, meant)) is not None:
                raise ModelGone(f"model {gone} was deleted for good; it cannot be restored")
            record = self._record(find(self._index, meant).model_id)
            if record.metadata.status != status:
                _check_has_no_alias(record)
                tracking = history.to_be_told(record.metadata.tracking)
                verb: EventVerb = "restore" if status == "active" else "delete"
                record = self._changed(transaction, record, verb, status=status, tracking=tracking)
        return record

    def update(self, reference: str, tags: list[str] | None, description: str | None) -> ModelRecord:
        """Replace the tags or the description of a model; None leaves them, and nothing changes if they are so."""
        said = {"tags": tags, "description": description}
        with self._documents.transaction() as transaction:
            record = self._record(find(self._index, parse_reference(reference)).model_id)
            new = {name: value for name, value in said.items() if value not in (None, getattr(record.metadata, name))}
            if new:
                tracking = history.to_be_told(record.metadata.tracking)
                record = self._changed(transaction, record, "edit", **new, tracking=tracking)
        return record

    def set_decision(self, reference: str, decision: ResolvedDecision) -> ModelRecord:
        """Have an active model obey a decision from now on; nothing changes if it does already."""
        with self._documents.transaction() as transaction:
            record = self._record(find_active(self._index, reference).model_id)
            if record.metadata.decision != decision:
                record = self._changed(transaction, record, "decision", decision=decision)
        return record

    def delete_for_good(self, reference: str) -> str:
        """Remove a model, whatever its status, and then its files; return its id, which is never used again."""
        with self._documents.transaction() as transaction:
            record = self._record(find(self._index, parse_reference(reference)).model_id)
            _check_has_no_alias(record)
            history.bury(transaction, record, "delete", datetime.now(UTC))
            self._audit.note(transaction, "delete_for_good", named(record))
        self._artifacts.remove(record.metadata.model_id)
        return record.metadata.model_id

    def history(self, reference: str) -> ModelHistory:
        """Return what happened to a model, of one deleted for good too (by its id or `name:version`)."""
        with self._documents.reading():
            meant = parse_reference(reference)
            check_visible(self._index, meant)
            gone = gone_id(self._index, meant)
            model_id = find(self._index, meant).model_id if gone is None else gone
            return history.read(self._documents, model_id)

    def check(self) -> None:
        """Raise Unavailable with the reason if documents or artifacts cannot be read or written now."""
        try:
            self._documents.check(self._check_timeout_s)
        except (DataLoss, FailedPrecondition) as error:
            raise Unavailable(error.detail) from error
        self._artifacts.check()

    def about(self) -> str:
        """Say in words on what the models stand; nothing of a folder."""
        return self._documents.about()

    def close(self) -> None:
        """Let go of what is open."""
        self._documents.close()

    def _changed(self, transaction: Transaction, record: ModelRecord, verb: EventVerb, **new: Any) -> ModelRecord:
        """Store a change of a model's metadata, with its event and its entry in the audit."""
        now = datetime.now(UTC)
        record = record.with_metadata(**new, updated_at=now)
        transaction.put(MODELS, record.metadata.model_id, model_document(record))
        history.note(transaction, record, verb, now)
        self._audit.note(transaction, _VERBS.get(verb, verb), named(record))
        return record

    def _record(self, model_id: str) -> ModelRecord:
        return self._with_aliases(_record(model_id, self._documents.raw(MODELS, model_id)))

    def _with_aliases(self, record: ModelRecord) -> ModelRecord:
        aliases = self._index.aliases.of_model(record.metadata.name, record.metadata.model_id)
        return record.with_metadata(aliases=aliases) if aliases else record


def _check_has_no_alias(record: ModelRecord) -> None:
    """Raise FailedPrecondition if an alias points to a model that is to be deleted."""
    model = record.metadata
    if model.aliases:
        those = " and ".join(f"{model.name}@{alias}" for alias in model.aliases)
        raise FailedPrecondition(
            f"{model.name}:{model.version} cannot be deleted while it is {those}; move or delete the alias first"
        )


def _record(model_id: str, raw: bytes | None) -> ModelRecord:
    if raw is None:
        raise ModelNotFound(f"there is no model with id {model_id}")
    return model_record(model_id, raw)
