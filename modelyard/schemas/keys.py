"""Keys as every door speaks of them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from modelyard.errors import InvalidRequest
from modelyard.schemas.base import Frozen, Request

Role = Literal["reader", "predictor", "trainer", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)

ANONYMOUS = "anonymous"
"""The name of a caller who is asked for no key."""
BOOTSTRAP = "bootstrap"
"""The name of the key that a server reads from `MODELYARD_ADMIN_KEY_FILE`."""

KEY_PATTERN = "my_([0-9A-Za-z]{8})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})"
"""How a key is written: its id, its secret, and a checksum."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LIKE_A_KEY = re.compile("(my_[0-9A-Za-z]{8}_)[0-9A-Za-z]{32,}")
"""A key, or so much of one that nobody else should read it."""

_PATTERN = re.compile(r"[A-Za-z0-9._*?-]{1,100}")


def hide_keys(text: str) -> str:
    """Return a text with `…` in the place of the secret of each key in it, of a misspelt one, too."""
    return _LIKE_A_KEY.sub(r"\1…", text) if "my_" in text else text


def check_key_name(name: str) -> str:
    """Return the name of a key; raise ValueError if it is none, or one that is taken by the yard itself."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"a key's name must be 1 to 64 of letters, digits and ._-, a letter or digit first, got {name!r}"
        )
    if _LIKE_A_KEY.search(name):
        raise ValueError("a key's name must not look like a key")
    if name == BOOTSTRAP:
        raise ValueError(f"{name!r} is the name of the key in MODELYARD_ADMIN_KEY_FILE; take another one")
    return name


def check_sent_key_name(name: str) -> str:
    """Return what may be the name of a key that is there. Raises InvalidRequest."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest(f"there can be no key named {name!r}")
    return name


def _check_pattern(pattern: str) -> str:
    if not _PATTERN.fullmatch(pattern):
        raise ValueError(
            f"a pattern of model names must be of letters, digits, ._- and the wildcards * and ?, got {pattern!r}"
        )
    return pattern


class KeyRequest(Request):
    """A key to be made. `models` limit it to models with names that match one of these patterns; empty: no limit."""

    name: Annotated[str, AfterValidator(check_key_name)]
    role: Role
    models: list[Annotated[str, AfterValidator(_check_pattern)]] = Field([], max_length=100)
    expires_in_days: Annotated[float, Field(gt=0, le=36_500, allow_inf_nan=False, strict=True)] | None = None


class RotateRequest(Request):
    """How a key is rotated: the old one is valid for `grace_s` seconds more."""

    grace_s: Annotated[float, Field(ge=0, le=30 * 86_400, allow_inf_nan=False, strict=True)] = 0.0


class Whoami(Frozen):
    """Who calls: the key's name, its role, and the patterns of model names it is limited to (empty: it is not).

    `created_at` (UTC) tells a key from a revoked one of its name, and stays if it is rotated; null without a key.
    """

    name: str
    role: Role
    models: list[str]
    created_at: datetime | None = None


class Key(Whoami):
    """What is known of a key. Times are UTC, `last_used_on` is the day (`2026-11-26`).

    `old_valid_until` is how long the one before a rotation is valid, too; null if none is any more.
    """

    created_at: datetime
    expires_at: datetime | None = None
    old_valid_until: datetime | None = None
    last_used_on: str | None = None


class NewKey(Whoami):
    """A key that was just made; `key` is shown this once."""

    created_at: datetime
    expires_at: datetime | None = None
    key: str


class KeyList(Frozen):
    """The keys of a yard, by name."""

    keys: list[Key]
