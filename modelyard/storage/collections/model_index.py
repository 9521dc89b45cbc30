"""An index of all models, kept small in memory: ids in order, names, versions, status, decision, class, tags."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from operator import attrgetter
from sys import intern
from typing import Any, NamedTuple

from modelyard.schemas import LATEST, ModelQuery
from modelyard.storage.collections.alias_index import AliasIndex
from modelyard.storage.collections.models import MODELS, TOMBSTONES

KEPT_NAMES = "kept_names"
"""The collection of names whose predictions are all kept."""

_MODEL_ID = attrgetter("model_id")


class Serving(NamedTuple):
    """What a model obeys when it answers: its decision as a document has it, and whether the answers are kept."""

    decision: dict[str, Any] | None
    keeps: bool


class IndexEntry:
    """What the index holds of one model."""

    __slots__ = ("active", "model_class_key", "model_id", "name", "serving", "signed", "tags", "version")

    def __init__(self, model_id: str, metadata: dict[str, Any]) -> None:
        self.model_id = model_id
        self.name: str = metadata["name"]
        self.version: int = metadata["version"]
        self.active = False
        self.signed = True
        self.serving: Serving | None = None  # as of most models; another object after each change
        self.model_class_key: str = intern(metadata["model_class_key"])
        self.tags: tuple[str, ...] = ()

    def has(self, words: str) -> bool:
        """Whether the name or a tag has these words, which are case-folded."""
        return any(words in text.casefold() for text in (self.name, *self.tags))


def folded(search: str | None) -> str:
    """Return the words of a search as `IndexEntry.has` takes them; empty ones search for nothing."""
    return (search or "").strip().casefold()


class ModelIndex:
    """An observer of the documents, guarded by their lock: use it within a `reading` or a transaction."""

    def __init__(self) -> None:
        self.aliases = AliasIndex()
        self.reset()

    def reset(self) -> None:
        self.aliases.reset()
        self.by_id: dict[str, IndexEntry] = {}
        self.latest_active: dict[str, IndexEntry] = {}
        self.active_count = 0
        self.unsigned_count = 0
        self._entries: list[IndexEntry] = []  # by model id, that is by age
        # Most names have one version: a dictionary for each would take more than all else here.
        self._versions: dict[str, IndexEntry | dict[int, IndexEntry]] = {}
        self.gone: dict[tuple[str, int], str] = {}  # by name and version, the ids of those deleted for good
        self.gone_ids: dict[str, str] = {}  # their names, by id
        self.kept_names: set[str] = set()

    def put(self, collection: str, key: str, document: dict[str, Any]) -> None:
        self.aliases.put(collection, key, document)
        if collection == MODELS:
            self._put_model(key, document["metadata"], signed="signature" in document)
        elif collection == TOMBSTONES:
            self.gone[document["name"], document["version"]] = key
            self.gone_ids[key] = document["name"]
        elif collection == KEPT_NAMES:
            self.kept_names.add(key)
            self._serve_anew(key)

    def remove(self, collection: str, key: str) -> None:
        self.aliases.remove(collection, key)
        if collection == KEPT_NAMES:
            self.kept_names.discard(key)
            self._serve_anew(key)
        if collection == MODELS and (entry := self.by_id.pop(key, None)) is not None:
            self._entries.pop(bisect_left(self._entries, key, key=_MODEL_ID))
            self.active_count -= entry.active
            self.unsigned_count -= not entry.signed
            self._remove_version(entry)
            self._choose_latest(entry.name)

    def name_of(self, model_id: str) -> str | None:
        """Return the name of a model, of one deleted for good too; None if there never was one of this id."""
        entry = self.by_id.get(model_id)
        return self.gone_ids.get(model_id) if entry is None else entry.name

    def count_active(self, sees: Callable[[str], bool]) -> int:
        """Return how many models are active, of those with names that somebody sees."""
        return sum(entry.active and sees(entry.name) for entry in self._entries)

    def by_alias(self, name: str, alias: str | None) -> IndexEntry | None:
        """Return the model that an alias of a name means; with None, the one that the name alone means."""
        model_id = self.aliases.meant.get(name if alias is None else f"{name}@{alias}")
        if model_id is not None:
            return self.by_id.get(model_id)
        return self.latest_active.get(name) if alias in (None, LATEST) else None

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

    def newest_first(self) -> Iterator[IndexEntry]:
        """Iterate all models, the newest first."""
        return reversed(self._entries)

    def select(
        self, query: ModelQuery, before: str | None, count: int, sees: Callable[[str], bool] | None = None
    ) -> list[str]:
        """Return the ids of the newest `count` models that the query means, of those older than the id `before`.

        With `sees`, only those with names that somebody sees.
        """
        entries = self._entries if query.name is None else sorted(self.versions(query.name), key=_MODEL_ID)
        end = len(entries) if before is None else bisect_left(entries, before, key=_MODEL_ID)
        # One loop at a time: at a hundred thousand models a call for each would take most of the time.
        found: Iterable[IndexEntry] = reversed(entries[:end])
        if query.status != "all":
            active = query.status == "active"
            found = (entry for entry in found if entry.active is active)
        if (model_class_key := query.model_class_key) is not None:
            found = (entry for entry in found if entry.model_class_key == model_class_key)
        if (tag := query.tag) is not None:
            found = (entry for entry in found if tag in entry.tags)
        if words := folded(query.search):
            found = (entry for entry in found if entry.has(words))
        if sees is not None:
            found = (entry for entry in found if sees(entry.name))
        return [entry.model_id for entry in islice(found, count)]

    def _put_model(self, model_id: str, metadata: dict[str, Any], *, signed: bool) -> None:
        entry = self.by_id.get(model_id)
        if entry is None:
            entry = self.by_id[model_id] = IndexEntry(model_id, metadata)
            if self._entries and model_id < self._entries[-1].model_id:
                insort(self._entries, entry, key=_MODEL_ID)
            else:
                self._entries.append(entry)
            self._put_version(entry)
        else:
            self.active_count -= entry.active
            self.unsigned_count -= not entry.signed
        entry.active = metadata["status"] == "active"
        entry.tags = tuple(map(intern, metadata["tags"]))
        self._serve(entry, metadata.get("decision"))
        entry.signed = signed
        self.active_count += entry.active
        self.unsigned_count += not signed
        latest = self.latest_active.get(entry.name)
        if entry.active and (latest is None or latest.version < entry.version):
            self.latest_active[entry.name] = entry
        elif latest is entry and not entry.active:
            self._choose_latest(entry.name)

    def _serve(self, entry: IndexEntry, decision: dict[str, Any] | None) -> None:
        keeps = entry.name in self.kept_names
        entry.serving = None if decision is None and not keeps else Serving(decision, keeps)

    def _serve_anew(self, name: str) -> None:
        for entry in self.versions(name):
            self._serve(entry, entry.serving and entry.serving.decision)

    def _put_version(self, entry: IndexEntry) -> None:
        versions = self._versions.get(entry.name)
        if isinstance(versions, dict):
            versions[entry.version] = entry
        elif versions is None:
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
