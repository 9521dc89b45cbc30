"""The keys of a yard as documents (collection: `keys`, by name), and an index of them by the ids that callers show.

A key has a name, and one secret or, while one is rotated, several. A revoked key stays, without its secrets, so that
its name tells who had it, and so that one that a server reads from a file is not made again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from modelyard import calls
from modelyard.access.keys import StoredKey, new_key, take_apart
from modelyard.errors import AlreadyExists, FailedPrecondition, InvalidRequest, KeyNotFound
from modelyard.schemas import BOOTSTRAP, Key, KeyRequest, NewKey, hide_keys
from modelyard.storage.collections.audit import AuditCollection
from modelyard.storage.protocols import Documents, Transaction

KEYS = "keys"
KEY_USES = "key_uses"

_MOST_BYTES = 1024
"""No file with a key is longer."""

Document = dict[str, Any]


class KeyIndex:
    """An observer of the documents, guarded by their lock: use it within a `reading` or a transaction."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.by_id: dict[str, StoredKey] = {}
        self.used_on: dict[str, str] = {}  # the day, by name
        self._ids: dict[str, list[str]] = {}

    def put(self, collection: str, key: str, document: Document) -> None:
        if collection == KEY_USES:
            self.used_on[key] = document["last_used_on"]
        elif collection == KEYS:
            self.remove(collection, key)
            for secret in document["secrets"]:
                self.by_id[secret["id"]] = _stored_key(key, document, secret)
            self._ids[key] = [secret["id"] for secret in document["secrets"]]

    def remove(self, collection: str, key: str) -> None:
        if collection == KEY_USES:
            self.used_on.pop(key, None)
        elif collection == KEYS:
            for key_id in self._ids.pop(key, ()):
                self.by_id.pop(key_id, None)


class KeyCollection:
    """The keys of one yard, shared by threads and processes. Every use raises what the documents raise."""

    def __init__(self, documents: Documents, index: KeyIndex, audit: AuditCollection) -> None:
        self._documents = documents
        self._index = index
        self._audit = audit

    def find(self, key_id: str) -> StoredKey | None:
        """Return the key of this id as it is now, expired or not."""
        with self._documents.reading():
            return self._index.by_id.get(key_id)

    def create(self, request: KeyRequest) -> NewKey:
        """Make a key. Raises AlreadyExists if one of that name is there that was not revoked."""
        now = datetime.now(UTC)
        days = request.expires_in_days
        expires_at = None if days is None else now + timedelta(days=days)
        shown = new_key()
        with self._documents.transaction() as transaction:
            if _is_live(transaction.get(KEYS, request.name)):
                raise AlreadyExists(f"there is a key named {request.name!r}; rotate it, or revoke it first")
            document = _document(request.role, request.models, now, expires_at, _secret(shown))
            transaction.put(KEYS, request.name, document)
            transaction.remove(KEY_USES, request.name)  # of a revoked key of that name
            self._audit.note(transaction, "create_key", {"key": request.name, "role": request.role})
        return _new(request.name, document, shown)

    def list(self) -> list[Key]:
        """Return what is known of the keys that were not revoked, by name."""
        with self._documents.reading():
            names = [name for name, _ in self._documents.documents(KEYS)]
            used_on = dict(self._index.used_on)
        found = ((name, self._documents.get(KEYS, name)) for name in sorted(names))
        return [
            Key(
                name=name,
                **_shown(document),
                old_valid_until=_old_valid_until(document),
                last_used_on=used_on.get(name),
            )
            for name, document in found
            if document is not None and _is_live(document)
        ]

    def revoke(self, name: str) -> None:
        """Make a key invalid from now on. Raises KeyNotFound."""
        with self._documents.transaction() as transaction:
            document = _live(transaction, name)
            revoked = [*document.get("revoked", ()), *(secret["sha256"] for secret in document["secrets"])]
            document |= {"secrets": [], "revoked_at": datetime.now(UTC).isoformat(), "revoked": revoked}
            transaction.put(KEYS, name, document)
            self._audit.note(transaction, "revoke_key", {"key": name})

    def rotate(self, name: str, grace_s: float) -> NewKey:
        """Give a key another secret; the old one is valid for `grace_s` seconds more. Raises KeyNotFound."""
        shown = new_key()
        with self._documents.transaction() as transaction:
            document = _live(transaction, name)
            if name == BOOTSTRAP:
                raise FailedPrecondition(
                    f"key {name!r} comes from the file in MODELYARD_ADMIN_KEY_FILE; write another one there"
                )
            now = datetime.now(UTC)
            if document["expires_at"] is not None and document["expires_at"] <= now.isoformat():
                raise FailedPrecondition(f"key {name!r} has expired; revoke it and make another one")
            until = (now + timedelta(seconds=grace_s)).isoformat()
            old = [{**secret, "until": min(secret["until"] or until, until)} for secret in document["secrets"]]
            document["secrets"] = [*(secret for secret in old if secret["until"] > now.isoformat()), _secret(shown)]
            transaction.put(KEYS, name, document)
            self._audit.note(transaction, "rotate_key", {"key": name})
        return _new(name, document, shown)

    def was_used_today(self, key: StoredKey) -> bool:
        """Whether it is known already that a key was used today (UTC)."""
        return self._index.used_on.get(key.name) == _today()

    def note_use(self, key: StoredKey) -> None:
        """Keep that a key was used today."""
        with self._documents.transaction() as transaction:
            transaction.put(KEY_USES, key.name, {"last_used_on": _today()})

    def take_from_file(self, path: Path) -> None:
        """Make the key in a file the first one, an admin's; the one that the file held before is not valid any more.

        Raises InvalidRequest if the file holds none, FailedPrecondition for one that was revoked or has another name.
        """
        try:
            with path.open("rb") as file:
                shown = file.read(_MOST_BYTES).decode("ascii", "replace").strip()
        except OSError as error:
            raise InvalidRequest(f"MODELYARD_ADMIN_KEY_FILE: cannot read {path}: {error.strerror}") from None
        if take_apart(shown) is None:
            raise InvalidRequest(
                f"MODELYARD_ADMIN_KEY_FILE: {path} must hold one key, as `modelyard keys generate` prints one"
            )
        secret = _secret(shown)
        with self._documents.transaction() as transaction:
            before = transaction.get(KEYS, BOOTSTRAP) or {"secrets": []}
            if secret["sha256"] in before.get("revoked", ()):
                raise FailedPrecondition(
                    f"MODELYARD_ADMIN_KEY_FILE: the key in {path} was revoked; write another one there"
                )
            for name, raw in self._documents.documents(KEYS):
                if name != BOOTSTRAP and secret["sha256"].encode() in raw:
                    raise FailedPrecondition(
                        f"MODELYARD_ADMIN_KEY_FILE: the key in {path} was made as {name!r}; write another one "
                        "there, as `modelyard keys generate` prints one"
                    )
            if before["secrets"] != [secret]:
                document = _document("admin", [], datetime.now(UTC), None, secret)
                transaction.put(KEYS, BOOTSTRAP, document | {"revoked": before.get("revoked", [])})
                self._audit.note(transaction, "create_key", {"key": BOOTSTRAP, "role": "admin"})


