"""A folder: where everything stands in it, and the engines that a yard's storage stands on there.

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

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from modelyard.errors import DataLoss, NoYard
from modelyard.schemas import is_model_id
from modelyard.storage.artifacts.folder import ArtifactFolder
from modelyard.storage.collections.audit import AUDIT
from modelyard.storage.collections.drift import DRIFT, DriftCollection
from modelyard.storage.documents import compaction
from modelyard.storage.documents.database import Database
from modelyard.storage.documents.folder_lock import FolderLock
from modelyard.storage.documents.salvage import salvage
from modelyard.storage.files import exists, unavailable
from modelyard.storage.memory import Changes, Salvaged
from modelyard.storage.notes import FolderNotes
from modelyard.storage.opening import Storage, open_storage
from modelyard.storage.protocols import Observer, now
from modelyard.storage.quarantine import FolderQuarantine, Quarantine
from modelyard.storage.series.folder import SeriesFolder
from modelyard.storage.series.ledger import LedgerFolder
from modelyard.storage.series.snapshots import SnapshotFolder
from modelyard.storage.spools import KeptInFolder


class Folder:
    """The layout of one folder. Nothing is made or opened before it is asked for.

    `name` is what the yard is called, by default the folder's path. Unless `durable`, files of models are not waited
    for to be on the disk.
    """

    def __init__(
        self, root: Path, lock_timeout_s: float = 10.0, *, name: str | None = None, durable: bool = True
    ) -> None:
        self.root = root
        self.name = name or str(root.absolute())
        self.database = root / "db.jsonl"
        self.runs = root / "jobs"
        self.outbox = root / "outbox"
        self.snapshots = root / DRIFT
        self._artifacts = root / "artifacts"
        self._series = root / "series"
        self._durable = durable
        self._lock_timeout_s = lock_timeout_s

    def require_yard(self) -> None:
        """Raise NoYard unless the folder holds a database or models. Makes nothing.

        Models whose database is lost count: `doctor` is there for them. Raises Unavailable if that cannot be told.
        """
        if not self._holds_models() and not exists(self.database):
            raise self._no_yard()

    def strangers(self) -> list[str]:
        """Return the names of what stands in the folder; if it holds a database, of models alone."""
        with unavailable(f"read {self.root}"):
            if not exists(self.root):
                return []
            if exists(self.database):
                return ["artifacts"] if self._holds_models() else []
            return sorted(path.name for path in self.root.iterdir() if path.suffix not in (".lock", ".new"))

    def documents(self, observers: Sequence[Observer] = (), *, make: bool = False) -> Database:
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
        return ArtifactFolder(self._artifacts, durable=self._durable)

    def series(self, clock: Callable[[], datetime] = now) -> SeriesFolder:
        """Open the series, which take the time from `clock`. Makes nothing."""
        return SeriesFolder(self._series, clock)

    def counts(self) -> SnapshotFolder:
        """Open what processes count. Makes nothing."""
        return SnapshotFolder(self.snapshots)

    def drift(self) -> DriftCollection:
        """Open the counts that drift is told by. Makes nothing."""
        return DriftCollection(self.series(), self.counts(), self)

    def ledger(self) -> LedgerFolder:
        """Open the entries of the audit. Makes nothing."""
        return LedgerFolder(self._series / AUDIT, self.root)

    def notes(self) -> FolderNotes:
        """Open what waits for the tracker. Makes nothing."""
        return FolderNotes(self.outbox)

    def spools(self) -> KeptInFolder:
        """Return what says that all of a run is in its folder."""
        return KeptInFolder()

    def locked(self, *, for_reading: bool = False) -> AbstractContextManager[None]:
        """Keep writers out within a `with` block. `for_reading`: a folder that is read-only will do.

        Raises Unavailable if the lock cannot be had in time.
        """
        return FolderLock(self.root / "db.lock", self._lock_timeout_s, for_reading=for_reading).held()

    def salvaged(self) -> Salvaged:
        """Read the documents that are whole, as `Engines` says."""
        return salvage(self.database)

    def mend_documents(self, found: Salvaged, changes: Changes, aside: Quarantine) -> str:
        """Write the database anew, as `Engines` says."""
        for (collection, key), raw in changes.items():
            if raw is not None:
                found.collections.setdefault(collection, {})[key] = raw
        aside.copy(self.database.name)
        with unavailable(f"repair {self.database}"):
            compaction.write(self.database, found.collections, found.seq)
        if not aside.has(self.database.name):
            return "begun anew"
        return f"written anew from what was whole; the old one is {aside.path(self.database.name)}"

    def quarantine(self, at: datetime) -> FolderQuarantine:
        """Return what sets things aside below the folder."""
        return FolderQuarantine(self.root, at)

    def close(self) -> None:
        """Do nothing: nothing is kept open."""

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


def open_folder(root: Path, *, lock_timeout_s: float = 10.0, **options: Any) -> Storage:
    """Open what one folder keeps, as `open_storage` does, whose `options` these are."""
    return open_storage(Folder(root, lock_timeout_s), lock_timeout_s=lock_timeout_s, **options)
