"""A yard's storage, put together on its engines: here alone is known which collections there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from modelyard.access.signing import SigningKeys
from modelyard.storage.collections.aliases import AliasCollection
from modelyard.storage.collections.answers import AnswerCollection
from modelyard.storage.collections.audit import AUDIT, AuditCollection
from modelyard.storage.collections.drift import DriftCollection
from modelyard.storage.collections.evaluations import EvaluationCollection
from modelyard.storage.collections.job_index import JobIndex
from modelyard.storage.collections.jobs import JobCollection
from modelyard.storage.collections.keys import KeyCollection, KeyIndex
from modelyard.storage.collections.model_index import ModelIndex
from modelyard.storage.collections.model_store import ModelStore
from modelyard.storage.collections.signatures import Signatures
from modelyard.storage.collections.tracked_runs import TrackedRuns, TrackingIndex
from modelyard.storage.ledger import Ledger
from modelyard.storage.memory import COMING, PLACE, Changes, Salvaged, check_whole
from modelyard.storage.notes import Notes
from modelyard.storage.protocols import Artifacts, Documents, Locks, Observer, Series, Snapshots, now
from modelyard.storage.quarantine import Quarantine
from modelyard.storage.spools import KeptSpools


class Engines(Protocol):
    """What a yard's storage stands on. The documents are opened first; they hold what the others share."""

    @property
    def name(self) -> str:
        """Where that is, in words for people: no password is in them."""

    @property
    def runs(self) -> Path:
        """The folder in which runs take place, on the file system from which artifacts are taken over."""

    @property
    def outbox(self) -> Path:
        """The folder for what the tracker's child says."""

    def require_yard(self) -> None:
        """Raise NoYard if there is none. Makes nothing."""

    def locked(self, *, for_reading: bool = False) -> AbstractContextManager[None]:
        """Keep those out within a `with` block who name and move files of models, if they do so in turn.

        `for_reading`: a yard that is read-only will do. Raises Unavailable if the lock cannot be had in time.
        """

    def salvaged(self) -> Salvaged:
        """Read the documents that are whole, though others are damaged. Call it within a `locked`.

        Raises Unavailable, FailedPrecondition if a newer release wrote them.
        """

    def mend_documents(self, found: Salvaged, changes: Changes, aside: Quarantine) -> str:
        """Go on with the documents that are whole and some changes, and set aside what is damaged; say what was done.

        Call it within a `locked`.
        """

    def quarantine(self, at: datetime) -> Quarantine:
        """Return what sets broken things aside."""

    def strangers(self) -> list[str]:
        """Return names of what stands where the yard's own things would. Raises Unavailable if that cannot be told.

        Makes nothing. It is asked for if there are no documents, or none but those of a yard in the making.
        """

    def documents(self, observers: Sequence[Observer] = (), *, make: bool = False) -> Documents:
        """Open the documents; with `make` they are made if there are none. Raises NoYard if there are none."""

    def artifacts(self) -> Artifacts:
        """Open the artifacts. Raises Unavailable."""

    def series(self, clock: Callable[[], datetime] = now) -> Series:
        """Open the series; `clock` says when an entry is appended."""

    def counts(self) -> Snapshots:
        """Open what processes count."""

    def ledger(self) -> Ledger:
        """Open the entries of the audit."""

    def notes(self) -> Notes:
        """Open what waits for the tracker."""

    def spools(self) -> KeptSpools:
        """Open what runs are given."""

    def close(self) -> None:
        """Let go of what is open beside the documents; who has opened these closes them, and need not call this."""

    def held(self, name: str) -> AbstractContextManager[None]:
        """Hold the lock of this name within a `with` block, as `Locks` says."""


@dataclass(frozen=True, slots=True)
class Storage:
    """All that a yard keeps: models, aliases, jobs, evaluations, answers, keys, the audit, what a tracker is to hear.

    `drift` are the counts that drift is told by. `runs` and `outbox` are folders of this host, made by those who use
    them: for what a run is given and makes, on the file system of the artifacts, and for what the tracker's child says.
    `notes` wait for the tracker, `spools` keep for other hosts what runs are given. `locks` are for what one process at
    a time may do.
    """

    models: ModelStore
    jobs: JobCollection
    evaluations: EvaluationCollection
    drift: DriftCollection
    answers: AnswerCollection
    keys: KeyCollection
    aliases: AliasCollection
    audit: AuditCollection
    tracked_runs: TrackedRuns | None
    runs: Path
    outbox: Path
    notes: Notes
    spools: KeptSpools
    locks: Locks

    def close(self) -> None:
        """Let go of what is open."""
        self.models.close()


def open_storage(
    engines: Engines,
    *,
    make: bool = True,
    lock_timeout_s: float = 10.0,
    allow_version_skew: bool = False,
    tracked: bool = False,
    signing: SigningKeys | None = None,
    audit_days: int = 0,
    keep_answers_days: int = 0,
) -> Storage:
    """Open what a yard keeps on these engines, shared with other processes. With `make` it is made if there is none.

    With `signing` new models and the audit are signed, and no other model may be used. The audit is kept for
    `audit_days` (0: for ever), answers for `keep_answers_days` (0: none are).

    Raises NoYard if there is none and none is to be made, Unavailable if it cannot be used, DataLoss if its documents
    are damaged or gone, FailedPrecondition if a newer release wrote them.
    """
    model_index, job_index, key_index, tracking_index = ModelIndex(), JobIndex(), KeyIndex(), TrackingIndex()
    observers = (model_index, job_index, key_index, *([tracking_index] if tracked else ()))
    documents = whole_documents(engines, observers, make=make)
    signer = None if signing is None else signing.of(AUDIT)
    audit = AuditCollection(documents, engines.ledger(), days=audit_days, signer=signer)
    models = ModelStore(
        documents,
        engines.artifacts(),
        model_index,
        Signatures(signing),
        audit,
        lock_timeout_s=lock_timeout_s,
        allow_version_skew=allow_version_skew,
        tracked=tracked,
    )
    series = engines.series()
    return Storage(
        models,
        JobCollection(documents, job_index, audit),
        EvaluationCollection(series, audit),
        DriftCollection(series, engines.counts(), engines),
        AnswerCollection(documents, series, model_index, audit, days=keep_answers_days),
        KeyCollection(documents, key_index, audit),
        AliasCollection(documents, model_index, audit),
        audit,
        TrackedRuns(documents, tracking_index) if tracked else None,
        engines.runs,
        engines.outbox,
        engines.notes(),
        engines.spools(),
        engines,
    )


def whole_documents(engines: Engines, observers: Sequence[Observer] = (), *, make: bool = False) -> Documents:
    """Open a yard's documents. Raises what engines raise, FailedPrecondition if a copy to these has not ended."""
    documents = engines.documents(observers, make=make)
    try:
        with documents.reading():
            check_whole(documents.raw(COMING, PLACE))
    except BaseException:
        documents.close()
        raise
    return documents
