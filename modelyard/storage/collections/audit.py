"""The audit: what was done in the yard and by whom, in a ledger, and the document that knows its end.

Each entry is down on the disk before the transaction commits that it tells of, and counts once that is committed: the
same transaction says in the document `audit/end` where the ledger ends, with the number and the hash of the last entry.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from modelyard.access.audit import START, Deed, Fields, Link, chained, deed, end_of
from modelyard.access.signing import SigningKeys
from modelyard.access.verification import ENTRIES, PRUNE, SIGN, Verification, Verified
from modelyard.errors import DataLoss, InvalidRequest
from modelyard.schemas import AuditEntry, AuditPage, AuditQuery
from modelyard.storage.ledger import Ledger, LedgerEnd
from modelyard.storage.protocols import Collections, Documents, Transaction

AUDIT = "audit"
END = "end"
_MOST_LOOKED_AT = 5000
"""A page looks at so many lines at most, a line being what one transaction wrote."""

_CURSOR = re.compile(r"(\d{1,18}) ([0-9-]{11}[0-9a-f]{16}\.jsonl) (\d{1,12})")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class AuditEnd:
    """What the documents know of the ledger: its end, the last entry, its moment, and which entries may be removed."""

    ledger: LedgerEnd
    link: Link
    at: datetime
    pruned: int


class AuditCollection:
    """The audit of one yard. Entries older than `days` are pruned at the first entry of a day; 0: never.

    Every use raises Unavailable if the system refuses.
    """

    def __init__(
        self,
        documents: Documents,
        ledger: Ledger,
        *,
        days: int = 0,
        signer: SigningKeys | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._documents = documents
        self._ledger = ledger
        self._clock = clock
        self._days = days
        self._signer = signer

    @property
    def signs(self) -> bool:
        """Whether entries are signed."""
        return self._signer is not None

    def note(self, transaction: Transaction, verb: str, what: Mapping[str, str], by: str | None = None) -> None:
        """Write down what a transaction does, if it changes anything and is committed.

        It is the doing of the call under way, or, if that is over, of `by`.
        """
        done = deed(verb, what, by)
        transaction.before_commit(lambda: self._append(transaction, [done]))

    def keep(self, deeds: list[Deed]) -> None:
        """Write down what is no transaction otherwise."""
        with self._documents.transaction() as transaction:
            self.keep_in(transaction, deeds)

    def keep_in(self, transaction: Transaction, deeds: list[Deed]) -> None:
        """Write down what a transaction does, which is committed even if it does nothing else."""
        transaction.put(AUDIT, END, transaction.get(AUDIT, END) or {})
        transaction.before_commit(lambda: self._append(transaction, deeds))

    def page(self, query: AuditQuery) -> AuditPage:
        """Return a page of entries, newest first. Raises InvalidRequest for a cursor that is none, DataLoss."""
        end = _end(self._documents.get(AUDIT, END))
        if end is None:
            return AuditPage(entries=[])
        before, start = (end.link.number + 1, end.ledger) if query.cursor is None else _decode_cursor(query.cursor, end)
        wanted = {name: value for name in ("key", "verb") if (value := getattr(query, name)) is not None}
        pieces = [b'"%b":%b' % (name.encode(), orjson.dumps(value)) for name, value in wanted.items()]
        found: list[Fields] = []
        for looked_at, (place, entries) in enumerate(self._ledger.backwards(start, pieces)):
            if query.since is not None and _ended_before(query.since, place, entries):
                break
            if looked_at == _MOST_LOOKED_AT:
                return AuditPage(entries=_entries(found), next_cursor=encode_cursor(before, place))
            for entry in reversed(entries):
                if entry["number"] < before and all(entry[name] == value for name, value in wanted.items()):
                    if len(found) == query.limit:
                        return AuditPage(entries=_entries(found), next_cursor=encode_cursor(entry["number"] + 1, place))
                    found.append(entry)
        return AuditPage(entries=_entries(found))

    def verify(self) -> Verified:
        """Hold all entries against each other, their seals, and what the database knows of their end."""
        return verified(self._ledger, self._signer, self._link(), self._link)

    def go_on_from_last(self, transaction: Transaction) -> None:
        """Let the end be behind all entries of the ledger, which stay if the database loses transactions."""
        found = last_entry(self._ledger, self._link())
        if found is not None:
            transaction.put(AUDIT, END, found.end)

    def accept_unsigned(self) -> None:
        """Sign for all entries so far that are not signed, after a person has looked at them."""
        link = self._link()
        if link is not None:
            self.keep([deed(SIGN, {ENTRIES: f"1-{link.number}"})])

    def _link(self) -> Link | None:
        end = _end(self._documents.get(AUDIT, END))
        return None if end is None else end.link

    def _append(self, transaction: Transaction, deeds: list[Deed]) -> None:
        end = _end(transaction.get(AUDIT, END))
        now = self._clock() if end is None else max(self._clock(), end.at)
        link, pruned = (START, 0) if end is None else (end.link, end.pruned)
        if end is not None and now.date() > end.at.date() and self._days:
            self._ledger.drop(pruned + 1)  # of what was pruned before and is committed
            kept = self._ledger.first_since(now.date() - timedelta(days=self._days)) or 0
            if kept > pruned + 1:
                pruned = kept - 1
                deeds = [*deeds, Deed(PRUNE, {ENTRIES: f"1-{pruned}"}, deeds[-1].key)]
        entries = chained(link, deeds, now, transaction.number, self._signer)
        place = self._ledger.append(None if end is None else end.ledger, link.number + 1, now, entries)
        transaction.put(AUDIT, END, _document(AuditEnd(place, end_of(entries), now, pruned)))


def verified(ledger: Ledger, signer: SigningKeys | None, end: Link | None, now: Callable[[], Link | None]) -> Verified:
    """Hold a ledger's entries against each other and against its end; `now` returns the end after they were read."""
    verification = Verification(end, signer)
    for entries in ledger.forwards():
        if isinstance(entries, DataLoss):
            verification.take_damage(entries.detail)
        else:
            for entry in entries:
                verification.take(entry)
    return verification.result(now)


