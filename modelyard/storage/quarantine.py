"""Set broken things aside, under `quarantine/<time>/` with their paths in the folder or bucket.

Nothing is ever deleted. Every use raises Unavailable if the system refuses.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from modelyard.storage.files import make_folder, sync_folder, unavailable, write_new_file

if TYPE_CHECKING:
    from modelyard.storage.artifacts.bucket import Bucket


class Quarantine(Protocol):
    """Sets things aside for one repair. `what` is a path, a file's or a folder's."""

    def path(self, what: str) -> str:
        """Return the path under which something is set aside."""

    def has(self, what: str) -> bool:
        """Whether a file was set aside."""

    def prepare(self, what: str) -> None:
        """Do ahead what takes long in `move`."""

    def move(self, what: str, added: Mapping[str, bytes] | None = None) -> None:
        """Set a file or a folder aside; in a folder the files `added` are written if they are missing."""

    def copy(self, what: str) -> None:
        """Set a copy of a file aside, if there is one and none is aside yet."""

    def write(self, what: str, content: bytes) -> None:
        """Set content aside that was no file."""


class FolderQuarantine:
    """`Quarantine` for what stands below the folder `root`: names change, contents do not."""

    def __init__(self, root: Path, at: datetime) -> None:
        self._root = root
        self._aside = _aside(at)

    def path(self, what: str) -> str:
        return f"{self._aside}/{what}"

    def has(self, what: str) -> bool:
        return (self._root / self.path(what)).exists()

    def prepare(self, what: str) -> None:
        """Do nothing: a move takes no time."""

    def move(self, what: str, added: Mapping[str, bytes] | None = None) -> None:
        source = self._root / what
        with unavailable(f"set {source} aside"):
            target = self._target(what)
            if source.exists():
                source.rename(target)
            else:
                make_folder(target)
            for name, content in (added or {}).items():
                if not (target / name).exists():
                    write_new_file(target / name, content)
            sync_folder(target.parent)
            sync_folder(source.parent)

    def copy(self, what: str) -> None:
        source = self._root / what
        if source.exists() and not self.has(what):
            with unavailable(f"read {source}"):
                content = source.read_bytes()
            self.write(what, content)

    def write(self, what: str, content: bytes) -> None:
        with unavailable(f"set {what} aside"):
            target = self._target(what)
            write_new_file(target, content)
            sync_folder(target.parent)

    def _target(self, what: str) -> Path:
        target = self._root / self.path(what)
        make_folder(target.parent)
        return target


class BucketQuarantine:
    """`Quarantine` for objects of a bucket."""

    def __init__(self, bucket: Bucket, at: datetime) -> None:
        self._bucket = bucket
        self._aside = _aside(at)

    def path(self, what: str) -> str:
        return f"{self._aside}/{what}"

    def has(self, what: str) -> bool:
        return self._bucket.has(self.path(what))

    def prepare(self, what: str) -> None:
        for key in self._bucket.keys(f"{what}/"):
            self.copy(key)

    def move(self, what: str, added: Mapping[str, bytes] | None = None) -> None:
        self.prepare(what)
        for name, content in (added or {}).items():
            if not self.has(f"{what}/{name}"):
                self.write(f"{what}/{name}", content)
        self._bucket.remove(self._bucket.keys(f"{what}/"))

    def copy(self, what: str) -> None:
        if self._bucket.has(what) and not self.has(what):
            self.write(what, self._bucket.get(what))

    def write(self, what: str, content: bytes) -> None:
        self._bucket.put(self.path(what), content)


def _aside(at: datetime) -> str:
    return f"quarantine/{at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
