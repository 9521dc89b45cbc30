"""Who calls in tests of access: keys of each role, keys in each state in which none is valid, and the servers.

How a key is written stands here once more, so that the project's own words are held against it.
"""

from __future__ import annotations

import hashlib
import string
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from modelyard.access import limits
from modelyard.schemas import ROLES, KeyRequest, Role
from modelyard.verbs import Verbs
from tests import doors

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
AT_ONCE_EXPIRED = 1e-9
"""Days: such a key has expired before its maker has read it."""


def base62(number: int, width: int) -> str:
    """Write a number in base62."""
    return "".join(BASE62[number // 62**place % 62] for place in reversed(range(width)))


def written(key_id: str, secret: str) -> str:
    """Write a key with the checksum that it should have."""
    begun = f"my_{key_id}_{secret}"
    return begun + base62(zlib.crc32(begun.encode()), 6)


def secret_of(key: str) -> str:
    """Return the part of a key that nobody else may ever see."""
    return key.split("_")[2][:43]


def digest_of(key: str) -> str:
    """Return what a yard keeps of a key."""
    return hashlib.sha256(secret_of(key).encode()).hexdigest()


def misspelt(key: str, at: int = 20) -> str:
    """Return the key with another character at a place."""
    return key[:at] + ("x" if key[at] != "x" else "y") + key[at + 1 :]


@dataclass(frozen=True)
class Caller:
    """What a caller shows, and the role that it should have; None if its key is not valid."""

    name: str
    key: str | None
    role: Role | None

    @property
    def headers(self) -> dict[str, str]:
        """The headers, or the metadata, of its calls."""
        return {} if self.key is None else {"authorization": f"Bearer {self.key}"}


def make_key(yard: Verbs, name: str, role: Role, *models: str, days: float | None = None) -> str:
    """Make a key and return it as it is shown."""
    return yard.create_key(KeyRequest(name=name, role=role, models=list(models), expires_in_days=days)).key


def invalid_keys(yard: Verbs, other: Verbs) -> Iterator[Caller]:
    """Make a key of each kind that is not valid in a yard; `other` is another yard."""
    good = make_key(yard, "good", "admin")
    revoked = make_key(yard, "revoked", "admin")
    yard.revoke_key("revoked")
    rotated = make_key(yard, "rotated", "admin")
    yard.rotate_key("rotated")
    shown = {
        "misspelt": misspelt(good),
        "known id, another secret": written(good.split("_")[1], secret_of(rotated)),
        "unknown": written("0" * 8, secret_of(good)),
        "of another yard": make_key(other, "good", "admin"),
        "revoked": revoked,
        "rotated": rotated,
        "expired": make_key(yard, "expired", "admin", days=AT_ONCE_EXPIRED),
        "no key": "",
        "cut off": good[:-1],
        "too long": good + "0",
    }
    for name, key in shown.items():
        yield Caller(name, key, None)


@contextmanager
def many_guesses() -> Iterator[None]:
    """Let an address guess as often as it likes: these tests show more wrong keys than anybody may."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "MOST_GUESSES", 10**9)
        yield


@contextmanager
def two_yards(folder: Path) -> Iterator[tuple[Verbs, Verbs]]:
    """Open two yards below a folder; the first is in `one`."""
    with doors.core(folder / "one") as one, doors.core(folder / "other") as other:
        yield one, other


def role_callers(yard: Verbs) -> list[Caller]:
    """Make a key of each role."""
    return [Caller(role, make_key(yard, f"a-{role}", role), role) for role in ROLES]


def may(role: Role | None, needed: Role | None) -> bool:
    """Whether a role may do what needs another; None needs none."""
    return needed is None or (role is not None and ROLES.index(role) >= ROLES.index(needed))


@dataclass(frozen=True)
class Served:
    """A yard's servers, and who calls them, by name."""

    rest: str
    grpc: str
    callers: dict[str, Caller]
