"""The files of models as objects, `artifacts/<model_id>/<file>` below a bucket's prefix: `Artifacts` for several hosts.

They are uploaded before the transaction that names them, so an unnamed one may be about to be named for a while.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from modelyard.errors import DataLoss, Unavailable
from modelyard.storage.artifacts.bucket import Bucket, side_by_side
from modelyard.storage.files import age_s, unavailable
from modelyard.storage.protocols import SETTLED_AFTER_S, StoredFile, stored

log = logging.getLogger("modelyard.storage")

_FOLDER = "artifacts/"
_SETTLED_AFTER_S = SETTLED_AFTER_S
_LOCAL_FOR_S = 3600.0


class ObjectArtifacts:
    """`protocols.Artifacts` in a bucket. What has to be a file of this machine is one in `local` for a while."""

    def __init__(self, bucket: Bucket, local: Path) -> None:
        self.bucket = bucket
        self._local = local

    def stage(self, model_id: str, folder: Path, contents: Mapping[str, bytes]) -> None:
        def upload(name: str) -> None:
            with unavailable(f"read {folder / name}"):
                content = contents[name] if name in contents else (folder / name).read_bytes()
            self.bucket.put(_key(model_id, name), content)

        with unavailable(f"read {folder}"):
            files = {path.name for path in folder.iterdir()}
        side_by_side(upload, sorted(files | set(contents)))

    def adopt(self, model_id: str, folder: Path) -> None:
        """Do nothing: what is staged has its name already."""

    def replace(self, model_id: str, name: str, content: bytes) -> None:
        self.bucket.replace(_key(model_id, name), content)

    def read(self, model_id: str, name: str, expected: StoredFile | None) -> bytes:
        content = self.bucket.get(_key(model_id, name))
        if expected is not None and (found := stored(content)) != expected:
            raise DataLoss(
                f"{self.bucket.url}/{_key(model_id, name)} is damaged: expected {expected.bytes} bytes with SHA-256 "
                f"{expected.sha256}, found {found.bytes} bytes with {found.sha256}"
            )
        return content

    def verify(self, model_id: str, name: str, expected: StoredFile) -> Path:
        content = self.read(model_id, name, expected)
        path = self._local / model_id / name
        with unavailable(f"write {path}"):
            for old in self._local.glob("*/*"):
                if age_s(old) > _LOCAL_FOR_S:
                    old.unlink(missing_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return path

    def remove(self, model_id: str) -> None:
        try:
            self.bucket.remove(self.bucket.keys(_key(model_id, "")))
        except Unavailable as error:
            log.warning("the files of model %s are left: %s", model_id, error.detail)

    def model_ids(self) -> list[str]:
        # By the objects themselves: some stores list folders in which there is nothing any more.
        return sorted({key.removeprefix(_FOLDER).partition("/")[0] for key in self.bucket.keys(_FOLDER)})

    def size(self, model_id: str) -> int:
        return self.bucket.size(_key(model_id, ""))

    def is_settled(self, model_id: str) -> bool:
        return self.bucket.age_s(_key(model_id, "")) > _SETTLED_AFTER_S

    def temporaries(self) -> list[Path]:
        return []

    def discard(self, folder: Path) -> None:
        """Do nothing: there are no folders."""

    def check(self) -> None:
        self.bucket.check()


def _key(model_id: str, name: str) -> str:
    return f"{_FOLDER}{model_id}/{name}"
