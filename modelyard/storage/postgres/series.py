"""Streams in a table: `Series` in PostgreSQL. Each row is what one append brought, with a checksum of its own."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Any

import msgspec
import orjson

from modelyard.errors import DataLoss, InvalidRequest
from modelyard.storage.postgres.rows import portions
from modelyard.storage.postgres.session import Session
from modelyard.storage.protocols import Appended, EntryT, SeriesEntry, check_stream, now

_PORTION = 500
_AUDIT = "audit"
_ALL_ROWS = """
select stream, at, number, entries, sum from series
union all select 'audit', at, number, entries, sum from audit order by 1, 2, 3
"""
_READ = "select entries from series where stream = %s and number = %s"
_READ_AUDIT = "select entries from audit where %s = 'audit' and number = %s"
_REMOVE = "delete from series where stream = %s and number = %s"
_REMOVE_AUDIT = "delete from audit where %s = 'audit' and number = %s"
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_END = datetime.max.replace(tzinfo=UTC)


class PostgresSeries:
    """`protocols.Series` by a session that others use, too. Pieces of streams are rows, `<stream>/<number>`.

    The rows of the audit are pieces, too, as its files are in a folder.
    """

    def __init__(self, session: Session, clock: Callable[[], datetime] = now) -> None:
        self._session = session
        self._clock = clock
        self._mutex = threading.Lock()
        self._last: dict[str, datetime] = {}

    def append(self, stream: str, entries: Sequence[Mapping[str, Any]], *, loose: bool = False) -> datetime:
        """Add entries, as `Series` says. A loose append is as durable as any."""
        check_stream(stream)
        body = encoded(stream, entries)
        with self._mutex:
            at = max(self._clock(), self._last.get(stream, _BEGINNING))
            with self._session.mutex:
                self._session.run(
                    "insert into series (stream, at, entries, sum) values (%s, %s, %s, %s)",
                    stream,
                    at,
                    body,
                    checksum(stream, at, body),
                )
            self._last[stream] = at
        return at

    def take(self, stream: str, appended: Iterable[Appended]) -> None:
        check_stream(stream)
        encoded_entries = ((at, encoded(stream, entries)) for at, entries in appended)
        for rows in portions(encoded_entries, lambda row: len(row[1])):
            with self._session.mutex:
                self._session.run(
                    "insert into series (stream, at, entries, sum) select %s, a, e, s "
                    "from unnest(%s::timestamptz[], %s::text[], %s::text[]) with ordinality as given(a, e, s, n) "
                    "order by n",
                    stream,
                    [at for at, _ in rows],
                    [body for _, body in rows],
                    [checksum(stream, *row) for row in rows],
                )

    def scan(self, stream: str, since: datetime | None = None, until: datetime | None = None) -> Iterator[SeriesEntry]:
        check_stream(stream)
        return self._entries(stream, since or _BEGINNING, until or _END)

    def read(self, stream: str, kind: type[EntryT], since: datetime | None = None) -> Iterator[tuple[datetime, EntryT]]:
        check_stream(stream)
        first = _BEGINNING if since is None else datetime.combine(since.astimezone(UTC).date(), time.min, UTC)
        decode = msgspec.json.Decoder(list[kind]).decode  # type: ignore[valid-type]
        for at, body in self._rows(stream, first, _END):
            yield from ((at, entry) for entry in decode(body))

    def remove(self, stream: str) -> None:
        check_stream(stream)
        with self._session.mutex:
            self._session.run("delete from series where stream = %s", stream)

    def drop(self, stream: str, before: datetime) -> None:
        check_stream(stream)
        day = datetime.combine(before.astimezone(UTC).date(), time.min, UTC)
        with self._session.mutex:
            self._session.run("delete from series where stream = %s and at < %s", stream, day)

    def streams(self) -> list[str]:
        """Return the names of all streams."""
        with self._session.mutex:
            return [name for (name,) in self._session.rows("select distinct stream from series order by stream")]

    def problems(self) -> Iterator[tuple[str, str, bool]]:
        for stream, at, number, body, told in self._session.stream(_ALL_ROWS):
            if checksum(stream, at, body) != told:
                yield f"{stream}/{number}", f"the entries of {at.isoformat()} are damaged in the database", True

    def mend(self, piece: str, aside: Callable[[bytes], None]) -> str:
        stream, _, number = piece.rpartition("/")
        read, remove = (_READ_AUDIT, _REMOVE_AUDIT) if stream == _AUDIT else (_READ, _REMOVE)
        with self._session.mutex:
            for (body,) in self._session.rows(read, stream, int(number)):
                aside(body.encode())
            self._session.run(remove, stream, int(number))
        return "taken out of the database"

    def _entries(self, stream: str, since: datetime, until: datetime) -> Iterator[SeriesEntry]:
        for at, body in self._rows(stream, since, until):
            yield from (SeriesEntry(at, fields) for fields in orjson.loads(body))

    def _rows(self, stream: str, since: datetime, until: datetime) -> Iterator[tuple[datetime, str]]:
        number = -1
        while True:
            with self._session.mutex:
                found = self._session.rows(
                    "select at, number, entries, sum from series where stream = %s and (at, number) > (%s, %s) "
                    "and at < %s order by at, number limit %s",
                    stream,
                    since,
                    number,
                    until,
                    _PORTION,
                )
            for at, number, body, told in found:  # noqa: B007 - the last ones are where the next portion begins
                if checksum(stream, at, body) != told:
                    raise DataLoss(f"the entry of {at.isoformat()} in series {stream} is damaged in the database")
                since = at
                yield at, body
            if len(found) < _PORTION:
                return


class PostgresSnapshots:
    """`protocols.Snapshots` in a table, by a session that others use, too."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def put(self, name: str, content: bytes) -> None:
        with self._session.mutex:
            self._session.run(
                "insert into snapshots (name, content) values (%s, %s) "
                "on conflict (name) do update set content = excluded.content",
                name,
                content,
            )

    def names(self) -> list[str]:
        with self._session.mutex:
            return [name for (name,) in self._session.rows("select name from snapshots order by name")]

    def get(self, name: str) -> bytes | None:
        with self._session.mutex:
            found = self._session.row("select content from snapshots where name = %s", name)
        return None if found is None else bytes(found[0])

    def remove(self, name: str) -> None:
        with self._session.mutex:
            self._session.run("delete from snapshots where name = %s", name)


def encoded(stream: str, entries: Sequence[Mapping[str, Any]]) -> str:
    """Return entries as JSON. Raises InvalidRequest if they are none."""
    try:
        return orjson.dumps(list(entries)).decode()
    except TypeError as error:
        raise InvalidRequest(f"entries of {stream!r} cannot be written as JSON: {error}") from error


def checksum(stream: str, at: datetime, body: str) -> str:
    """Return the checksum of a row."""
    said = f"{stream}\0{at.astimezone(UTC).isoformat()}\0{body}"
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()
