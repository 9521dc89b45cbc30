"""What is asked of many models at once, kept small in memory: ids in order, names, versions, status, class, tags."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from sys import intern
from typing import Any

from modelyard.errors import DataLoss
from modelyard.schemas import ModelQuery
from modelyard.storage.records import MODELS, TOMBSTONES


class IndexEntry:
    """What the index holds of one model."""

    __slots__ = ("active", "model_class_key", "model_id", "name", "tags", "version")

    def __init__(self, model_id: str, metadata: dict[str, Any]) -> None:
        self.model_id = model_id
        self.name: str = metadata["name"]
        self.version: int = metadata["version"]
        self.active: bool = metadata["status"] == "active"
        self.model_class_key: str = intern(metadata["model_class_key"])
        self.tags: tuple[str, ...] = tuple(map(intern, metadata["tags"]))


class FolderIndex:
    """An observer of the database; guarded by its lock, so use it within a `reading` or a transaction."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.by_id: dict[str, IndexEntry] = {}
        self.latest_active: dict[str, IndexEntry] = {}
        self.active_count = 0
        self._ids: list[str] = []
        # Most names have one version: a dictionary for each would take more than all else here.
        self._versions: dict[str, IndexEntry | dict[int, IndexEntry]] = {}
        self._gone: dict[tuple[str, int], str] = {}

    def put(self, collection: str, key: str, document: dict[str, Any]) -> None:
        """Take a document that is new or has changed."""
        try:
            if collection == MODELS:
                self._put_model(IndexEntry(key, document["metadata"]))
            elif collection == TOMBSTONES:
                self._gone[document["name"], document["version"]] = key
        except (KeyError, TypeError, AttributeError) as error:
            raise DataLoss(f"document {key} of {collection} is damaged: {error!r}") from error

    def remove(self, collection: str, key: str) -> None:
        """Take note that a document is gone."""
        if collection == MODELS and (entry := self.by_id.pop(key, None)) is not None:
            self._ids.pop(bisect_left(self._ids, key))
            self.active_count -= entry.active
            self._remove_version(entry)
            self._choose_latest(entry.name)

    def version(self, name: str, version: int) -> IndexEntry | None:
        """Return one version of a name, whatever its status."""
        versions = self._versions.get(name)
        if isinstance(versions, dict):
            return versions.get(version)
        return versions if versions is not None and versions.version == version else None

    def versions(self, name: str) -> list[IndexEntry]:
        """Return all versions of a name that there are."""
        versions = self._versions.get(name)
        if versions is None:
            return []
        return list(versions.values()) if isinstance(versions, dict) else [versions]

    def gone(self, name: str, version: int) -> str | None:
        """Return the id of a version that was deleted for good."""
        return self._gone.get((name, version))

    def select(self, query: ModelQuery, before: str | None, count: int) -> list[str]:
        """Return the ids of the newest `count` models that the query means, of those older than the id `before`."""
        found: list[str] = []
        for entry in self._newest_first(query.name, before):
            if _matches(entry, query):
                found.append(entry.model_id)
                if len(found) == count:
                    break
        return found

    def _newest_first(self, name: str | None, before: str | None) -> Iterator[IndexEntry]:
        if name is not None:
            entries = sorted(self.versions(name), key=lambda entry: entry.model_id, reverse=True)
            yield from (entry for entry in entries if before is None or entry.model_id < before)
            return
        end = len(self._ids) if before is None else bisect_left(self._ids, before)
        for position in range(end - 1, -1, -1):
            yield self.by_id[self._ids[position]]

    def _put_model(self, entry: IndexEntry) -> None:
        old = self.by_id.get(entry.model_id)
        if old is None:
            insort(self._ids, entry.model_id)
        else:
            self.active_count -= old.active
            entry.model_id = old.model_id  # one string, not two
        self.by_id[entry.model_id] = entry
        self.active_count += entry.active
        self._put_version(entry)
        latest = self.latest_active.get(entry.name)
        if entry.active and (latest is None or latest.version <= entry.version):
            self.latest_active[entry.name] = entry
        elif not entry.active and latest is not None and latest.version == entry.version:
            self._choose_latest(entry.name)

    def _put_version(self, entry: IndexEntry) -> None:
        versions = self._versions.get(entry.name)
        if isinstance(versions, dict):
            versions[entry.version] = entry
        elif versions is None or versions.version == entry.version:
            self._versions[entry.name] = entry
        else:
            self._versions[entry.name] = {versions.version: versions, entry.version: entry}

    def _remove_version(self, entry: IndexEntry) -> None:
        versions = self._versions[entry.name]
        if isinstance(versions, dict):
            del versions[entry.version]
            if versions:
                return
        del self._versions[entry.name]

    def _choose_latest(self, name: str) -> None:
        active = [entry for entry in self.versions(name) if entry.active]
        if active:
            self.latest_active[name] = max(active, key=lambda entry: entry.version)
        else:
            self.latest_active.pop(name, None)


def _matches(entry: IndexEntry, query: ModelQuery) -> bool:
    return (
        (query.status == "all" or entry.active == (query.status == "active"))
        and (query.model_class_key is None or entry.model_class_key == query.model_class_key)
        and (query.tag is None or query.tag in entry.tags)
    )
