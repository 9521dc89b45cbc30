"""Set broken files aside, under `quarantine/<time>/` with its path in the folder. Nothing is ever deleted.

All on one file system: names change, contents do not. Every use raises Unavailable if the system refuses.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from modelyard.storage.files import make_folder, replace_file, sync_folder, unavailable, write_new_file


class Quarantine:
    """Sets things aside for one repair of the folder `root`. `what` is a path below it, a file's or a folder's."""

    def __init__(self, root: Path, at: datetime) -> None:
        self._root = root
        self._aside = Path("quarantine") / f"{at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"

    def path(self, what: str) -> Path:
        """Return the path, below the folder, under which something is set aside."""
        return self._aside / what

    def has(self, what: str) -> bool:
        """Whether something was set aside."""
        return (self._root / self.path(what)).exists()

    def move(self, what: str, added: Mapping[str, bytes] | None = None) -> None:
        """Set a file or a folder aside; in a folder the files `added` are written if they are missing."""
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
        """Set a copy of a file aside, if there is one and none is aside yet."""
        source = self._root / what
        if source.exists() and not self.has(what):
            with unavailable(f"read {source}"):
                content = source.read_bytes()
            self.write(what, content)

    def write(self, what: str, content: bytes) -> None:
        """Set content aside that was no file."""
        with unavailable(f"set {what} aside"):
            target = self._target(what)
            write_new_file(target, content)
            sync_folder(target.parent)

    def replace(self, what: str, content: bytes) -> None:
        """Put a file in the place of another one, of which a copy is set aside."""
        path = self._root / what
        self.copy(what)
        with unavailable(f"write {path}"):
            replace_file(path, content)

    def _target(self, what: str) -> Path:
        target = self._root / self.path(what)
        make_folder(target.parent)
        return target
