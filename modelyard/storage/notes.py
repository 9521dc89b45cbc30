"""Small files by name that processes leave for each other: in a folder, or as documents for several hosts."""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from modelyard.storage.files import make_folder, unavailable, write_new_file
from modelyard.storage.protocols import Documents

OUTBOX = "outbox"
"""The collection of what waits for the tracker, if that stands among the documents."""


class Notes(Protocol):
    """Small files by name. Every use raises Unavailable if the system refuses."""

    def names(self) -> list[str]:
        """Return the names without a slash."""

    def read(self, name: str) -> bytes | None:
        """Return a file's content; None if there is none."""

    def write(self, name: str, content: bytes, *, durable: bool = False) -> None:
        """Write a file, new or in the place of another, whole or not at all."""

    def remove(self, name: str) -> bool:
        """Remove a file; return whether it was there."""

    def move(self, name: str, to: str) -> None:
        """Give a file, if it is there, another name."""


class FolderNotes:
    """`Notes` in the folder `path`, made with the first one; the folder it stands in must be there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> list[str]:
        with unavailable(f"read {self._path}"):
            return sorted(path.name for path in self._path.glob("[!.]*") if path.is_file())

    def read(self, name: str) -> bytes | None:
        with unavailable(f"read {self._path / name}"):
            try:
                return (self._path / name).read_bytes()
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes, *, durable: bool = False) -> None:
        path = self._path / name
        temporary = path.with_name(f".new-{secrets.token_hex(8)}")
        with unavailable(f"write {path}"):
            make_folder(self._path, inside=self._path.parent)
            make_folder(path.parent)
            try:
                if durable:
                    write_new_file(temporary, content)
                else:
                    temporary.write_bytes(content)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)

    def remove(self, name: str) -> bool:
        with unavailable(f"remove {self._path / name}"):
            try:
                (self._path / name).unlink()
            except FileNotFoundError:
                return False
            return True

    def move(self, name: str, to: str) -> None:
        with unavailable(f"move {self._path / name}"), suppress(FileNotFoundError):
            make_folder((self._path / to).parent, inside=self._path.parent)
            (self._path / name).rename(self._path / to)


class DocumentNotes:
    """`Notes` as documents of a collection of their own; each is text."""

    def __init__(self, documents: Documents, collection: str) -> None:
        self._documents = documents
        self._collection = collection

    def names(self) -> list[str]:
        with self._documents.reading():
            return sorted(name for name, _ in self._documents.documents(self._collection) if "/" not in name)

    def read(self, name: str) -> bytes | None:
        found = self._documents.get(self._collection, name)
        return None if found is None else str(found["content"]).encode()

    def write(self, name: str, content: bytes, *, durable: bool = False) -> None:
        with self._documents.transaction() as transaction:
            transaction.put(self._collection, name, {"content": content.decode()})

    def remove(self, name: str) -> bool:
        if self._documents.get(self._collection, name) is None:
            return False
        with self._documents.transaction() as transaction:
            found = transaction.get(self._collection, name) is not None
            if found:
                transaction.remove(self._collection, name)
        return found

    def move(self, name: str, to: str) -> None:
        with self._documents.transaction() as transaction:
            found = transaction.get(self._collection, name)
            if found is not None:
                transaction.remove(self._collection, name)
                transaction.put(self._collection, to, found)