def _document(role: str, models: list[str], now: datetime, expires_at: datetime | None, secret: Document) -> Document:
    return {
        "role": role,
        "models": models,
        "created_at": now.isoformat(),
        "expires_at": None if expires_at is None else expires_at.isoformat(),
        "created_by": calls.who().name,
        "secrets": [secret],
    }


def _secret(shown: str) -> Document:
    parts = take_apart(shown)
    assert parts is not None
    return {"id": parts.id, "sha256": parts.sha256.hex(), "until": None}


def _stored_key(name: str, document: Document, secret: Document) -> StoredKey:
    ends = [datetime.fromisoformat(end) for end in (document["expires_at"], secret["until"]) if end is not None]
    return StoredKey(
        secret["id"],
        bytes.fromhex(secret["sha256"]),
        name,
        document["role"],
        tuple(document["models"]),
        datetime.fromisoformat(document["created_at"]),
        min(ends, default=None),
    )


def _is_live(document: Document | None) -> bool:
    return document is not None and bool(document["secrets"])


def _live(transaction: Transaction, name: str) -> Document:
    document = transaction.get(KEYS, name)
    if document is None or not _is_live(document):
        raise KeyNotFound(f"there is no key named {hide_keys(name)!r}")
    return document


def _shown(document: Document) -> Document:
    return {field: document[field] for field in ("role", "models", "created_at", "expires_at")}


def _old_valid_until(document: Document) -> datetime | None:
    """Return how long a secret before the newest is valid; None if none is any more."""
    old = (_stored_key("", document, secret).valid_until for secret in document["secrets"] if secret["until"])
    return max((until for until in old if until is not None and until > datetime.now(UTC)), default=None)


def _new(name: str, document: Document, shown: str) -> NewKey:
    return NewKey(name=name, **_shown(document), key=shown)


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
