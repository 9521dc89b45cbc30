"""Documents as rows, each with a checksum that is keyed to its place: a row that was changed by hand is damage."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter, itemgetter
from typing import NamedTuple, TypeVar

from modelyard.errors import DataLoss
from modelyard.storage.memory import Changes, Salvaged
from modelyard.storage.postgres.session import Session

_PORTION_BYTES = 2 << 20
_OVERHEAD_BYTES = 100
_ORDINAL_BITS = 20
"""A transaction changes fewer documents than 2 to the power of these, or shares positions with the next ones."""

_UPSERT = """
insert into documents (collection, id, position, seq, body, sum)
select c, i, %s + n, %s, b, s
from unnest(%s::text[], %s::text[], %s::text[], %s::text[]) with ordinality as given(c, i, b, s, n)
on conflict (collection, id) do update set seq = excluded.seq, body = excluded.body, sum = excluded.sum,
    position = case when documents.body is null then excluded.position else documents.position end
"""
_ROWS = "select seq, position, collection, id, body, sum from documents"
_ALL = _ROWS + " where body is not null"
_TYPES = ("int8", "int8", "text", "text", "bytea", "text")
_SINCE = """
with last as (select greatest(%s::bigint, (select max(seq) from commits)) as seq)
select last.seq, (select token from commits where commits.seq = last.seq),
    found.seq, position, collection, id, body, sum
from last left join documents found on found.seq > %s
order by body is null, position
"""

ItemT = TypeVar("ItemT")


class Row(NamedTuple):
    """A document as it stands: without a `body` it was removed. Among others it stands by its `position`."""

    seq: int
    position: int
    collection: str
    key: str
    body: bytes | None

    @property
    def first_seq(self) -> int:
        """The transaction that put it first."""
        return self.position >> _ORDINAL_BITS


def write(session: Session, seq: int, changes: Changes) -> None:
    """Write what a transaction changes."""
    position = seq << _ORDINAL_BITS
    for portion in portions(changes.items(), lambda change: len(change[1] or b"")):
        given = [(*place, None if raw is None else raw.decode(), checksum(*place, raw)) for place, raw in portion]
        session.run(_UPSERT, position, seq, *map(list, zip(*given, strict=True)))
        position += len(portion)


def portions(given: Iterable[ItemT], size: Callable[[ItemT], int]) -> Iterator[list[ItemT]]:
    """Part what is written into lists of some MB, each for one statement, by the bytes of each item.

    The library moves all that waits to be sent in memory after each packet: 100 MB at once would take minutes.
    """
    portion, total = list[ItemT](), 0
    for item in given:
        portion.append(item)
        total += size(item) + _OVERHEAD_BYTES
        if total > _PORTION_BYTES:
            yield portion
            portion, total = [], 0
    if portion:
        yield portion


def everything(session: Session) -> list[Row]:
    """Return all documents as of one moment, in their order.

    Raises DataLoss, naming the document, if a checksum does not hold.
    """
    found = session.copy(_ALL, _TYPES, lambda row: _checked(Row(*row[:5]), row[5]))
    return sorted(found, key=attrgetter("position"))  # the server would sort on its disk


def since(session: Session, seq: int, head: int) -> tuple[list[Row], int, str | None]:
    """Return what has changed since a transaction, as of one moment: what was put in its order, then what was removed.

    Returns the last transaction, too, which is `head` or a later one, and its token. Raises like `everything`.
    """
    found = session.rows(_SINCE, head, seq)
    last, token, *_ = found[0]
    changed = [
        _checked(Row(at, position, collection, key, None if body is None else body.encode()), told)
        for _, _, at, position, collection, key, body, told in found
        if at is not None
    ]
    return changed, last, token


def salvage(session: Session) -> Salvaged:
    """Read the documents whose checksums hold, and name the others."""
    found = Salvaged("the database", seq=session.row("select seq from head")[0])
    for *place, told in sorted(session.copy(_ROWS, _TYPES, tuple), key=itemgetter(1)):
        row = Row(*place)
        if checksum(row.collection, row.key, row.body) != told:
            found.damage.append(_damaged(row))
            found.lost[row.collection, row.key] = row.body or b""
        elif row.body is not None:
            found.collections.setdefault(row.collection, {})[row.key] = row.body
    return found


def take_out(session: Session, lost: Iterable[tuple[str, str]]) -> None:
    """Remove damaged documents without a trace: every replica has to read anew."""
    for collection, key in lost:
        session.run("delete from documents where collection = %s and id = %s", collection, key)


def _checked(row: Row, told: str) -> Row:
    if checksum(row.collection, row.key, row.body) != told:
        raise DataLoss(_damaged(row))
    return row


def _damaged(row: Row) -> str:
    return f"document {row.key} of {row.collection} is damaged in the database: its checksum does not hold"


def checksum(collection: str, key: str, body: bytes | None) -> str:
    """Return the checksum of a document."""
    said = f"{collection}\0{key}".encode()
    return hashlib.blake2b(said if body is None else b"%b\0%b" % (said, body), digest_size=16).hexdigest()
