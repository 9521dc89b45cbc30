"""The folder of one run, `jobs/<job_id>/`: what it is to do, how far it is, what it said and what it made.

The order's files are their writer's affair. All else stands here: `progress.json`, `log.txt`, `ending.json` and the
folder `result/` with the model's files. The first line of `ending.json` is an HMAC of the rest, by a key that the run
and its owner alone know: others who can write the folder cannot say what a run has made. The runs of a search have
folders of their own in that of its job, `jobs/<job_id>/runs/<name>/`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from modelyard.access.signing import is_mac, mac
from modelyard.errors import Internal, ModelyardError
from modelyard.schemas import JobError, JobProgress, ModelDescription, ResolvedDecision
from modelyard.storage import KeptSpools, StoredFile
from modelyard.storage.files import unavailable

_LOG_TAIL_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Finished:
    """What a run has made: a model's description, and the files that it wrote into its folder `result`.

    Without a `name` the store makes one. `decision` is the one that the model obeys at first.
    """

    name: str | None
    description: ModelDescription
    files: Mapping[str, StoredFile]
    decision: ResolvedDecision | None = None


@dataclass(frozen=True, slots=True)
class StepTold:
    """What a run of a search tells that makes no model: a document, to be kept with the job."""

    said: Mapping[str, Any]


_FINISHED = TypeAdapter(Finished)


class Spool:
    """One run's folder. It need not exist: reading what is not there gives nothing.

    `kept` has what the run was given for the replicas of other hosts, if there is one.
    """

    def __init__(self, path: Path, kept: KeptSpools | None = None) -> None:
        self.path = path
        self._kept = kept
        self.result = path / "result"
        self.log = path / "log.txt"
        self._progress = path / "progress.json"
        self._ending = path / "ending.json"

    def write_progress(self, progress: JobProgress) -> None:
        """Say how far the run is."""
        _replace(self._progress, progress.model_dump_json().encode())

    def progress(self) -> JobProgress:
        """Return how far the run is."""
        try:
            return JobProgress.model_validate_json(self._said())
        except (OSError, ValidationError):
            return JobProgress()

    def _said(self) -> bytes:
        if self._kept is None or self.path.is_dir():
            return self._progress.read_bytes()
        return (self._kept.progress(self.path.name) or "").encode()  # the run is another host's

    def keep(self) -> None:
        """Let replicas of other hosts have what the run was given. Raises Unavailable."""
        self._keep(self.path, ())

    def keep_of_run(self, folder: Path) -> None:
        """Let them have what a run of this search has left for later ones in its folder. Raises Unavailable."""
        self._keep(folder, (self.log.name, self._progress.name, self._ending.name))

    def _keep(self, folder: Path, left_out: Collection[str]) -> None:
        if self._kept is None:
            return
        with unavailable(f"read {folder}"):
            files = [path for path in folder.iterdir() if path.is_file() and path.name not in left_out]
        self._kept.keep(self.path.name, self.path, [str(path.relative_to(self.path)) for path in files])

    def fetch(self) -> None:
        """Get what the run was given, if it was ordered on another host. Raises Unavailable."""
        if self._kept is not None:
            self._kept.fetch(self.path.name, self.path)

    def tell_progress(self) -> None:
        """Tell the other hosts how far the run is. Raises Unavailable."""
        if self._kept is not None and self._progress.exists():
            self._kept.note_progress(self.path.name, self.progress().model_dump_json())

    def write_finished(self, finished: Finished, key: bytes) -> None:
        """Say what the run has made, under the run's key."""
        self._write_ending(orjson.dumps({"finished": _FINISHED.dump_python(finished, mode="json")}), key)

    def write_told(self, told: StepTold, key: bytes) -> None:
        """Say what the run of a search tells, under the run's key."""
        self._write_ending(orjson.dumps({"told": told.said}), key)

    def write_error(self, error: ModelyardError, key: bytes) -> None:
        """Say why the run has made nothing, under the run's key."""
        document = {"error": JobError.of(error).model_dump()}
        self._write_ending(orjson.dumps(document, default=repr, option=orjson.OPT_NON_STR_KEYS), key)

    def ending(self, key: bytes) -> Finished | StepTold | JobError | None:
        """Return what came of the run; None if it ended without a word. What has not the run's key is an error."""
        try:
            found, _, said = self._ending.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        except OSError as error:
            return JobError.of(Internal(f"what the run said at its end cannot be read: {error}"))
        if not is_mac(found, key, said):
            return JobError.of(
                Internal("what stands in the spool is not what the run said at its end: its HMAC does not hold")
            )
        document = orjson.loads(said)
        if "told" in document:
            return StepTold(document["told"])
        return JobError.model_validate(document["error"]) if "error" in document else _finished(document["finished"])

    def _write_ending(self, said: bytes, key: bytes) -> None:
        _replace(self._ending, mac(key, said).encode() + b"\n" + said)

    def said_since(self, start: int) -> tuple[str, int]:
        """Return what the run has said from byte `start` on, and the byte where that ends.

        Of more than 16 KB the last lines are returned.
        """
        try:
            with self.log.open("rb") as file:
                first = os.fstat(file.fileno()).st_size - _LOG_TAIL_BYTES
                file.seek(max(start, first))
                if first > start:
                    file.readline()  # begun before what is kept
                return file.read().decode(errors="replace"), file.tell()
        except OSError:
            return "", start

    def log_tail(self) -> str:
        """Return the end of what the run said."""
        return self.said_since(0)[0].strip()

    def remove_result(self) -> None:
        """Remove the files that the run has made."""
        shutil.rmtree(self.result, ignore_errors=True)

    def remove(self) -> None:
        """Remove the folder and all that is in it, and what was kept of it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._kept is not None:
            self._kept.forget(self.path.name)


class ProgressReporter:
    """What a run calls as it goes on, as often as it likes: it is written down every 100 ms at most."""

    def __init__(self, spool: Spool, interval_s: float = 0.1) -> None:
        self._spool = spool
        self._interval_s = interval_s
        self._next = 0.0

    def __call__(self, progress: JobProgress) -> None:
        """Note how far the run is."""
        now = time.monotonic()
        if now < self._next and progress.fraction < 1.0:
            return
        self._next = now + self._interval_s
        self._spool.write_progress(progress)


def _finished(document: Any) -> Finished | JobError:
    try:
        return _FINISHED.validate_python(document)
    except ValidationError as error:
        return JobError.of(Internal(f"what the run has made is not described as it should be: {error}"))


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_bytes(content)
    temporary.replace(path)
