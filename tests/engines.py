"""The engines that a yard's storage stands on, as tests of their promises use them: a yard that is opened often."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from modelyard.storage import ModelStore, Storage
from modelyard.storage.folder import Folder
from modelyard.storage.opening import Engines, open_storage
from modelyard.storage.protocols import Documents, Observer, Series, now
from modelyard.storage.servers import Servers


class Engine:
    """One yard on one kind of engines. Whatever is opened shares it, as processes do, and is closed at the end."""

    def __init__(self, name: str, make: Callable[[], Engines], stack: ExitStack) -> None:
        self.name = name
        self._make = make
        self._stack = stack

    def open(self, **options: Any) -> Storage:
        """Open the yard's storage; `options` are those of `open_storage`."""
        storage = open_storage(self._make(), **options)
        self._stack.callback(storage.close)
        return storage

    def store(self, **options: Any) -> ModelStore:
        """Open the yard's models."""
        return self.open(**options).models

    def engines(self, *observers: Observer) -> tuple[Engines, Documents]:
        """Open the engines, and the documents on them."""
        engines = self._make()
        documents = engines.documents(observers, make=True)
        self._stack.callback(documents.close)
        return engines, documents

    def documents(self, *observers: Observer) -> Documents:
        """Open the documents."""
        return self.engines(*observers)[1]

    def series(self, clock: Callable[[], datetime] = now) -> Series:
        """Open the series, by a clock."""
        return self.engines()[0].series(clock)


@contextmanager
def opened_engine(name: str, root: Path, url: str | None, bucket: dict[str, Any]) -> Iterator[Engine]:
    """Make a yard on engines of this name: a folder, or the database at `url`, perhaps with a bucket."""

    def make() -> Engines:
        return Folder(root) if url is None else Servers(url, root, **bucket)

    with ExitStack() as stack:
        yield Engine(name, make, stack)
