"""Aliases as every door speaks of them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from modelyard.errors import InvalidRequest
from modelyard.schemas.base import Frozen, Request
from modelyard.schemas.naming import ALIAS_PATTERN, LATEST

_ALIAS = re.compile(ALIAS_PATTERN)


def check_alias(alias: str) -> str:
    """Return `alias` if a version may be called so; raise ValueError otherwise."""
    if not _ALIAS.fullmatch(alias):
        raise ValueError(f"alias {alias[:120]!r} must be 1 to 64 small letters, digits, '_' or '-', the first a letter")
    if alias == LATEST:
        raise ValueError(f"alias {alias!r} always means the newest active version; choose another one")
    return alias


def parse_alias(alias: str) -> str:
    """Return `alias` if a version may be called so. Raises InvalidRequest."""
    try:
        return check_alias(alias)
    except ValueError as error:
        raise InvalidRequest(str(error)) from None


AliasName = Annotated[str, AfterValidator(check_alias)]


class AliasRequest(Request):
    """Where an alias is to point. With `expected`, only if it points there now; null: only if there is none yet."""

    version: Annotated[int, Field(ge=1, strict=True)]
    expected: Annotated[int, Field(ge=1, strict=True)] | None = None


class DefaultAlias(Request):
    """The alias that a name alone means if it has it; null: a name means its newest active version."""

    alias: AliasName | None


class MovedAlias(Frozen):
    """Where an alias points now, and the version that it pointed to before (null: it is new)."""

    name: str
    alias: str
    version: int
    model_id: str
    previous: int | None = None


class Alias(Frozen):
    """Where an alias points, since when (UTC), and who moved it there."""

    alias: str
    version: int
    model_id: str
    since: datetime
    by: str


class AliasList(Frozen):
    """The aliases of a name, in order."""

    aliases: list[Alias]


class AliasMove(Frozen):
    """One move of an alias: to which version (null: it was deleted), when (UTC), and by whom."""

    version: int | None = None
    model_id: str | None = None
    at: datetime
    by: str


class AliasHistory(Frozen):
    """The moves of an alias, the first one first."""

    moves: list[AliasMove]
