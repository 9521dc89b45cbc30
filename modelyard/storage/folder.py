"""A folder: where everything stands in it, and a yard's storage put together on its engines.

```
db.jsonl  db.lock       the documents, and their writers' lock
<name>.lock             any other lock that is held by name
artifacts/<model_id>/   the files of a model
series/<stream>/        entries by time
drift/                  what each process counts in the hour under way
jobs/  outbox/          what runs and the tracker keep beside them
quarantine/<time>/      what a repair has set aside
```
"""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from modelyard.access.signing import SigningKeys
from modelyard.errors import DataLoss, NoYard
from modelyard.schemas import is_model_id
from modelyard.storage.artifacts.folder import ArtifactFolder
from modelyard.storage.collections.aliases import AliasCollection
from modelyard.storage.collections.answers import AnswerCollection
from modelyard.storage.collections.audit import AUDIT, AuditCollection
from modelyard.storage.collections.drift import DRIFT, DriftCollection
from modelyard.storage.collections.evaluations import EvaluationCollection
from modelyard.storage.collections.job_index import JobIndex
from modelyard.storage.collections.jobs import JobCollection
from modelyard.storage.collections.keys import KeyCollection, KeyIndex
from modelyard.storage.collections.model_index import ModelIndex
from modelyard.storage.collections.model_store import ModelStore
from modelyard.storage.collections.signatures import Signatures
from modelyard.storage.collections.tracked_runs import TrackedRuns, TrackingIndex
from modelyard.storage.documents.database import Database
from modelyard.storage.documents.folder_lock import FolderLock
from modelyard.storage.files import exists, unavailable
from modelyard.storage.protocols import Documents, Locks, Observer
from modelyard.storage.series.folder import SeriesFolder
from modelyard.storage.series.ledger import LedgerFolder
from modelyard.storage.series.snapshots import SnapshotFolder


class Folder:
    """The layout of one folder. Nothing is made or opened before it is asked for.

    The audit is signed by `signing`, if there is one, and kept for `audit_days` (0: for ever).
    """

    def __init__(
        self, root: Path, lock_timeout_s: float = 10.0, *, audit_days: int = 0, signing: SigningKeys | None = None
    ) -> None:
        self.root = root
        self.database = root / "db.jsonl"
        self.runs = root / "jobs"
        self.outbox = root / "outbox"
        self.snapshots = root / DRIFT
        self._artifacts = root / "artifacts"
        self._series = root / "series"
        self._lock_timeout_s = lock_timeout_s
        self._audit_days = audit_days
        self.signer = None if signing is None else signing.of(AUDIT)

    def require_yard(self) -> None:
        """Raise NoYard unless the folder holds a database or models. Makes nothing.

        Models whose database is lost count: `doctor` is there for them. Raises Unavailable if that cannot be told.
        """
        if not self._holds_models() and not exists(self.database):
            raise self._no_yard()

    def documents(self, *observers: Observer, make: bool = False) -> Database:
        """Open the documents; with `make` the folder and the database are made if they are missing.

        Raises NoYard if there are none and none are to be made, DataLoss if models have lost theirs, and what every use
        of documents raises.
        """
        # In this order: if there are models, the database that named them was there before them.
        if self._holds_models() and not exists(self.database):
            raise DataLoss(
                f"{self.database} is gone, but models are in {self._artifacts}: restore it from a backup, "
                "or bring back the models by `modelyard doctor --repair`"
            )
        if not make and not exists(self.database):
            raise self._no_yard()
        return Database(self.database, make=make, lock_timeout_s=self._lock_timeout_s, observers=observers)

    def artifacts(self) -> ArtifactFolder:
        """Open the artifacts. Raises Unavailable."""
        return ArtifactFolder(self._artifacts)

    def series(self) -> SeriesFolder:
        """Open the series. Makes nothing."""
        return SeriesFolder(self._series)

    def drift(self) -> DriftCollection:
        """Open the counts that drift is told by. Makes nothing."""
        return DriftCollection(self.series(), SnapshotFolder(self.snapshots), self)

    def audit(self, documents: Documents) -> AuditCollection:
        """Open the audit of these documents. Makes nothing."""
        return AuditCollection(documents, self.ledger(), days=self._audit_days, signer=self.signer)

    def ledger(self) -> LedgerFolder:
        """Open the entries of the audit. Makes nothing."""
        return LedgerFolder(self._series / AUDIT, self.root)

    def locked(self, *, for_reading: bool = False) -> AbstractContextManager[None]:
        """Keep writers out within a `with` block. `for_reading`: a folder that is read-only will do.

        Raises Unavailable if the lock cannot be had in time.
        """
        return FolderLock(self.root / "db.lock", self._lock_timeout_s, for_reading=for_reading).held()

    def held(self, name: str) -> AbstractContextManager[None]:
        """Hold the lock of this name within a `with` block, as `Locks` says."""
        return FolderLock(self.root / f"{name}.lock", 0.0).held()

    def remove_unused(self) -> bool:
        """Remove a yard in which nothing has ever been kept. Returns False if something has, or it is no yard.

        The folder itself stays, with what else is in it.
        """
        if self._holds_models() or not exists(self.database):
            return False
        with self.locked():
            documents = Database(self.database, make=False)
            used = any(found for found in documents.snapshot()[0].values()) or bool(self.series().files())
            documents.close()
            if used:
                return False
            self.database.unlink()
        for path in (self._artifacts, self._series, self.snapshots, self.runs, self.outbox):
            with suppress(OSError):
                path.rmdir()
        self.database.with_suffix(".lock").unlink(missing_ok=True)
        return True

    def _holds_models(self) -> bool:
        """Whether a model's folder stands in `artifacts/`. Somebody else's files under that name are none."""
        with unavailable(f"read {self._artifacts}"):
            try:
                return any(is_model_id(entry.name) for entry in self._artifacts.iterdir())
            except (FileNotFoundError, NotADirectoryError):
                return False

    def _no_yard(self) -> NoYard:
        root = self.root
        problem = (
            "the folder holds none" if root.is_dir() else "it is no folder" if root.exists() else "it does not exist"
        )
        return NoYard(
            f"there is no yard at {root.absolute()}: {problem}; make one there with `modelyard train`, `modelyard up` "
            "or `modelyard backup load`"
        )


