"""The files of a model under `artifacts/<model_id>/`: written whole or not at all, never changed, verified when read.

Which models there are is not known here: a folder counts only once the database names it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelyard.errors import DataLoss
from modelyard.storage.files import make_folder, sync_folder, unavailable, write_new_file, write_new_files

log = logging.getLogger("modelyard.storage")

DESCRIPTION_FILE = "model.json"
"""What the database says of a model but its version, with a checksum of its own: for the day when it is lost there."""

TEMPORARY = ".tmp-"
"""How the names of folders begin that are not a model's yet."""

_PROBE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What a file must be: its SHA-256 in hex and its size in bytes."""

    sha256: str
    bytes: int


class ArtifactGone(Exception):
    """A file is not there; whether it should be, the database knows."""


def stored(content: bytes) -> StoredFile:
    """Say what a file of this content must be."""
    return StoredFile(hashlib.sha256(content).hexdigest(), len(content))


def write_files(folder: Path, contents: Mapping[str, bytes]) -> dict[str, StoredFile]:
    """Write files down to the disk, into a folder that is made for them. Raises OSError."""
    folder.mkdir()
    write_new_files(folder, contents)
    sync_folder(folder)
    return {name: stored(content) for name, content in contents.items()}


class ArtifactFolder:
    """The folder `artifacts/`, made where it is missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with unavailable(f"make {path}"):
            make_folder(path)

    def temporary(self) -> Path:
        """Return the path for a folder of files that are to become a model's."""
        return self.path / f"{TEMPORARY}{secrets.token_hex(8)}"

    def discard(self, folder: Path) -> None:
        """Remove a `temporary` folder where it is still there."""
        shutil.rmtree(folder, ignore_errors=True)

    def complete(self, folder: Path, description: bytes) -> None:
        """Write a model's description beside its files, down to the disk. Raises Unavailable."""
        path = folder / DESCRIPTION_FILE
        with unavailable(f"write {path}"):
            path.unlink(missing_ok=True)
            write_new_file(path, description)
            sync_folder(folder)

    def take(self, model_id: str, folder: Path) -> None:
        """Move a folder of files, which are on the disk of the same file system, to a model. Raises Unavailable."""
        with unavailable(f"write {self.path / model_id}"):
            folder.rename(self.path / model_id)
            try:
                sync_folder(self.path)
            except BaseException:
                self.remove(model_id)
                raise

    def read(self, model_id: str, name: str, expected: StoredFile) -> bytes:
        """Return a file's bytes. Raises ArtifactGone, DataLoss if they are not the expected ones, Unavailable."""
        content = self.content(model_id, name)
        _verify(self.path / model_id / name, hashlib.sha256(content).hexdigest(), len(content), expected)
        return content

    def content(self, model_id: str, name: str) -> bytes:
        """Return a file's bytes, whatever they are. Raises ArtifactGone, Unavailable."""
        path = self.path / model_id / name
        with unavailable(f"read {path}"):
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                raise ArtifactGone(str(path)) from None

    def verify(self, model_id: str, name: str, expected: StoredFile) -> Path:
        """Return a file's path after reading it through. Raises like `read`."""
        path = self.path / model_id / name
        with unavailable(f"read {path}"):
            try:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256")
                    size = os.fstat(file.fileno()).st_size
            except (FileNotFoundError, NotADirectoryError):
                raise ArtifactGone(str(path)) from None
        _verify(path, digest.hexdigest(), size, expected)
        return path

    def remove(self, model_id: str) -> None:
        """Remove a model's files, as far as the system lets us: no document names them, so none is missed."""
        try:
            shutil.rmtree(self.path / model_id)
            sync_folder(self.path)
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("%s could not be removed: %s", self.path / model_id, error.strerror)

    def check(self) -> None:
        """Raise Unavailable if no file can be written here now."""
        probe = self.path / f".check-{secrets.token_hex(4)}"
        with unavailable(f"write in {self.path}"):
            try:
                probe.write_bytes(b" " * _PROBE_BYTES)
            finally:
                probe.unlink(missing_ok=True)

    def model_ids(self) -> list[str]:
        """Return the ids that have a folder here, named by the database or not."""
        with unavailable(f"read {self.path}"):
            return sorted(entry.name for entry in self.path.iterdir() if not entry.name.startswith("."))

    def temporaries(self, older_than_s: float = 3600.0) -> list[Path]:
        """Return the `temporary` folders that nobody has written to for so long: a crash left them."""
        with unavailable(f"read {self.path}"):
            return [path for path in sorted(self.path.glob(f"{TEMPORARY}*")) if age_s(path) > older_than_s]


def age_s(path: Path) -> float:
    """Return how long ago a file was written to, in seconds; 0 where it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _verify(path: Path, sha256: str, size: int, expected: StoredFile) -> None:
    if (sha256, size) != (expected.sha256, expected.bytes):
        raise DataLoss(
            f"{path} is damaged: expected {expected.bytes} bytes with SHA-256 {expected.sha256}, "
            f"found {size} bytes with {sha256}"
        )
