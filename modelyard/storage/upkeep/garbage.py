"""Collect garbage: models deleted long enough ago, and files that no document names.

A whole model that no line names is kept unless asked for: it may be what a cut database lost (see `doctor`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Literal

from modelyard.access.signing import SigningKeys
from modelyard.storage.collections import history
from modelyard.storage.collections.answers import stream_owner
from modelyard.storage.collections.audit import AUDIT, AuditCollection
from modelyard.storage.collections.drift import DRIFT
from modelyard.storage.collections.job_index import JOBS, is_alive
from modelyard.storage.collections.models import MODELS, TOMBSTONES, ModelRecord, model_record, named
from modelyard.storage.files import age_s, unavailable
from modelyard.storage.folder import Folder
from modelyard.storage.opening import Engines, whole_documents
from modelyard.storage.protocols import Documents, Transaction
from modelyard.storage.upkeep import doctor

_LEFTOVER_AFTER_S = 3600.0


@dataclass(frozen=True, slots=True)
class Garbage:
    """Something of no use: its path below the folder, why, and its size in bytes. If `kept`, it stays."""

    kind: Literal["deleted", "leftover", "orphan"]
    what: str
    why: str
    bytes: int
    kept: bool = False


def collect(
    engines: Engines,
    *,
    retention_days: float | None = None,
    keep_answers_days: int | None = None,
    orphans: bool = False,
    dry_run: bool = False,
    signing: SigningKeys | None = None,
) -> list[Garbage]:
    """Remove models soft-deleted `retention_days` ago or earlier (None: never) and files of no model; servers go on.

    Answers kept for `keep_answers_days` (None: for ever) and their outcomes go, too, and those of models that are gone.
    With `orphans` also whole models that no document names. With `dry_run` only say what would go; a read-only folder
    will do. The audit, signed by `signing`, says what went. Raises NoYard, DataLoss if the database is
    damaged or lost, Unavailable.
    """
    documents = whole_documents(engines)
    signer = None if signing is None else signing.of(AUDIT)
    collector = _Collector(
        engines, documents, AuditCollection(documents, engines.ledger(), signer=signer), dry_run=dry_run
    )
    try:
        found: list[Garbage] = []
        if retention_days is not None:
            found += collector.deleted_before(datetime.now(UTC) - timedelta(days=retention_days))
        found += collector.unnamed(orphans=orphans)
        found += collector.orders()
        if not isinstance(engines, Folder):
            return [*found, *collector.series_on_servers(keep_answers_days)]
        found += collector.temporaries(engines)
        if keep_answers_days is not None:
            found += collector.answers_before(engines, datetime.now(UTC) - timedelta(days=keep_answers_days))
        return [
            *found,
            *collector.answers_of_nobody(engines),
            *collector.empty_series(engines),
            *collector.damaged_snapshots(engines),
        ]
    finally:
        documents.close()


class _Collector:
    """Finds garbage and removes it; in a `dry_run` it removes nothing."""

    def __init__(self, engines: Engines, documents: Documents, audit: AuditCollection, *, dry_run: bool) -> None:
        self._engines = engines
        self._documents = documents
        self._dry_run = dry_run
        self._artifacts = engines.artifacts()
        self._audit = audit

    def deleted_before(self, limit: datetime) -> Iterator[Garbage]:
        with self._documents.reading():
            documents = list(self._documents.documents(MODELS))
        for model_id, raw in documents:
            record = model_record(model_id, raw)
            if record.metadata.status == "deleted" and self._deleted_at(record) <= limit:
                yield from self._bury(model_id, limit)

    def unnamed(self, *, orphans: bool) -> Iterator[Garbage]:
        for model_id in self._artifacts.model_ids():
            with self._documents.reading():
                is_named = self._documents.raw(MODELS, model_id) is not None
                is_buried = self._documents.raw(TOMBSTONES, model_id) is not None
            if is_named or not self._artifacts.is_settled(model_id):
                continue
            path, size = f"artifacts/{model_id}", self._artifacts.size(model_id)
            if is_buried:
                found = Garbage("leftover", path, doctor.BURIED, size)
            else:
                why = doctor.orphan_in_words(self._artifacts, model_id)
                found = Garbage("orphan", path, why, size, kept=not orphans)
            # One transaction each: folders get and lose their names under the lock.
            with self._held():
                if self._documents.raw(MODELS, model_id) is not None:
                    continue
                if not found.kept:
                    self._remove(partial(self._artifacts.remove, model_id))
            yield found

    def orders(self) -> Iterator[Garbage]:
        """Remove what was given to runs that are over."""
        spools = self._engines.spools()
        for job_id, size in spools.left().items():
            with self._documents.reading():
                over = not is_alive(self._documents.raw(JOBS, job_id))
            if over:
                yield Garbage("leftover", f"jobs/{job_id}", doctor.ORDER, size)
                self._remove(partial(spools.forget, job_id))

    def temporaries(self, whole: Folder) -> Iterator[Garbage]:
        for folder in self._artifacts.temporaries():
            path = f"artifacts/{folder.name}"
            found = Garbage("leftover", path, doctor.UNFINISHED, _size(folder))
            self._remove(partial(self._artifacts.discard, folder))
            yield found
        unfinished = (*whole.outbox.glob(".new-*"), *whole.snapshots.glob("*.new"))
        for file in sorted(unfinished):
            if age_s(file) > _LEFTOVER_AFTER_S:
                what = f"{file.parent.name}/{file.name}"
                yield Garbage("leftover", what, "a record that was never finished", file.stat().st_size)
                self._remove(partial(file.unlink, missing_ok=True))

    def series_on_servers(self, keep_answers_days: int | None) -> Iterator[Garbage]:
        """Drop the days of answers that are over, and yield the streams of models that are gone."""
        series = self._engines.series()
        if keep_answers_days is not None:
            limit = datetime.now(UTC) - timedelta(days=keep_answers_days)
            for stream in filter(stream_owner, series.streams()):
                self._remove(partial(series.drop, stream, limit))
        for stream in doctor.forgotten_streams(series, self._documents.snapshot()[0]):
            yield Garbage("leftover", f"series/{stream}", doctor.FORGOTTEN, 0)
            self._remove(partial(series.remove, stream))

    def answers_before(self, whole: Folder, limit: datetime) -> Iterator[Garbage]:
        series = whole.series()
        for stream in filter(stream_owner, series.streams()):
            for file in series.files_before(stream, limit):
                path = f"series/{file}"
                yield Garbage("leftover", path, "kept for long enough", _size(whole.root / path))
            self._remove(partial(series.drop, stream, limit))

    def answers_of_nobody(self, whole: Folder) -> Iterator[Garbage]:
        series = whole.series()
        documents = self._documents.snapshot()[0]
        for stream in doctor.forgotten_streams(series, documents):
            path = f"series/{stream}"
            yield Garbage("leftover", path, doctor.FORGOTTEN, _size(whole.root / path))
            self._remove(partial(series.remove, stream))

    def damaged_snapshots(self, whole: Folder) -> Iterator[Garbage]:
        drift = whole.drift()
        for name in drift.damaged():
            path = f"{DRIFT}/{name}.json"
            yield Garbage("leftover", path, doctor.LOST_COUNTS, _size(whole.root / path))
            self._remove(partial(drift.remove, name))

    def empty_series(self, whole: Folder) -> Iterator[Garbage]:
        series = whole.series()
        for file in series.files():
            if series.is_empty(file):
                path = f"series/{file}"
                yield Garbage("leftover", path, "entries that a crash cut short", _size(whole.root / path))
                with self._held():  # a ledger's file is made under the lock, and written to
                    self._remove(partial(series.remove_empty, file))

    def _bury(self, model_id: str, limit: datetime) -> Iterator[Garbage]:
        with self._held() as transaction:
            raw = self._documents.raw(MODELS, model_id)
            record = None if raw is None else model_record(model_id, raw)
            # It may have been restored or deleted for good meanwhile.
            if record is None or record.metadata.status != "deleted" or self._deleted_at(record) > limit:
                return
            at = self._deleted_at(record)
            if transaction is not None:
                history.bury(transaction, record, "gc", datetime.now(UTC))
                self._audit.note(transaction, "gc", named(record))
        model, path, size = record.metadata, f"artifacts/{model_id}", self._artifacts.size(model_id)
        found = Garbage("deleted", path, f"{model.name}:{model.version}, deleted {at:%Y-%m-%d %H:%M}", size)
        self._remove(partial(self._artifacts.remove, model_id))
        yield found

    def _deleted_at(self, record: ModelRecord) -> datetime:
        with self._documents.reading():
            events = history.read(self._documents, record.metadata.model_id).events
        return events[-1].at

    def _remove(self, step: Callable[[], None]) -> None:
        if not self._dry_run:
            step()

    @contextmanager
    def _held(self) -> Iterator[Transaction | None]:
        """Hold the yard as it is, in a transaction to change it by; None if it is only looked at."""
        if self._dry_run:
            with ExitStack() as stack:
                if isinstance(self._engines, Folder):
                    stack.enter_context(self._engines.locked(for_reading=True))
                stack.enter_context(self._documents.reading())
                yield None
        else:
            with self._documents.transaction() as transaction:
                yield transaction


def _size(path: Path) -> int:
    with unavailable(f"read {path}"):
        return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())
