"""Models by their names, as every door speaks of them: a name is one line of versions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from modelyard.schemas.base import Frozen, Request, Status, StatusFilter
from modelyard.schemas.decisions import ResolvedDecision

LINE_VERSIONS = 20
"""So many versions of a name are told of, the newest ones."""


class NameQuery(Request):
    """Which names to list: those of which one version is all that is asked for, the newest first.

    `search` is a part of the name or of a tag, large and small letters alike; `alias` one that the name has.
    `limit` at most, after `cursor`.
    """

    search: Annotated[str, Field(max_length=200)] | None = None
    model_class_key: str | None = None
    alias: str | None = None
    status: StatusFilter = "active"
    limit: Annotated[int, Field(ge=1, le=200)] = 25
    cursor: str | None = None


class LinePoint(Frozen):
    """One version in the line of a name, and its value of the line's metric; null if it has none."""

    version: int
    value: float | None = None


class NameSummary(Frozen):
    """A name: its newest version among those that were asked for, and its line of versions.

    `model_id` to `created_at` are that version's. `versions` counts those of the status that was asked for; `line` has
    the newest 20 of them, the oldest first, by `metric`, the one that tells most of the newest (null: it has none).
    `aliases` are the name's own, with the versions that they point to.
    """

    name: str
    model_id: str
    version: int
    status: Status
    model_class_key: str
    task: str
    target: str | None = None
    tags: list[str] = []
    decision: ResolvedDecision | None = None
    n_rows: int
    created_at: datetime
    versions: int
    aliases: dict[str, int] = {}
    metric: str | None = None
    line: list[LinePoint]


class NamePage(Frozen):
    """One page of names; `total` is how many there are on all pages. `next_cursor` is null on the last one."""

    names: list[NameSummary] = []
    total: int
    next_cursor: str | None = None
