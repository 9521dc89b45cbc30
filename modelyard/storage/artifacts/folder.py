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
from modelyard.storage.files import age_s, make_folder, replace_file, sync_folder, unavailable, write_new_files
from modelyard.storage.protocols import ArtifactGone, StoredFile, stored

log = logging.getLogger("modelyard.storage")

_LEFTOVER_AFTER_S = 3600.0
_PROBE_BYTES = 4096


class ArtifactFolder:
    """`protocols.Artifacts` in the folder `path`, which is made if it is missing.

    What is staged must be on its file system, and on the disk already: it is moved, not copied. Unless `durable`,
    nothing is waited for to be on the disk.
    """

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self.path = path
        self._durable = durable
        with unavailable(f"make {path}"):
            make_folder(path)

    def stage(self, model_id: str, folder: Path, contents: Mapping[str, bytes]) -> None:
        with unavailable(f"write {folder}"):
            if not self._durable:
                for name, content in contents.items():
                    (folder / name).write_bytes(content)
                return
            for name in contents:
                (folder / name).unlink(missing_ok=True)
            write_new_files(folder, contents)
            sync_folder(folder)

    def adopt(self, model_id: str, folder: Path) -> None:
        with unavailable(f"write {self.path / model_id}"):
            folder.rename(self.path / model_id)
            if not self._durable:
                return
            try:
                sync_folder(self.path)
            except BaseException:
                self.remove(model_id)
                raise

    def replace(self, model_id: str, name: str, content: bytes) -> None:
        path = self.path / model_id / name
        with unavailable(f"write {path}"):
            replace_file(path, content)

    def read(self, model_id: str, name: str, expected: StoredFile | None) -> bytes:
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
        try:
            shutil.rmtree(self.path / model_id)
            sync_folder(self.path)
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("%s could not be removed: %s", self.path / model_id, error.strerror)

    def check(self) -> None:
        probe = self.path / f".check-{secrets.token_hex(4)}"
        with unavailable(f"write in {self.path}"):
            try:
                probe.write_bytes(b" " * _PROBE_BYTES)
            finally:
                probe.unlink(missing_ok=True)

    def model_ids(self) -> list[str]:
        with unavailable(f"read {self.path}"):
            return sorted(entry.name for entry in self.path.iterdir() if not entry.name.startswith("."))

    def size(self, model_id: str) -> int:
        folder = self.path / model_id
        with unavailable(f"read {folder}"):
            return sum(file.stat().st_size for file in (folder, *folder.rglob("*")) if file.is_file())

    def is_settled(self, model_id: str) -> bool:
        return True  # folders get their names under the lock

    def temporaries(self) -> list[Path]:
        with unavailable(f"read {self.path}"):
            return [path for path in sorted(self.path.glob(".tmp-*")) if age_s(path) > _LEFTOVER_AFTER_S]

    def discard(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)


def _verify(path: Path, found: StoredFile, expected: StoredFile) -> None:
    if found != expected:
        raise DataLoss(
            f"{path} is damaged: expected {expected.bytes} bytes with SHA-256 {expected.sha256}, "
            f"found {found.bytes} bytes with {found.sha256}"
        )
