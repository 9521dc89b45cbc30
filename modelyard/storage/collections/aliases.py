"""Aliases as documents: `aliases` by `name@alias`, and each of their moves, `alias_moves` by `name@alias/1`, `/2`, ….

An alias that was deleted keeps its document, without a version, so that its moves go on being numbered.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from modelyard import calls
from modelyard.errors import Aborted, AliasNotFound, FailedPrecondition
from modelyard.references import NameReference
from modelyard.schemas import Alias, AliasHistory, AliasList, AliasMove, AliasRequest, MovedAlias
from modelyard.storage.collections.alias_index import ALIASES, DEFAULT_ALIAS, YARD
from modelyard.storage.collections.audit import AuditCollection
from modelyard.storage.collections.model_index import IndexEntry, ModelIndex
from modelyard.storage.collections.resolving import check_name_visible, checked_active, find, not_found
from modelyard.storage.protocols import Documents, Transaction

MOVES = "alias_moves"


class AliasCollection:
    """The aliases of one yard, shared by threads and processes. Every use raises what the documents raise."""

    def __init__(self, documents: Documents, index: ModelIndex, audit: AuditCollection) -> None:
        self._documents = documents
        self._index = index
        self._audit = audit

    @property
    def changes(self) -> int:
        """How often anything has happened to an alias, as far as this process knows now."""
        with self._documents.reading():
            return self._index.aliases.changes

    def targets(self) -> list[str]:
        """Return the ids of the models that aliases point to."""
        with self._documents.reading():
            return list(dict.fromkeys(self._index.aliases.meant.values()))

    def move(self, name: str, alias: str, request: AliasRequest) -> MovedAlias:
        """Point an alias at a version, which must be active; if it does already, nothing changes.

        Raises ModelNotFound, and Aborted if the alias is not where the request expects it.
        """
        check_name_visible(name)
        with self._documents.transaction() as transaction:
            entry = checked_active(find(self._index, NameReference(name, request.version)))
            before = transaction.get(ALIASES, f"{name}@{alias}") or {"version": None, "moves": 0}
            previous: int | None = before["version"]
            if "expected" in request.model_fields_set and request.expected != previous:
                raise Aborted(
                    f"alias {alias!r} of {name!r} was expected {_at(request.expected)}, it is {_at(previous)}"
                )
            if previous != request.version:
                put_alias(transaction, name, alias, before["moves"], entry)
                what = {"alias": f"{name}@{alias}", "model": f"{name}:{entry.version}", "model_id": entry.model_id}
                self._audit.note(transaction, "set_alias", what)
        return MovedAlias(name=name, alias=alias, version=entry.version, model_id=entry.model_id, previous=previous)

    def delete(self, name: str, alias: str) -> None:
        """Delete an alias. Raises AliasNotFound."""
        check_name_visible(name)
        with self._documents.transaction() as transaction:
            before = transaction.get(ALIASES, f"{name}@{alias}")
            if before is None or before["version"] is None:
                raise AliasNotFound(f"{name!r} has no alias {alias!r}")
            put_alias(transaction, name, alias, before["moves"], None)
            self._audit.note(transaction, "delete_alias", {"alias": f"{name}@{alias}"})

    def of_name(self, name: str) -> AliasList:
        """Return the aliases of a name, in order. Raises ModelNotFound if there never was a model of that name."""
        check_name_visible(name)
        with self._documents.reading():
            found = self._index.aliases.of_name(name)
            if not found and not self._index.versions(name):
                raise not_found(self._index, NameReference(name, None))
            return AliasList(aliases=[Alias.model_validate(found[alias]) for alias in sorted(found)])

    def history(self, name: str, alias: str) -> AliasHistory:
        """Return the moves of an alias, the first one first; of one that was deleted, too. Raises AliasNotFound."""
        check_name_visible(name)
        with self._documents.reading():
            raw = self._documents.raw(ALIASES, f"{name}@{alias}")
            if raw is None:
                raise AliasNotFound(f"{name!r} never had an alias {alias!r}")
            found = [
                self._documents.raw(MOVES, f"{name}@{alias}/{n}") for n in range(1, orjson.loads(raw)["moves"] + 1)
            ]
        return AliasHistory(moves=[AliasMove.model_validate_json(move) for move in found if move is not None])

    def default(self) -> str | None:
        """Return the alias that a name alone means, if it has it; None if that is the newest active version."""
        with self._documents.reading():
            return self._index.aliases.default

    def set_default(self, alias: str | None) -> None:
        """Set what a name alone means, from now on."""
        with self._documents.transaction() as transaction:
            if alias is None:
                transaction.remove(YARD, DEFAULT_ALIAS)
                self._audit.note(transaction, "set_default_alias", {})
            elif transaction.get(YARD, DEFAULT_ALIAS) != {"alias": alias}:
                transaction.put(YARD, DEFAULT_ALIAS, {"alias": alias})
                self._audit.note(transaction, "set_default_alias", {"alias": alias})

    def take_default(self, alias: str) -> None:
        """Set the default alias at a first start. Raises FailedPrecondition if there is another one already."""
        now = self.default()
        if now is None:
            self.set_default(alias)
        elif now != alias:
            raise FailedPrecondition(
                f"MODELYARD_DEFAULT_ALIAS is {alias!r}, but the yard's default alias is {now!r}; change it by "
                f"`modelyard alias default {alias}`, or take the setting away"
            )


def put_alias(transaction: Transaction, name: str, alias: str, moves: int, to: IndexEntry | None) -> None:
    """Put where an alias points after so many moves (None: it is deleted), and the move."""
    number = moves + 1
    move: dict[str, Any] = {"version": to and to.version, "model_id": to and to.model_id}
    at, by = datetime.now(UTC).isoformat(), calls.who().name
    transaction.put(MOVES, f"{name}@{alias}/{number}", {**move, "at": at, "by": by})
    document = {"name": name, "alias": alias, **move, "since": at, "by": by, "moves": number}
    transaction.put(ALIASES, f"{name}@{alias}", document)


def _at(version: int | None) -> str:
    return "nowhere" if version is None else f"at version {version}"
