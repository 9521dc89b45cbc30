"""Who calls: the guard looks at the key that a call shows, and says what its caller may."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import lru_cache

from modelyard.access import permissions
from modelyard.access.keys import StoredKey, take_apart
from modelyard.access.limits import Guesses
from modelyard.errors import PermissionDenied, Unauthenticated
from modelyard.identities import ANYONE, Identity
from modelyard.schemas import ANONYMOUS

_HOW = "show one as `Authorization: Bearer KEY`"

Find = Callable[[str], StoredKey | None]
"""Returns the key of an id, as all processes of the yard know it now."""

OnUse = Callable[[StoredKey], None]
"""Is told of a key that is used, once a day or more often."""

_DAY_S = 86_400
_MOST_KNOWN = 1024
"""So many headers are known by heart: to take a key apart again with every call would take 9 µs, not 2."""

_MOST_CHARACTERS = 100
"""A longer header has blanks that nobody needs, and is not learnt: its holder could fill the memory with them."""


class Guard:
    """Tells callers apart by the keys of a yard. Without `find`, no key is asked for and everybody may everything.

    A header that is known by heart still is looked up with each call: its key may have been revoked.
    """

    def __init__(self, find: Find | None, on_use: OnUse = lambda _: None) -> None:
        self._find = find
        self._on_use = on_use
        self._guesses = Guesses()
        self._known: dict[str, Holder] = {}

    def identify(self, authorization: str | None, address: str = "") -> Identity:
        """Return who shows this header at an address. A caller without one is a stranger, who may what is open to all.

        Raises Unauthenticated if the key is not valid, TooManyRequests if the address has shown many such keys.
        """
        found = self.recognize(authorization)
        if found is not None:
            return found
        if not _is_bearer(authorization):
            raise Unauthenticated(f"a key is needed; {_HOW}")
        self._guesses.check(address)
        self._guesses.note(address)
        raise _invalid()

    def recognize(self, authorization: str | None) -> Identity | None:
        """Return who shows this header; None if its key is not valid, which does not count as a guess."""
        if self._find is None:
            return ANYONE
        if authorization is None:
            return STRANGER
        known = self._known.get(authorization)
        if known is not None:
            with suppress(Unauthenticated):
                known.check()
                return known
            self._known.pop(authorization, None)
        shown = authorization.partition(" ")[2].strip()
        stored = _key_of(shown, self._find) if _is_bearer(authorization) else None
        if stored is None:
            return None
        holder = Holder(stored, self._find, self._on_use)
        holder.note_use()
        if len(authorization) <= _MOST_CHARACTERS:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[authorization] = holder
        return holder


class Holder(Identity):
    """Who shows a valid key."""

    __slots__ = ("_find", "_granted", "_key", "_on_use", "_used_on")
    has_key = True

    def __init__(self, key: StoredKey, find: Find, on_use: OnUse) -> None:
        super().__init__(key.name, key.role, key.models)
        self._key = key
        self._find = find
        self._granted = permissions.granted(key.role, limited=self.limited)
        self._on_use = on_use
        self._used_on = 0

    @property
    def created_at(self) -> datetime:
        return self._key.created_at

    def may(self, verb: str) -> bool:
        return verb in self._granted

    def require(self, verb: str) -> None:
        if verb in self._granted:
            return
        if permissions.grants(self.role, verb):
            raise PermissionDenied(f"key {self.name!r} is limited to some models and may not use {verb!r}")
        needed = permissions.NEEDED[verb]
        raise PermissionDenied(f"{verb!r} needs the role {needed!r}, key {self.name!r} has {self.role!r}")

    def sees(self, name: str | None) -> bool:
        return not self.limited or (name is not None and _matches(self.models, name))

    def check(self) -> None:
        now = self._find(self._key.id)
        if now is None or now.sha256 != self._key.sha256 or _has_expired(now):
            raise _invalid()
        self.note_use()

    def note_use(self) -> None:
        """Say that the key is used, once a day."""
        today = int(time.time() / _DAY_S)
        if today != self._used_on:
            self._used_on = today
            self._on_use(self._key)


class Stranger(Identity):
    """Who shows no key."""

    __slots__ = ()

    def may(self, verb: str) -> bool:
        return permissions.NEEDED[verb] is permissions.OPEN

    def require(self, verb: str) -> None:
        if not self.may(verb):
            raise Unauthenticated(f"a key is needed; {_HOW}")

    def sees(self, name: str | None) -> bool:
        return False

    def check(self) -> None:
        pass


STRANGER = Stranger(ANONYMOUS, "reader")


def _is_bearer(authorization: str | None) -> bool:
    return authorization is not None and authorization.partition(" ")[0].lower() == "bearer"


def _key_of(shown: str, find: Find) -> StoredKey | None:
    """Return the key that is shown if it is valid."""
    parts = take_apart(shown)
    stored = None if parts is None else find(parts.id)
    # An id is no secret; the digest of the secret is compared in constant time.
    if parts is None or stored is None or not hmac.compare_digest(parts.sha256, stored.sha256):
        return None
    return None if _has_expired(stored) else stored


def _has_expired(key: StoredKey) -> bool:
    return key.valid_until is not None and key.valid_until <= datetime.now(UTC)


def _invalid() -> Unauthenticated:
    """Return what is said of every key that is not valid: a guesser learns nothing by it."""
    return Unauthenticated("the key is not valid: it is misspelt, unknown, revoked or expired")


@lru_cache(maxsize=4096)
def _matches(patterns: tuple[str, ...], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
