"""The files that go with a run by Ray: what it is given, and what it makes. They are read, and written, as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelyard.errors import Unavailable
from modelyard.jobs.ray.orders import Ended
from modelyard.schemas import JobError
from modelyard.storage.files import unavailable

MOST_SENT_BYTES = 1 << 23
"""So much of what a job is given is sent along: 200 rows start 0.1 s sooner, 50 MB not measurably. More is fetched.

A place is held for a minute until its run starts; a network of 1.1 MB/s, as slow as the depot allows, takes 8 s.
"""


def sent_along(folder: Path, *, is_job: bool) -> dict[str, bytes]:
    """Return the files that a run is given, none if the depot has them and they are many bytes."""
    paths = list(folder.iterdir())
    if is_job and sum(path.stat().st_size for path in paths) > MOST_SENT_BYTES:
        return {}
    return {path.name: path.read_bytes() for path in paths}


def made_in(folder: Path) -> dict[str, bytes]:
    """Return the files that a run has left in its folder, by their paths there. Raises OSError."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def with_files(ended: Ended, made: Mapping[str, bytes], folder: str) -> Ended:
    """Write what a run has made into its folder. Returns its end, which is an error of its own if that cannot be."""
    try:
        with unavailable(f"write {folder}"):
            for name, content in made.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    except Unavailable as error:
        return Ended(error=JobError.of(error).model_dump(mode="json"), status="failed")
    return ended
