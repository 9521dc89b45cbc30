"""Copy a yard to engines on which there is none: models, histories, numbers, keys, aliases, audit, series.

The new yard is none before the last step, a single transaction. Killed in between, the same copy goes on: files that
are there and whole are not copied again. What happens in the old yard meanwhile is no part of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter

import orjson

from modelyard.errors import DataLoss, FailedPrecondition, NoYard, Unavailable
from modelyard.storage.artifacts.model_files import DESCRIPTION_FILE
from modelyard.storage.collections import audit, history
from modelyard.storage.collections.drift import DriftCollection
from modelyard.storage.collections.models import MODELS, ModelRecord, model_record
from modelyard.storage.files import make_folder, unavailable
from modelyard.storage.ledger import Ledger
from modelyard.storage.memory import COMING, MOVED, PLACE
from modelyard.storage.notes import OUTBOX
from modelyard.storage.opening import Engines
from modelyard.storage.protocols import Appended, ArtifactGone, Artifacts, Collections, Documents, Transaction
from modelyard.storage.upkeep import doctor

_NOT_COPIED = (MOVED, OUTBOX)
"""The tracker makes anew what waits for it."""


@dataclass(frozen=True, slots=True)
class Copied:
    """How much was copied."""

    models: int
    documents: int
    audit_entries: int


def copy(old: Engines, documents: Documents, new: Engines, *, before: Callable[[], None] = lambda: None) -> Copied:
    """Copy the yard of these documents, as they are now, to new engines; `before` is called once these can take it.

    A model that is deleted for good meanwhile is left out. Raises FailedPrecondition if anything but the same copy is
    there, DataLoss if anything of the old yard is damaged (repair it first), what engines raise.
    """
    with closing(_coming(old, new)) as coming:
        before()
        collections, seq = documents.snapshot()
        for name in _NOT_COPIED:
            collections.pop(name, None)
        with coming.transaction() as transaction:
            transaction.put(COMING, PLACE, {"from": old.name})
        coming.go_on_from(seq)
        _copy_models(old, documents, new, collections)
        _copy_series(old, new, collections)
        entries = _finish(old.ledger(), new, coming, collections)
    return Copied(len(collections.get(MODELS, {})), sum(map(len, collections.values())), entries)


def _coming(old: Engines, new: Engines) -> Documents:
    """Open the documents of the yard to come, which are made if there are none."""
    try:
        coming = new.documents()
    except NoYard:
        _check_empty(new, new.strangers())
        return new.documents(make=True)
    try:
        there = coming.snapshot()[0]
        place = there.pop(COMING, {}).get(PLACE)
        if place is None:
            _check_empty(new, [*(name for name, found in there.items() if found), *new.strangers()])
        else:
            _check_same(new, orjson.loads(place)["from"], old.name)
    except BaseException:
        coming.close()
        raise
    return coming


def _check_empty(new: Engines, there: list[str]) -> None:
    if there:
        held = ", ".join(there[:3])
        raise FailedPrecondition(f"{new.name} is not empty (it holds {held}): choose a place with nothing in it")


def _check_same(new: Engines, begun: str, source: str) -> None:
    if begun != source:
        raise FailedPrecondition(f"{new.name} is not empty: a copy of {begun} was begun there, and not ended")


def _copy_models(old: Engines, documents: Documents, new: Engines, collections: Collections) -> None:
    source, target = old.artifacts(), new.artifacts()
    with unavailable(f"make {new.runs}"):
        make_folder(new.runs)
    there = set(target.model_ids())
    for model_id, raw in list(collections.get(MODELS, {}).items()):
        record = model_record(model_id, raw)
        try:
            if model_id not in there or not _is_whole(target, record):
                _copy_model(source, target, record, new)
        except (ArtifactGone, DataLoss) as error:
            _leave_out(documents, collections, model_id, error)


def _copy_model(source: Artifacts, target: Artifacts, record: ModelRecord, new: Engines) -> None:
    model_id = record.metadata.model_id
    contents = {name: source.read(model_id, name, expected) for name, expected in record.files.items()}
    contents[DESCRIPTION_FILE] = source.read(model_id, DESCRIPTION_FILE, None)
    target.remove(model_id)
    folder = new.runs / f"copying-{model_id}"
    with unavailable(f"write {folder}"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    try:
        target.stage(model_id, folder, contents)
        target.adopt(model_id, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_whole(target: Artifacts, record: ModelRecord) -> bool:
    try:
        target.read(record.metadata.model_id, DESCRIPTION_FILE, None)
    except ArtifactGone:
        return False
    return not any(doctor.damaged_files(target, record))


def _leave_out(documents: Documents, collections: Collections, model_id: str, error: ArtifactGone | DataLoss) -> None:
    """Let a model that was deleted for good meanwhile be deleted in the copy, too."""
    left = history.left_of(documents, model_id)
    if left is None:
        said = f"{error} is missing" if isinstance(error, ArtifactGone) else error.detail
        raise DataLoss(f"model {model_id} cannot be copied: {said}; see `modelyard doctor`") from error
    del collections[MODELS][model_id]
    for name, found in left.items():
        collections.setdefault(name, {}).update(found)


def _copy_series(old: Engines, new: Engines, collections: Collections) -> None:
    """Copy all streams but those of models that are gone; what an earlier attempt has copied goes first."""
    source, target = old.series(), new.series()
    with suppress(Unavailable):  # of a folder that is read-only, what was counted in the hour under way is left out
        DriftCollection(source, old.counts(), old).settle()
    forgotten = {audit.AUDIT, *doctor.forgotten_streams(source, collections)}
    for stream in target.streams():
        target.remove(stream)
    for stream in source.streams():
        if stream not in forgotten:
            moments = groupby(source.scan(stream), key=attrgetter("at"))
            try:
                target.take(stream, ((at, [entry.fields for entry in entries]) for at, entries in moments))
            except DataLoss as error:
                raise DataLoss(f"the series cannot be copied: {error.detail}; see `modelyard doctor`") from error


def _finish(old: Ledger, new: Engines, coming: Documents, collections: Collections) -> int:
    """Copy the audit and all documents, in one transaction."""
    link = audit.link_in(collections)
    ledger = new.ledger()
    parsed = [(name, key, orjson.loads(raw)) for name, found in collections.items() for key, raw in found.items()]
    with coming.transaction() as transaction:
        if any(found for name, found in coming.snapshot()[0].items() if name != COMING):
            raise FailedPrecondition(f"{new.name} has been used while it was copied to")
        transaction.remove(COMING, PLACE)
        for name, key, document in parsed:
            transaction.put(name, key, document)
        if link is not None:
            transaction.before_commit(lambda: _copy_audit(old, ledger, transaction, link.number))
    return 0 if link is None else link.number


def _copy_audit(old: Ledger, new: Ledger, transaction: Transaction, last: int) -> None:
    end, known = new.take(_counting(old, last)), transaction.get(audit.AUDIT, audit.END)
    if end is not None and known is not None:
        transaction.put(audit.AUDIT, audit.END, {**known, **end._asdict()})


def _counting(ledger: Ledger, last: int) -> Iterator[Appended]:
    """Iterate the entries up to the last one, as they were appended. Raises DataLoss at what is damaged or missing."""
    reached = 0
    for entries in ledger.forwards():
        if isinstance(entries, DataLoss):
            raise DataLoss(f"the audit cannot be copied: {entries.detail}; see `modelyard doctor`")
        counting = [entry for entry in entries if int(entry["number"]) <= last]
        if counting:
            reached = int(counting[-1]["number"])
            yield datetime.fromisoformat(counting[0]["at"]), counting
    if reached != last:
        raise DataLoss(f"the audit cannot be copied: it ends before entry {last}; see `modelyard doctor`")
