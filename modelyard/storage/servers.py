"""A yard on servers, which replicas on several hosts share: PostgreSQL, and for the files of models a bucket.

The folder of each replica holds what belongs to its host: the spools of its runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.storage.artifacts.folder import ArtifactFolder
from modelyard.storage.files import make_folder, unavailable
from modelyard.storage.notes import DocumentNotes
from modelyard.storage.postgres import leases, schema
from modelyard.storage.postgres.documents import PostgresDocuments
from modelyard.storage.postgres.ledger import PostgresLedger
from modelyard.storage.postgres.series import PostgresSeries, PostgresSnapshots
from modelyard.storage.postgres.session import Session
from modelyard.storage.protocols import Artifacts, Observer, now
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
        self._documents: PostgresDocuments | None = None

    def documents(self, observers: Sequence[Observer] = (), *, make: bool = False) -> PostgresDocuments:
        """Open the documents; with `make` the tables are made if they are missing. Call it first.

        Raises NoYard if there are none, FailedPrecondition for a database that does not keep what it has answered.
        """
        with unavailable(f"make {self.runs}"):
            make_folder(self.runs)
        self._documents = PostgresDocuments(
            self._url, make=make, lock_timeout_s=self._lock_timeout_s, observers=observers
        )
        return self._documents

    def accept_restored(self) -> None:
        """Take the database's state as the one to go on from, though replicas have seen a later one."""
        session = Session(self._url, self._lock_timeout_s)
        try:
            schema.prepare(session, make=False)
            schema.accept_restored(session)
        finally:
            session.close()

    def artifacts(self) -> Artifacts:
        """Open the artifacts. Raises Unavailable, FailedPrecondition for a store that overwrites what is there."""
        if self._bucket is None:
            return ArtifactFolder(self.root / "artifacts")
        from modelyard.storage.artifacts.objects import ObjectArtifacts

        self._bucket.probe()
        return ObjectArtifacts(self._bucket, self.root / "downloads")

    def series(self, clock: Callable[[], datetime] = now) -> PostgresSeries:
        """Open the series, which take the time from `clock`."""
        return PostgresSeries(self._opened.beside, clock)

    def counts(self) -> PostgresSnapshots:
        """Open what processes count."""
        return PostgresSnapshots(self._opened.beside)

    def ledger(self) -> PostgresLedger:
        """Open the entries of the audit."""
        return PostgresLedger(self._opened)

    def notes(self) -> DocumentNotes:
        """Open what waits for the tracker."""
        return DocumentNotes(self._opened, "outbox")

    def spools(self) -> KeptInFolder | KeptOnServers:
        """Open what runs are given."""
        if self._bucket is None:
            return KeptInFolder()
        from modelyard.storage.artifacts.depot import Depot

        return KeptOnServers(Depot(self._bucket.url, self._bucket.endpoint), self._opened.beside)

    def owners(self) -> leases.PostgresOwners:
        """Open the list of the processes that own jobs."""
        return leases.PostgresOwners(self._opened.beside)

    def held(self, name: str) -> AbstractContextManager[None]:
        """Hold the lock of this name within a `with` block, as `Locks` says."""
        return leases.held(Session(self._url, self._lock_timeout_s), name)

    @property
    def _opened(self) -> PostgresDocuments:
        assert self._documents is not None
        return self._documents


def _bucket(url: str, endpoint: str | None) -> Bucket:
    from modelyard.storage.artifacts.bucket import Bucket  # the library is an extra

    return Bucket(url, endpoint)
