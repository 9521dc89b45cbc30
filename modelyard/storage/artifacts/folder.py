"""The files of models in a folder, `artifacts/<model_id>/`: `Artifacts` on a file system.

Which models there are is not known here: a model's folder counts only once a document names it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from modelyard.errors import DataLoss
from modelyard.storage.files import age_s, make_folder, sync_folder, unavailable, write_new_files
from modelyard.storage.protocols import ArtifactGone, StoredFile, stored

log = logging.getLogger("modelyard.storage")

_TEMPORARY = ".tmp-"
"""How the names of folders begin that are not a model's yet."""

_LEFTOVER_AFTER_S = 3600.0
_PROBE_BYTES = 4096


class ArtifactFolder:
    """The folder `artifacts/`, made if it is missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with unavailable(f"make {path}"):
            make_folder(path)

    def temporary(self) -> Path:
        """Return the path of a folder, not made yet, for files that are to become a model's."""
        return self.path / f"{_TEMPORARY}{secrets.token_hex(8)}"

    def discard(self, folder: Path) -> None:
        """Remove a folder of such files if it is still there."""
        shutil.rmtree(folder, ignore_errors=True)

    def stage(self, folder: Path, contents: Mapping[str, bytes]) -> None:
        """Write files beside those of a folder, down to the disk. The others are there already. Raises Unavailable."""
        with unavailable(f"write {folder}"):
            for name in contents:
                (folder / name).unlink(missing_ok=True)
            write_new_files(folder, contents)
            sync_folder(folder)

    def adopt(self, model_id: str, folder: Path) -> None:
        """Move a staged folder of this file system to a model. Raises Unavailable."""
        with unavailable(f"write {self.path / model_id}"):
            folder.rename(self.path / model_id)
            try:
                sync_folder(self.path)
            except BaseException:
                self.remove(model_id)
                raise

    def read(self, model_id: str, name: str, expected: StoredFile | None) -> bytes:
        """Return a file's content. Raises ArtifactGone, DataLoss if it is not the expected one, Unavailable."""
        path = self.path / model_id / name
        with unavailable(f"read {path}"):
            try:
                content = path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                raise ArtifactGone(str(path)) from None
        if expected is not None:
            _verify(path, stored(content), expected)
        return content

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
        _verify(path, StoredFile(digest.hexdigest(), size), expected)
        return path

    def remove(self, model_id: str) -> None:
        """Remove a model's files as far as the system permits; what is left is garbage. Raises nothing."""
        try:
            shutil.rmtree(self.path / model_id)
            sync_folder(self.path)
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("%s could not be removed: %s", self.path / model_id, error.strerror)

    def check(self) -> None:
        """Raise Unavailable if no file can be written now."""
        probe = self.path / f".check-{secrets.token_hex(4)}"
        with unavailable(f"write in {self.path}"):
            try:
                probe.write_bytes(b" " * _PROBE_BYTES)
            finally:
                probe.unlink(missing_ok=True)

    def model_ids(self) -> list[str]:
        """Return the ids under which there are files, whether a document names them or not."""
        with unavailable(f"read {self.path}"):
            return sorted(entry.name for entry in self.path.iterdir() if not entry.name.startswith("."))

    def temporaries(self) -> list[Path]:
        """Return the `temporary` folders that a crash left: nobody has written to them for an hour."""
        with unavailable(f"read {self.path}"):
            return [path for path in sorted(self.path.glob(f"{_TEMPORARY}*")) if age_s(path) > _LEFTOVER_AFTER_S]


def _verify(path: Path, found: StoredFile, expected: StoredFile) -> None:
    if found != expected:
        raise DataLoss(
            f"{path} is damaged: expected {expected.bytes} bytes with SHA-256 {expected.sha256}, "
            f"found {found.bytes} bytes with {found.sha256}"
        )
