"""What runs of other hosts are given: objects `jobs/<job_id>/<path>` in the yard's bucket."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from modelyard.errors import Unavailable
from modelyard.storage.artifacts.bucket import Bucket, side_by_side
from modelyard.storage.files import make_folder, unavailable
from modelyard.storage.protocols import ArtifactGone


@dataclass(frozen=True, slots=True)
class Depot:
    """The yard's bucket, as far as it holds what is of runs. Every use raises Unavailable."""

    bucket: Bucket

    def keep(self, job_id: str, folder: Path, paths: Collection[str]) -> None:
        """Keep some files of a job's folder, in place of those that were kept of these names."""
        prefix = f"jobs/{job_id}/"

        def upload(path: str) -> None:
            with unavailable(f"read {folder / path}"):
                content = (folder / path).read_bytes()
            self.bucket.replace(prefix + path, content)

        side_by_side(upload, paths)

    def fetch(self, job_id: str, folder: Path) -> None:
        """Bring what was kept of a job into its folder, as far as it is not there."""
        prefix = f"jobs/{job_id}/"

        def download(path: str) -> None:
            file = folder / path
            try:
                content = self.bucket.get(prefix + path)
            except ArtifactGone as gone:
                raise Unavailable(f"{gone} is gone: its job has ended") from None
            with unavailable(f"write {file}"):
                make_folder(file.parent)
                temporary = file.with_name(f"{file.name}.part")
                temporary.write_bytes(content)
                temporary.rename(file)

        paths = [key.removeprefix(prefix) for key in self.bucket.keys(prefix)]
        side_by_side(download, [path for path in paths if not (folder / path).exists()])

    def sizes(self) -> dict[str, tuple[int, float]]:
        """Return by job how many bytes are kept of it, and for how many seconds nothing has been written there."""
        return self.bucket.parts("jobs/")

    def remove(self, job_id: str) -> None:
        """Remove what was kept and left of a job."""
        self.bucket.remove(self.bucket.keys(f"jobs/{job_id}/"))
