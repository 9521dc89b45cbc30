"""Keys: how one is written, and what is kept of it.

`my_ID_SECRET`: an id of 8 characters, then 43 of a random secret (256 bits) and 6 of a CRC-32 over all before, all in
base62. The checksum tells a misspelt key from an unknown one without a look at the store; programs that search code for
secrets know keys by it. Of the secret, its SHA-256 is kept. A slow hash would protect a password that people choose;
this secret cannot be guessed, and every request would pay.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib
from dataclasses import dataclass
from datetime import datetime
from string import ascii_lowercase, ascii_uppercase, digits
from typing import NamedTuple

from modelyard.schemas import KEY_PATTERN, Role

_DIGITS = digits + ascii_uppercase + ascii_lowercase
_ID, _SECRET, _CHECK = 8, 43, 6
_FORM = re.compile(KEY_PATTERN)


class KeyParts(NamedTuple):
    """A key taken apart: its id, and the SHA-256 of its secret."""

    id: str
    sha256: bytes


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One key as it may be shown: what is known of it, since when and until when it is valid (None: for ever).

    `models` are patterns of the names it is limited to; empty: it is not limited.
    """

    id: str
    sha256: bytes
    name: str
    role: Role
    models: tuple[str, ...]
    created_at: datetime
    valid_until: datetime | None


def new_key() -> str:
    """Make a key that nobody can guess."""
    key_id = "".join(secrets.choice(_DIGITS) for _ in range(_ID))
    begun = f"my_{key_id}_{_base62(secrets.randbits(256), _SECRET)}"
    return begun + _check(begun)


def take_apart(key: str) -> KeyParts | None:
    """Return the parts of a key; None if it is none, or misspelt."""
    found = _FORM.fullmatch(key)
    if found is None or _check(key[:-_CHECK]) != found[3]:
        return None
    return KeyParts(found[1], hashlib.sha256(found[2].encode()).digest())


def _check(begun: str) -> str:
    return _base62(zlib.crc32(begun.encode()), _CHECK)


def _base62(number: int, width: int) -> str:
    written = ""
    for _ in range(width):
        number, digit = divmod(number, len(_DIGITS))
        written = _DIGITS[digit] + written
    return written
