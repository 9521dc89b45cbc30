"""The entries of the audit in a table: `Ledger` in PostgreSQL, written within the transactions of the documents.

So what stands there has happened. Each row is what one transaction brought, under the number of its first entry, and is
what a file is to a folder: the end of the ledger names it as `<day>-<number>.jsonl`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, LiteralString

import orjson

from modelyard.errors import DataLoss
from modelyard.storage.ledger import LedgerEnd
from modelyard.storage.postgres.series import checksum, encoded
from modelyard.storage.postgres.session import Session
from modelyard.storage.protocols import Appended

_NAME = "audit"
_PORTION = 500
_SELECT = "select number, at, entries, sum from audit where "
_ALL = 1 << 62


class PostgresLedger:
    """`protocols.Ledger` beside documents in one database; `writer` is their session of transactions."""

    def __init__(self, reader: Session, writer: Session | None) -> None:
        self._reader = reader
        self._written_by = writer

    def append(
        self, end: LedgerEnd | None, number: int, at: datetime, entries: Sequence[Mapping[str, Any]]
    ) -> LedgerEnd:
        body = encoded(_NAME, entries)
        self._writer.run(
            "insert into audit (number, at, entries, sum) values (%s, %s, %s, %s)",
            number,
            at,
            body,
            checksum(_NAME, at, body),
        )
        return _end(number, at)

    def take(self, appended: Iterable[Appended]) -> LedgerEnd | None:
        self._writer.run("delete from audit")
        end: LedgerEnd | None = None
        for at, entries in appended:
            end = self.append(end, int(entries[0]["number"]), at, entries)
        return end

    def forwards(self) -> Iterator[Sequence[dict[str, Any]] | DataLoss]:
        last = -1
        while found := self._rows("number > %s order by number limit %s", last, _PORTION):
            for last, at, body, told in found:
                try:
                    yield _entries(last, at, body, told)
                except DataLoss as damage:
                    yield damage

    def backwards(
        self, end: LedgerEnd, holding: Sequence[bytes] = ()
    ) -> Iterator[tuple[LedgerEnd, Sequence[dict[str, Any]]]]:
        before = _number(end) + 1
        while found := self._rows("number < %s order by number desc limit %s", before, _PORTION):
            for before, at, body, told in found:
                whole = all(piece.decode() in body for piece in holding)
                yield _end(before, at), _entries(before, at, body, told) if whole else ()

    def last(self) -> LedgerEnd | None:
        found = self._rows("number < %s order by number desc limit %s", _ALL, 1)
        return _end(found[0][0], found[0][1]) if found else None

    def first_since(self, day: date) -> int | None:
        first = self._rows("number < %s order by number limit %s", _ALL, 1)
        kept = self._rows("at >= %s order by number limit %s", datetime.combine(day, time.min, UTC), 1)
        return kept[0][0] if kept and kept[0][0] != first[0][0] else None

    def drop(self, before: int) -> None:
        self._writer.run("delete from audit where number < %s", before)

    def _rows(self, which: LiteralString, *values: Any) -> list[Any]:
        with self._reader.mutex:
            return self._reader.rows(_SELECT + which, *values)

    @property
    def _writer(self) -> Session:
        assert self._written_by is not None
        return self._written_by


def _entries(number: int, at: datetime, body: str, told: str) -> list[dict[str, Any]]:
    if checksum(_NAME, at, body) != told:
        raise DataLoss(f"the audit is damaged in the database from entry {number} on: a checksum does not hold")
    entries: list[dict[str, Any]] = orjson.loads(body)
    return entries


def _end(number: int, at: datetime) -> LedgerEnd:
    return LedgerEnd(f"{at.astimezone(UTC).date().isoformat()}-{number:016x}.jsonl", 1, 1)


def _number(end: LedgerEnd) -> int:
    return int(end.file.removesuffix(".jsonl").rpartition("-")[2], 16)
