"""Which model a reference means, and the error for one that means none."""

from __future__ import annotations

from modelyard.errors import ModelNotFound
from modelyard.references import NameReference, parse_reference
from modelyard.storage.collections.model_index import IndexEntry, ModelIndex
from modelyard.storage.collections.models import TOMBSTONES
from modelyard.storage.protocols import Documents


class Resolver:
    """Finds models in the documents by the index that observes them. Use it within a `reading` or a transaction."""

    def __init__(self, documents: Documents, index: ModelIndex) -> None:
        self._documents = documents
        self._index = index

    def find(self, meant: str | NameReference) -> IndexEntry:
        """Return the index's entry of the model that is meant, of any status. Raises ModelNotFound."""
        index = self._index
        if isinstance(meant, str):
            entry = index.by_id.get(meant)
        elif meant.version is None:
            entry = index.latest_active.get(meant.name)
        else:
            entry = index.version(meant.name, meant.version)
        if entry is None:
            raise self.not_found(meant)
        return entry

    def find_active(self, reference: str) -> IndexEntry:
        """Return the index's entry of an active model. Raises ModelNotFound."""
        index = self._index
        # First what is asked at every prediction; no reference is both an id and a name.
        entry = index.by_id.get(reference) or index.latest_active.get(reference)
        if entry is None:
            entry = self.find(parse_reference(reference))
        if not entry.active:
            raise ModelNotFound(
                f"model {entry.model_id} ({entry.name} version {entry.version}) is deleted; restore it to use it again"
            )
        return entry

    def gone(self, meant: str | NameReference) -> str | None:
        """Return the id of the model that is meant if it was deleted for good."""
        if isinstance(meant, str):
            return None if self._documents.raw(TOMBSTONES, meant) is None else meant
        return None if meant.version is None else self._index.gone(meant.name, meant.version)

    def not_found(self, meant: str | NameReference) -> ModelNotFound:
        """Return the error that says why there is none."""
        if (gone := self.gone(meant)) is not None:
            return ModelNotFound(f"model {gone} was deleted for good")
        if isinstance(meant, str):
            return ModelNotFound(f"there is no model with id {meant}")
        deleted = [entry.version for entry in self._index.versions(meant.name)]
        if not deleted:
            return ModelNotFound(f"there is no model named {meant.name!r}")
        if meant.version is not None:
            return ModelNotFound(f"there is no version {meant.version} of {meant.name!r}")
        newest = f"{meant.name}:{max(deleted)}"
        return ModelNotFound(f"all versions of {meant.name!r} are deleted; restore one to use it again, as {newest!r}")
