"""Which model a reference means, and the error for one that means none. Call it within a `reading` or a transaction.

Who may see some names alone is told here what they may not: of another name, whether or not there is such a model; of
another model's id, that there is no such model.
"""

from __future__ import annotations

from modelyard import calls
from modelyard.errors import ModelNotFound, PermissionDenied
from modelyard.references import NameReference, parse_reference
from modelyard.schemas import LATEST
from modelyard.storage.collections.model_index import IndexEntry, ModelIndex


def find(index: ModelIndex, meant: str | NameReference) -> IndexEntry:
    """Return the index's entry of the model that is meant, of any status. Raises ModelNotFound, PermissionDenied."""
    check_visible(index, meant)
    if isinstance(meant, str):
        entry = index.by_id.get(meant)
    elif meant.version is None:
        entry = index.by_alias(meant.name, meant.alias)
    else:
        entry = index.version(meant.name, meant.version)
    if entry is None:
        raise not_found(index, meant)
    return entry


def find_active(index: ModelIndex, reference: str) -> IndexEntry:
    """Return the index's entry of an active model. Raises ModelNotFound, PermissionDenied."""
    # First what is asked at every prediction; no reference is both an id and a name.
    meant = index.aliases.meant.get(reference)
    entry = index.by_id.get(meant or reference) or (None if meant else index.latest_active.get(reference))
    if entry is None or not calls.who().sees(entry.name):
        entry = find(index, parse_reference(reference))
    return checked_active(entry)


def checked_active(entry: IndexEntry) -> IndexEntry:
    """Return the entry of a model if it is active. Raises ModelNotFound."""
    if not entry.active:
        raise ModelNotFound(
            f"model {entry.model_id} ({entry.name} version {entry.version}) is deleted; restore it to use it again"
        )
    return entry


def check_visible(index: ModelIndex, meant: str | NameReference) -> None:
    """Raise PermissionDenied for a name that the caller may not see, ModelNotFound for the id of such a model."""
    who = calls.who()
    if not who.limited:
        return
    if isinstance(meant, NameReference):
        check_name_visible(meant.name)
    elif (name := index.name_of(meant)) is not None and not who.sees(name):
        raise _no_such_id(meant)


def check_name_visible(name: str | None) -> None:
    """Raise PermissionDenied if the caller may not see models of this name; None is one that is not made yet."""
    who = calls.who()
    if not who.sees(name):
        allowed = ", ".join(who.models)
        wanted = "a model without a name" if name is None else f"models named {name!r}"
        raise PermissionDenied(f"key {who.name!r} may not use {wanted}; it is limited to: {allowed}")


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
        return _no_such_id(meant)
    if meant.alias is not None and meant.alias != LATEST:
        there = ", ".join(index.aliases.of_name(meant.name)) or "none"
        return ModelNotFound(f"{meant.name!r} has no alias {meant.alias!r}; its aliases: {there}")
    deleted = [entry.version for entry in index.versions(meant.name)]
    if not deleted:
        return ModelNotFound(f"there is no model named {meant.name!r}")
    if meant.version is not None:
        return ModelNotFound(f"there is no version {meant.version} of {meant.name!r}")
    newest = f"{meant.name}:{max(deleted)}"
    return ModelNotFound(f"all versions of {meant.name!r} are deleted; restore one to use it again, as {newest!r}")


def _no_such_id(model_id: str) -> ModelNotFound:
    return ModelNotFound(f"there is no model with id {model_id}")
