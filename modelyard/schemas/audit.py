"""The audit as every door speaks of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from modelyard.schemas.base import Frozen, Request


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class AuditEntry(Frozen):
    """One thing that was done or refused.

    `number` counts from 1 without gaps. `at` is when it was written down (UTC): at once, or for what is counted within
    a minute. `key` is the name of the key that was shown (`local:` and the user at a terminal on the folder,
    `anonymous` without a valid key), `address` where the caller was, `door` and `verb` how it was asked for.
    `what` names what was changed: `model` (name:version), `model_id`, `job_id`, `key` and the like, never cells. `code`
    is how it ended. Refusals and sign-ins of a minute that are alike are one entry with their `count`, and the request
    id of the first. `transaction` is the number of the change in the database. `hash` seals the entry, together with
    `previous`, the hash of the entry before.
    """

    number: int
    at: datetime
    key: str
    address: str
    door: str
    verb: str
    what: dict[str, str]
    code: str
    count: int
    request_id: str
    transaction: int
    previous: str
    hash: str


class AuditQuery(Request):
    """Which entries to list: those since a moment (UTC unless it says otherwise), of a key's name, of a verb.

    `limit` at most, after `cursor`, newest first.
    """

    since: Annotated[datetime, AfterValidator(_in_utc)] | None = None
    key: str | None = None
    verb: str | None = None
    cursor: str | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 50


class AuditPage(Frozen):
    """Entries, newest first. A page may have fewer than were asked for, or none, and still have a `next_cursor`.

    A page looks at a bounded number of entries, because it must not read a whole audit for a rare verb.
    """

    entries: list[AuditEntry]
    next_cursor: str | None = None
