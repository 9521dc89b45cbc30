"""A yard on servers, which replicas on several hosts share: PostgreSQL, and for the files of models a bucket.

The folder of each replica holds what belongs to its host: the spools of its runs, and what was seen of the database.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from modelyard.errors import Unavailable
from modelyard.storage.artifacts.folder import ArtifactFolder
from modelyard.storage.files import make_folder, unavailable
from modelyard.storage.memory import Changes, Salvaged
from modelyard.storage.notes import OUTBOX, DocumentNotes
from modelyard.storage.postgres import leases, rows, schema
from modelyard.storage.postgres.documents import PostgresDocuments
from modelyard.storage.postgres.ledger import PostgresLedger
from modelyard.storage.postgres.memo import Memo
from modelyard.storage.postgres.series import PostgresSeries, PostgresSnapshots
from modelyard.storage.postgres.session import Session
from modelyard.storage.protocols import Artifacts, Observer, now
from modelyard.storage.quarantine import BucketQuarantine, FolderQuarantine, Quarantine
from modelyard.storage.spools import KeptInFolder, KeptOnServers

if TYPE_CHECKING:
    from modelyard.storage.artifacts.bucket import Bucket


class Servers:
    """`opening.Engines` on the database at `database_url`.

    The files of models stand in a bucket, `artifacts_url`; without one in `root`, which all replicas then share.
    """

    def __init__(
        self,
        database_url: str,
        root: Path,
        lock_timeout_s: float = 10.0,
        *,
        artifacts_url: str | None = None,
        s3_endpoint: str | None = None,
    ) -> None:
        self.root = root
        self.runs = root / "jobs"
        self.outbox = root / "outbox"
        self._url = database_url
        self._lock_timeout_s = lock_timeout_s
        self._bucket = None if artifacts_url is None else _bucket(artifacts_url, s3_endpoint)
        self._probed = False
        self._memo = Memo(root / "seen")
        self._beside = self._session()
        self._documents: PostgresDocuments | None = None

    @property
    def name(self) -> str:
        """Database and schema, and the bucket or the folder."""
        parts = urlsplit(self._url)
        schema = "".join(f"?options={value}" for value in parse_qs(parts.query).get("options", []))
        place = f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}{schema}"
        return f"{place} with {self.root.absolute()}" if self._bucket is None else f"{place},{self._bucket.url}"

    def strangers(self) -> list[str]:
        """Return whether files of models are there, in words."""
        return ["artifacts"] if self.artifacts().model_ids() else []

    def documents(self, observers: Sequence[Observer] = (), *, make: bool = False) -> PostgresDocuments:
        """Open the documents; with `make` the tables are made if they are missing. Call it first.

        Raises NoYard if there are none, FailedPrecondition for a database that does not keep what it has answered.
        """
        documents = PostgresDocuments(
            self._url,
            make=make,
            lock_timeout_s=self._lock_timeout_s,
            observers=observers,
            beside=self._beside,
            memo=self._memo,
        )
        try:
            with unavailable(f"make {self.runs}"):
                make_folder(self.runs)
        except BaseException:
            documents.close()
            raise
        self._documents = documents
        return documents

    def require_yard(self) -> None:
        """Raise NoYard if there is none. Makes nothing."""
        with closing(self._session()) as session:
            schema.prepare(session, make=False)

    def locked(self, *, for_reading: bool = False) -> AbstractContextManager[None]:
        """Do nothing: files of models have their names before anybody's turn."""
        return nullcontext()

    def salvaged(self) -> Salvaged:
        """Read the documents that are whole, as `Engines` says."""
        with closing(self._session()) as session:
            schema.check_format(session.row("select format from head")[0])
            self._memo.check(session)
            return rows.salvage(session)

    def mend_documents(self, found: Salvaged, changes: Changes, aside: Quarantine) -> str:
        """Take the damaged documents out and put the changes, as `Engines` says."""
        with closing(self._session()) as session:
            for (collection, key), body in found.lost.items():
                aside.write(f"documents/{collection}/{key}", body)
            session.begin()
            number: int = session.row("update head set seq = seq + 1 returning seq")[0]
            rows.take_out(session, found.lost)
            rows.write(session, number, changes)
            schema.begin_anew(session)
            if not session.commit():
                raise Unavailable("the database does not take the repair")
        return f"taken out of the database; it is {aside.path('documents')}"

    def quarantine(self, at: datetime) -> Quarantine:
        """Return what sets things aside: in the bucket, if there is one."""
        return FolderQuarantine(self.root, at) if self._bucket is None else BucketQuarantine(self._bucket, at)

    def accept_restored(self) -> None:
        """Take the database's state as the one to go on from, though replicas have seen a later one."""
        with closing(self._session()) as session:
            schema.prepare(session, make=False)
            schema.begin_anew(session)

    def close(self) -> None:
        """Let go of what is open beside the documents."""
        self._beside.close()

    def artifacts(self) -> Artifacts:
        """Open the artifacts. Raises Unavailable, FailedPrecondition for a store that overwrites what is there."""
        if self._bucket is None:
            return ArtifactFolder(self.root / "artifacts")
        from modelyard.storage.artifacts.objects import ObjectArtifacts

        if not self._probed:
            self._bucket.probe()
            self._probed = True
        return ObjectArtifacts(self._bucket, self.root / "downloads")

    def series(self, clock: Callable[[], datetime] = now) -> PostgresSeries:
        """Open the series, which take the time from `clock`."""
        return PostgresSeries(self._beside, clock)

    def counts(self) -> PostgresSnapshots:
        """Open what processes count."""
        return PostgresSnapshots(self._beside)

    def ledger(self) -> PostgresLedger:
        """Open the entries of the audit."""
        return PostgresLedger(self._beside, None if self._documents is None else self._documents.writer)

    def notes(self) -> DocumentNotes:
        """Open what waits for the tracker."""
        return DocumentNotes(self._opened, OUTBOX)

    def spools(self) -> KeptInFolder | KeptOnServers:
        """Open what runs are given."""
        if self._bucket is None:
            return KeptInFolder()
        from modelyard.storage.artifacts.depot import Depot

        return KeptOnServers(Depot(self._bucket), self._beside)

    def owners(self) -> leases.PostgresOwners:
        """Open the list of the processes that own jobs."""
        return leases.PostgresOwners(self._beside)

    def held(self, name: str) -> AbstractContextManager[None]:
        """Hold the lock of this name within a `with` block, as `Locks` says."""
        return leases.held(self._session(), name)

    def _session(self) -> Session:
        return Session(self._url, self._lock_timeout_s)

    @property
    def _opened(self) -> PostgresDocuments:
        assert self._documents is not None
        return self._documents


def _bucket(url: str, endpoint: str | None) -> Bucket:
    from modelyard.storage.artifacts.bucket import Bucket  # the library is an extra

    return Bucket(url, endpoint)
