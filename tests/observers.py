"""An observer of documents, for tests of those who tell observers."""

from __future__ import annotations

from typing import Any


class Copy:
    """An observer that keeps a copy of the documents."""

    def __init__(self) -> None:
        self.documents: dict[tuple[str, str], dict[str, Any]] = {}
        self.resets = 0

    def reset(self) -> None:
        self.documents.clear()
        self.resets += 1

    def put(self, collection: str, key: str, document: dict[str, Any]) -> None:
        self.documents[collection, key] = document

    def remove(self, collection: str, key: str) -> None:
        del self.documents[collection, key]