@dataclass(frozen=True, slots=True)
class LastEntry:
    """The document of the audit's end by its entries alone, and the transaction that the last one tells of."""

    end: dict[str, Any]
    transaction: int


def last_entry(ledger: Ledger, known: Link | None) -> LastEntry | None:
    """Return the end behind the last entry that can be read, if it is beyond the one that is known; else None."""
    link = known or START
    last: Fields | None = None
    for entries in ledger.forwards():
        for entry in () if isinstance(entries, DataLoss) else entries:
            if entry["number"] > link.number:
                last, link = entry, end_of([entry])
    place = ledger.last()
    if last is None or place is None:
        return None
    end = AuditEnd(place, link, datetime.fromisoformat(last["at"]), 0)
    return LastEntry(_document(end), last["transaction"])


def link_in(documents: Collections) -> Link | None:
    """Return the end of the chain as documents know it."""
    end = _end_in(documents)
    return None if end is None else end.link


def end_in(documents: Collections) -> LedgerEnd | None:
    """Return the end of the ledger as documents know it."""
    end = _end_in(documents)
    return None if end is None else end.ledger


def _end_in(documents: Collections) -> AuditEnd | None:
    raw = documents.get(AUDIT, {}).get(END)
    return None if raw is None else _end(orjson.loads(raw))


def _end(document: Mapping[str, Any] | None) -> AuditEnd | None:
    """Read the document of the end; None if there are no entries yet."""
    if not document:
        return None
    try:
        return AuditEnd(
            LedgerEnd(document["file"], document["lines"], document["bytes"]),
            Link(document["number"], document["hash"]),
            datetime.fromisoformat(document["at"]),
            document["pruned"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataLoss(f"document {END} of {AUDIT} is damaged: {error!r}") from error


def _document(end: AuditEnd) -> dict[str, Any]:
    return {
        "number": end.link.number,
        "hash": end.link.hash,
        "at": end.at.isoformat(),
        "pruned": end.pruned,
        **end.ledger._asdict(),
    }


def _ended_before(since: datetime, place: LedgerEnd, entries: Sequence[Fields]) -> bool:
    """Whether what was appended here, and so all before it, is older than a moment."""
    if place.file < since.date().isoformat():
        return True
    return bool(entries) and datetime.fromisoformat(entries[-1]["at"]) < since


def _entries(found: list[Fields]) -> list[AuditEntry]:
    return [AuditEntry.model_validate(entry) for entry in found]


def encode_cursor(before: int, place: LedgerEnd) -> str:
    """Return the cursor of a page of entries below a number, which end at a place of the ledger."""
    return base64.urlsafe_b64encode(f"{before} {place.file} {place.bytes}".encode()).decode().rstrip("=")


def _decode_cursor(cursor: str, end: AuditEnd) -> tuple[int, LedgerEnd]:
    """Return the number of the entry that the page before ended above, and where to read. Raises InvalidRequest."""
    try:
        text = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found = _CURSOR.fullmatch(text.decode("ascii"))
    except (UnicodeError, binascii.Error):
        found = None
    if found is None:
        raise InvalidRequest(
            f"cursor {cursor[:80]!r} is none: give the next_cursor of the page before, or leave it out"
        )
    place = LedgerEnd(found[2], 0, int(found[3]))
    return int(found[1]), min(place, end.ledger, key=lambda one: (one.file, one.bytes))
