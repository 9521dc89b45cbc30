"""Aliases as documents: `aliases` by `name@alias`, and each of their moves, `alias_moves` by `name@alias/1`, `/2`, ….

An alias that was deleted keeps its document, without a version, so that its moves go on being numbered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from modelyard import calls
from modelyard.errors import Aborted, AliasNotFound, FailedPrecondition, FieldError, InvalidRequest
from modelyard.references import NameReference, parse_reference
from modelyard.schemas import (
    LATEST,
    Alias,
    AliasHistory,
    AliasList,
    AliasMove,
    AliasRequest,
    ModelMetadata,
    ModelWarning,
    MovedAlias,
    Promotion,
)
from modelyard.storage.collections.alias_index import ALIASES, DEFAULT_ALIAS, YARD
from modelyard.storage.collections.audit import AuditCollection
from modelyard.storage.collections.model_index import IndexEntry, ModelIndex
from modelyard.storage.collections.resolving import check_name_visible, checked_active, find, not_found
from modelyard.storage.protocols import Documents, Transaction

MOVES = "alias_moves"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the gate says of a model that is yet to be published: its `promotion`, as it is if the alias stays so long.

    `against` is the id of the model that the alias pointed to then, None if it was not set; with `in_any_case` the
    alias is moved wherever it points.
    """

    promotion: Promotion
    against: str | None = None
    in_any_case: bool = False
    warnings: tuple[ModelWarning, ...] = ()


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

    def target(self, name: str, alias: str) -> str | None:
        """Return the id of the model that an alias of a name points to; None if it is not set."""
        with self._documents.reading():
            return self._index.aliases.meant.get(f"{name}@{alias}")

    def asked_by(self, reference: str) -> str | None:
        """Return the alias by which a reference means a model; None if it means it otherwise. Raises InvalidRequest."""
        meant = parse_reference(reference)
        if not isinstance(meant, NameReference) or meant.version is not None or meant.alias == LATEST:
            return None
        with self._documents.reading():
            return meant.alias or (self._index.aliases.default if meant.name in self._index.aliases.meant else None)

    def series_of(self, reference: str, alias: str | None) -> tuple[str, str | None]:
        """Return the name and the alias whose series is asked for: by `name@alias`, or by a name and an `alias`.

        The alias is None if one model is meant. Raises InvalidRequest, and AliasNotFound if it never was set.
        """
        meant = parse_reference(reference)
        name, of_reference = (meant.name, meant.alias) if isinstance(meant, NameReference) else (meant, None)
        wanted = alias or (None if of_reference == LATEST else of_reference)
        if wanted is None:
            return name, None
        if reference not in (name, f"{name}@{wanted}") or isinstance(meant, str):
            message = f"alias {wanted!r} goes with the name of models, got {reference!r}; write name@{wanted}"
            raise InvalidRequest.of([FieldError(("alias",), message, wanted)])
        self.history(name, wanted)
        return name, wanted

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


def promoted(
    transaction: Transaction, audit: AuditCollection, model: ModelMetadata, proposal: Proposal, by: str
) -> Promotion:
    """Move an alias to a new model as its gate proposes, unless the alias points elsewhere by now."""
    promotion, called = proposal.promotion, f"{model.name}@{proposal.promotion.alias}"
    before = transaction.get(ALIASES, called) or {"version": None, "model_id": None, "moves": 0}
    if not promotion.moved:
        return promotion
    if before["model_id"] != proposal.against and not proposal.in_any_case:
        reason = f"{called} was moved by somebody else meanwhile: it is {_at(before['version'])}"
        return promotion.model_copy(update={"moved": False, "reason": reason})
    put_alias(transaction, model.name, promotion.alias, before["moves"], model, by=by)
    what = {"alias": called, "model": f"{model.name}:{model.version}", "model_id": model.model_id}
    audit.note(transaction, "set_alias", what, by)
    return promotion


def put_alias(
    transaction: Transaction,
    name: str,
    alias: str,
    moves: int,
    to: IndexEntry | ModelMetadata | None,
    *,
    by: str | None = None,
) -> None:
    """Put where an alias points after so many moves (None: it is deleted), and the move, made by who calls or `by`."""
    number = moves + 1
    move: dict[str, Any] = {"version": to and to.version, "model_id": to and to.model_id}
    at, by = datetime.now(UTC).isoformat(), calls.who().name if by is None else by
    transaction.put(MOVES, f"{name}@{alias}/{number}", {**move, "at": at, "by": by})
    document = {"name": name, "alias": alias, **move, "since": at, "by": by, "moves": number}
    transaction.put(ALIASES, f"{name}@{alias}", document)


def _at(version: int | None) -> str:
    return "nowhere" if version is None else f"at version {version}"
