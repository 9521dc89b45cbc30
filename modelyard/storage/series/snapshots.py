"""Snapshots in a folder, `drift/<name>.json`: `Snapshots` on a file system. What stands in them is not known here."""

from __future__ import annotations

from pathlib import Path

from modelyard.storage.files import make_folder, replace_file, unavailable
from modelyard.storage.series.stream_file import entries_of


class SnapshotFolder:
    """`protocols.Snapshots` in the folder `path`, made with the first one; the folder it stands in must be there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, name: str, content: bytes) -> None:
        with unavailable(f"write {self._path}"):
            make_folder(self._path, inside=self._path.parent)
            replace_file(self._file(name), content)

    def names(self) -> list[str]:
        with unavailable(f"read {self._path}"):
            return [name.removesuffix(".json") for name in entries_of(self._path) if name.endswith(".json")]

    def get(self, name: str) -> bytes | None:
        with unavailable(f"read {self._path}"):
            try:
                return self._file(name).read_bytes()
            except FileNotFoundError:
                return None

    def remove(self, name: str) -> None:
        with unavailable(f"remove files of {self._path}"):
            self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self._path / f"{name}.json"
