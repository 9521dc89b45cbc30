"""What runs are given, kept where every replica finds it, and how far they are, if there is no common folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from modelyard.errors import Unavailable
from modelyard.storage.files import make_folder, unavailable
from modelyard.storage.protocols import SETTLED_AFTER_S, ArtifactGone

if TYPE_CHECKING:
    from modelyard.storage.artifacts.bucket import Bucket
    from modelyard.storage.postgres.session import Session

log = logging.getLogger("modelyard.storage")


class KeptSpools(Protocol):
    """What runs were given, where every replica finds it until they have ended. Raises Unavailable."""

    def keep(self, job_id: str, folder: Path) -> None:
        """Keep the files of a folder."""

    def fetch(self, job_id: str, folder: Path) -> None:
        """Make the folder with what was kept, unless it is there."""

    def note_progress(self, job_id: str, said: str) -> None:
        """Say how far a run is."""

    def progress(self, job_id: str) -> str | None:
        """Return how far a run is, as it was said last."""

    def forget(self, job_id: str) -> None:
        """Remove what was kept, as far as the system permits. Raises nothing."""

    def left(self) -> dict[str, int]:
        """Return for which jobs something has been kept for a day or longer, and how many bytes."""


class KeptInFolder:
    """`KeptSpools` if all replicas share the folder of runs: it is all there."""

    def keep(self, job_id: str, folder: Path) -> None:
        """Do nothing."""

    def fetch(self, job_id: str, folder: Path) -> None:
        """Do nothing."""

    def note_progress(self, job_id: str, said: str) -> None:
        """Do nothing."""

    def progress(self, job_id: str) -> str | None:
        return None

    def forget(self, job_id: str) -> None:
        """Do nothing."""

    def left(self) -> dict[str, int]:
        return {}


class KeptOnServers:
    """`KeptSpools`: orders as objects `jobs/<job_id>/<file>`, progress in a table."""

    def __init__(self, bucket: Bucket, session: Session) -> None:
        self._bucket = bucket
        self._session = session

    def keep(self, job_id: str, folder: Path) -> None:
        with unavailable(f"read {folder}"):
            contents = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        for name, content in contents.items():
            self._bucket.put(f"jobs/{job_id}/{name}", content)

    def fetch(self, job_id: str, folder: Path) -> None:
        if folder.is_dir():
            return
        try:
            contents = {key.rpartition("/")[2]: self._bucket.get(key) for key in self._bucket.keys(f"jobs/{job_id}/")}
        except ArtifactGone:
            return  # the job has ended meanwhile
        temporary = folder.with_name(f"{folder.name}.new")
        with unavailable(f"write {folder}"):
            make_folder(temporary)
            for name, content in contents.items():
                (temporary / name).write_bytes(content)
            temporary.rename(folder)

    def note_progress(self, job_id: str, said: str) -> None:
        with self._session.mutex:
            self._session.run(
                "insert into progress (job_id, said) values (%s, %s) on conflict (job_id) do update set said = %s",
                job_id,
                said,
                said,
            )

    def progress(self, job_id: str) -> str | None:
        with self._session.mutex:
            found = self._session.row("select said from progress where job_id = %s", job_id)
        return None if found is None else str(found[0])

    def left(self) -> dict[str, int]:
        parts = self._bucket.parts("jobs/")
        return {job_id: size for job_id, (size, age_s) in parts.items() if age_s > SETTLED_AFTER_S}

    def forget(self, job_id: str) -> None:
        try:
            self._bucket.remove(self._bucket.keys(f"jobs/{job_id}/"))
            with self._session.mutex:
                self._session.run("delete from progress where job_id = %s", job_id)
        except Unavailable as error:
            log.warning("what job %s was given is left: %s", job_id, error.detail)
