"""Which model a reference means, and the error for one that means none. Call it within a `reading` or a transaction."""

from __future__ import annotations

from modelyard.errors import ModelNotFound
from modelyard.references import NameReference, parse_reference
from modelyard.storage.collections.model_index import IndexEntry, ModelIndex


def find(index: ModelIndex, meant: str | NameReference) -> IndexEntry:
    """Return the index's entry of the model that is meant, of any status. Raises ModelNotFound."""
    if isinstance(meant, str):
        entry = index.by_id.get(meant)
    elif meant.version is None:
        entry = index.latest_active.get(meant.name)
    else:
        entry = index.version(meant.name, meant.version)
    if entry is None:
        raise not_found(index, meant)
    return entry


def find_active(index: ModelIndex, reference: str) -> IndexEntry:
    """Return the index's entry of an active model. Raises ModelNotFound."""
    # First what is asked at every prediction; no reference is both an id and a name.
    entry = index.by_id.get(reference) or index.latest_active.get(reference)
    if entry is None:
        entry = find(index, parse_reference(reference))
    if not entry.active:
        raise ModelNotFound(
            f"model {entry.model_id} ({entry.name} version {entry.version}) is deleted; restore it to use it again"
        )
    return entry


def gone_id(index: ModelIndex, meant: str | NameReference) -> str | None:
    """Return the id of the model that is meant if it was deleted for good."""
    if isinstance(meant, str):
        return meant if meant in index.gone_ids else None
    return None if meant.version is None else index.gone.get((meant.name, meant.version))


def not_found(index: ModelIndex, meant: str | NameReference) -> ModelNotFound:
    """Return the error that says why there is none."""
    if (gone := gone_id(index, meant)) is not None:
        return ModelNotFound(f"model {gone} was deleted for good")
    if isinstance(meant, str):
        return ModelNotFound(f"there is no model with id {meant}")
    deleted = [entry.version for entry in index.versions(meant.name)]
    if not deleted:
        return ModelNotFound(f"there is no model named {meant.name!r}")
    if meant.version is not None:
        return ModelNotFound(f"there is no version {meant.version} of {meant.name!r}")
    newest = f"{meant.name}:{max(deleted)}"
    return ModelNotFound(f"all versions of {meant.name!r} are deleted; restore one to use it again, as {newest!r}")