@dataclass(frozen=True, slots=True)
class Storage:
    """All that a yard keeps: models, aliases, jobs, evaluations, answers, keys, the audit, what a tracker is to hear.

    `drift` are the counts that drift is told by. `runs` and `outbox` are folders, made by those who use them: for what
    a run is given and makes, on the file system of the artifacts, and for what waits for the tracker. `locks` are for
    what one process at a time may do.
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
    locks: Locks

    def close(self) -> None:
        """Let go of what is open."""
        self.models.close()


def open_folder(
    root: Path,
    *,
    make: bool = True,
    lock_timeout_s: float = 10.0,
    allow_version_skew: bool = False,
    tracked: bool = False,
    signing: SigningKeys | None = None,
    audit_days: int = 0,
    keep_answers_days: int = 0,
) -> Storage:
    """Open what one folder keeps, shared with other processes. With `make` the folder is made a yard if it is none.

    With `signing` new models and the audit are signed, and no other model may be used. The audit is kept for
    `audit_days` (0: for ever), answers for `keep_answers_days` (0: none are).

    Raises NoYard if it is none and none is to be made, Unavailable if it cannot be used, DataLoss if its database is
    damaged or gone, FailedPrecondition if a newer release wrote it.
    """
    folder = Folder(root, lock_timeout_s, audit_days=audit_days, signing=signing)
    model_index, job_index, key_index, tracking_index = ModelIndex(), JobIndex(), KeyIndex(), TrackingIndex()
    observers = (model_index, job_index, key_index, *([tracking_index] if tracked else ()))
    documents = folder.documents(*observers, make=make)
    audit = folder.audit(documents)
    models = ModelStore(
        documents,
        folder.artifacts(),
        model_index,
        Signatures(signing),
        audit,
        lock_timeout_s=lock_timeout_s,
        allow_version_skew=allow_version_skew,
        tracked=tracked,
    )
    tracked_runs = TrackedRuns(documents, tracking_index) if tracked else None
    jobs, series = JobCollection(documents, job_index, audit), folder.series()
    evaluations = EvaluationCollection(series, audit)
    answers = AnswerCollection(documents, series, model_index, audit, days=keep_answers_days)
    keys, aliases = KeyCollection(documents, key_index, audit), AliasCollection(documents, model_index, audit)
    return Storage(
        models,
        jobs,
        evaluations,
        folder.drift(),
        answers,
        keys,
        aliases,
        audit,
        tracked_runs,
        folder.runs,
        folder.outbox,
        folder,
    )
