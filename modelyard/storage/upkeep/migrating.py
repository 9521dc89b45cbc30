"""Move a yard from one kind of engines to another: models, histories, numbers, keys, aliases, audit, evaluations.

The old yard takes no change any more from the first step on, and still answers; the new one is none before the last
step, a single transaction. Killed in between, the same command goes on: files that are there and whole are not copied
again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

import orjson

from modelyard.errors import DataLoss, FailedPrecondition
from modelyard.storage.artifacts.model_files import DESCRIPTION_FILE
from modelyard.storage.collections import audit
from modelyard.storage.collections.drift import DriftCollection
from modelyard.storage.collections.job_index import JOBS
from modelyard.storage.collections.models import MODELS, ModelRecord, model_record
from modelyard.storage.files import make_folder, unavailable
from modelyard.storage.memory import MOVED
from modelyard.storage.opening import Engines
from modelyard.storage.protocols import ArtifactGone, Artifacts, Collections, Documents, Ledger, LedgerEnd, Transaction

_COMING = "coming"
"""The collection of the one document that a yard has which is being moved to."""

_PLACE = "place"
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Migration:
    """What was moved."""

    models: int
    documents: int
    audit_entries: int


def migrate(old: Engines, new: Engines, *, source: str, target: str) -> Migration:
    """Move a yard to engines on which there is none; `source` and `target` name the two to people.

    Raises FailedPrecondition if jobs are under way, if the new yard is not empty, or if the old one was moved
    elsewhere; DataLoss if anything of the old one is damaged (repair it first); what engines raise.
    """
    with closing(old.documents()) as documents:
        with closing(new.documents(make=True)) as coming:
            _check_empty(coming, source, target)
            _freeze(documents, target)
            collections, _ = documents.snapshot()
            collections.pop(MOVED, None)
            with coming.transaction() as transaction:
                transaction.put(_COMING, _PLACE, {"from": source})
            _copy_models(old, new, collections)
            _copy_series(old, new)
            entries = _finish(old.ledger(), new.ledger(), coming, collections)
        models = len(collections.get(MODELS, {}))
        return Migration(models, sum(map(len, collections.values())), entries)


def _check_empty(coming: Documents, source: str, target: str) -> None:
    there = coming.snapshot()[0]
    place = there.pop(_COMING, {}).get(_PLACE)
    if any(there.values()) or (place is not None and orjson.loads(place)["from"] != source):
        raise FailedPrecondition(f"{target} is not empty: a yard is moved to where there is none")


def _freeze(documents: Documents, target: str) -> None:
    """Let the old yard take no change any more, unless it does so already for this target."""
    moved = documents.get(MOVED, _PLACE)
    if moved is not None:
        if moved["to"] != target:
            raise FailedPrecondition(f"this yard was moved to {moved['to']}")
        return
    with documents.transaction() as transaction:
        alive = [
            job_id
            for job_id, raw in documents.documents(JOBS)
            if orjson.loads(raw)["job"]["status"] in ("queued", "running")
        ]
        if alive:
            raise FailedPrecondition(f"job {alive[0]} is under way: wait for it or cancel it, and stop the servers")
        transaction.put(MOVED, _PLACE, {"to": target})


def _copy_models(old: Engines, new: Engines, collections: Collections) -> None:
    source, target = old.artifacts(), new.artifacts()
    there = set(target.model_ids())
    for model_id, raw in collections.get(MODELS, {}).items():
        record = model_record(model_id, raw)
        if model_id not in there or not _is_whole(target, record):
            target.remove(model_id)
            _copy_model(source, target, record, new)


def _copy_model(source: Artifacts, target: Artifacts, record: ModelRecord, new: Engines) -> None:
    model_id = record.metadata.model_id
    contents: dict[str, bytes] = {}
    try:
        for name, expected in record.files.items():
            contents[name] = source.read(model_id, name, expected)
        contents[DESCRIPTION_FILE] = source.read(model_id, DESCRIPTION_FILE, None)
    except ArtifactGone as gone:
        raise DataLoss(f"{gone} is missing, which model {model_id} needs") from None
    folder = new.runs / f"migrating-{model_id}"
    with unavailable(f"write {folder}"):
        shutil.rmtree(folder, ignore_errors=True)
        make_folder(folder)
    try:
        target.stage(model_id, folder, contents)
        target.adopt(model_id, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_whole(target: Artifacts, record: ModelRecord) -> bool:
    model_id = record.metadata.model_id
    try:
        for name, expected in record.files.items():
            target.read(model_id, name, expected)
        target.read(model_id, DESCRIPTION_FILE, None)
    except (ArtifactGone, DataLoss):
        return False
    return True


def _copy_series(old: Engines, new: Engines) -> None:
    """Copy all streams with the moments of their entries; what an earlier attempt has copied goes first."""
    source = old.series()
    DriftCollection(source, old.counts(), old).settle()
    moment = [datetime.min.replace(tzinfo=UTC)]
    target = new.series(lambda: moment[0])
    for stream in source.streams():
        if stream == audit.AUDIT:
            continue
        target.drop(stream, _END_OF_TIME)
        for moment[0], entries in groupby(source.scan(stream), key=attrgetter("at")):
            target.append(stream, [entry.fields for entry in entries])


def _finish(old: Ledger, new: Ledger, coming: Documents, collections: Collections) -> int:
    """Copy the audit and all documents, in one transaction."""
    link = audit.link_in(collections)
    with coming.transaction() as transaction:
        transaction.remove(_COMING, _PLACE)
        for collection, documents in collections.items():
            for key, raw in documents.items():
                transaction.put(collection, key, orjson.loads(raw))
        if link is not None:
            transaction.before_commit(lambda: _copy_audit(old, new, transaction, link.number))
    return 0 if link is None else link.number


def _copy_audit(old: Ledger, new: Ledger, transaction: Transaction, last: int) -> None:
    end: LedgerEnd | None = None
    for entries in _counting(old, last):
        end = new.append(end, int(entries[0]["number"]), datetime.fromisoformat(entries[0]["at"]), entries)
    known = transaction.get(audit.AUDIT, audit.END)
    if end is not None and known is not None:
        transaction.put(audit.AUDIT, audit.END, {**known, **end._asdict()})


def _counting(ledger: Ledger, last: int) -> Iterator[list[dict[str, Any]]]:
    """Iterate the entries that have happened, as they were appended. Raises DataLoss."""
    for entries in ledger.forwards():
        if isinstance(entries, DataLoss):
            raise entries
        counting = [entry for entry in entries if int(entry["number"]) <= last]
        if counting:
            yield counting
