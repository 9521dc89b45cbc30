"""What happened to each model: written in the transaction of the change, so it survives compaction and deletion.

The training itself is not written down once more: it is in the model's document and, once that is gone, in its
tombstone. Every later event is a document of its own, `<model_id>/1`, `/2` …, so that none is ever rewritten.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import count
from typing import Any

import orjson

from modelyard import calls
from modelyard.errors import DataLoss
from modelyard.schemas import EventVerb, ModelEvent, ModelHistory, Tracking
from modelyard.storage.collections.models import EVENTS, MODELS, TOMBSTONES, ModelRecord, model_record
from modelyard.storage.protocols import Collections, Documents, Transaction


def note(transaction: Transaction, record: ModelRecord, verb: EventVerb, at: datetime) -> None:
    """Add an event to a model's history: `verb` left it in the status, or set the decision, of `record`."""
    model_id = record.metadata.model_id
    number = next(number for number in count(1) if transaction.get(EVENTS, _key(model_id, number)) is None)
    event: dict[str, Any] = {
        "verb": verb,
        "at": at.isoformat(),
        "status": record.metadata.status,
        "by": calls.who().name,
    }
    if verb == "decision" and record.metadata.decision is not None:
        event["decision"] = record.metadata.decision.model_dump()
    transaction.put(EVENTS, _key(model_id, number), event)


def bury(transaction: Transaction, record: ModelRecord, verb: EventVerb, at: datetime) -> None:
    """Remove a model for good. Its tombstone keeps its id and version from being used again."""
    model = record.metadata
    transaction.remove(MODELS, model.model_id)
    tombstone: dict[str, Any] = {
        "name": model.name,
        "version": model.version,
        "parent_id": model.parent_id,
        "created_at": model.created_at.isoformat(),
        "deleted_at": at.isoformat(),
        "verb": verb,
        "created_by": model.created_by,
        "by": calls.who().name,
    }
    if model.tracking.status != "off":
        tombstone["tracking"] = to_be_told(model.tracking).model_dump()
    transaction.put(TOMBSTONES, model.model_id, tombstone)


def left_of(documents: Documents, model_id: str) -> Collections | None:
    """Return the documents that remain of a model deleted for good; None if it was not deleted for good."""
    with documents.reading():
        tombstone = documents.raw(TOMBSTONES, model_id)
        events = {key: raw for key, raw in documents.documents(EVENTS) if key.startswith(f"{model_id}/")}
    return None if tombstone is None else {TOMBSTONES: {model_id: tombstone}, EVENTS: events}


def to_be_told(tracking: Tracking) -> Tracking:
    """Return a model's tracking after a change: pending if the tracker knows the model."""
    return tracking.model_copy(update={"status": "pending"}) if tracking.status == "sent" else tracking


def read(documents: Documents, model_id: str) -> ModelHistory:
    """Return the history of a model, of one deleted for good too. Call it within a `reading`."""
    tombstone = _document(documents, TOMBSTONES, model_id)
    if tombstone is None:
        raw = documents.raw(MODELS, model_id)
        assert raw is not None
        known: dict[str, Any] = model_record(model_id, raw).metadata.model_dump()
    else:
        known = tombstone
    try:
        return ModelHistory(
            model_id=model_id,
            name=known["name"],
            version=known["version"],
            parent_id=known["parent_id"],
            events=list(_events(documents, model_id, known)),
        )
    except (KeyError, ValueError) as error:
        raise DataLoss(f"the history of model {model_id} is damaged: {error}") from error


def _events(documents: Documents, model_id: str, known: dict[str, Any]) -> Iterator[ModelEvent]:
    verb = "train" if known["parent_id"] is None else "retrain"
    yield ModelEvent(verb=verb, at=known["created_at"], status="active", by=known.get("created_by"))
    for number in count(1):
        event = _document(documents, EVENTS, _key(model_id, number))
        if event is None:
            break
        yield ModelEvent.model_validate(event)
    if "deleted_at" in known:
        yield ModelEvent(verb=known["verb"], at=known["deleted_at"], status="gone", by=known.get("by"))


def _document(documents: Documents, collection: str, key: str) -> dict[str, Any] | None:
    raw = documents.raw(collection, key)
    if raw is None:
        return None
    document: dict[str, Any] = orjson.loads(raw)
    return document


def _key(model_id: str, number: int) -> str:
    return f"{model_id}/{number}"
