"""Documents as rows, each with a checksum that is keyed to its place: a row that was changed by hand is damage."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from modelyard.errors import DataLoss
from modelyard.storage.memory import Changes, Salvaged
from modelyard.storage.postgres.session import Session

_PORTION = 5000
_ORDINAL_BITS = 20
"""A transaction changes fewer documents than 2 to the power of these, or shares positions with the next ones."""

_UPSERT = """
insert into documents (collection, id, position, seq, body, sum)
select c, i, %s + n, %s, b, s
from unnest(%s::text[], %s::text[], %s::text[], %s::text[]) with ordinality as given(c, i, b, s, n)
on conflict (collection, id) do update set seq = excluded.seq, body = excluded.body, sum = excluded.sum,
    position = case when documents.body is null then excluded.position else documents.position end
"""
_SINCE = """
select seq, position, collection, id, body, sum from documents where seq > %s and (body is not null or %s)
order by body is null, position
"""


class Row(NamedTuple):
    """A document as it stands: without a `body` it was removed. It was put first by the transaction `first_seq`."""

    seq: int
    first_seq: int
    collection: str
    key: str
    body: bytes | None


def write(session: Session, seq: int, changes: Changes) -> None:
    """Write what a transaction changes."""
    texts = [(*place, None if raw is None else raw.decode()) for place, raw in changes.items()]
    for start in range(0, len(texts), _PORTION):
        portion = texts[start : start + _PORTION]
        collections, keys, bodies = (list(column) for column in zip(*portion, strict=True))
        sums = [checksum(*text) for text in portion]
        session.run(_UPSERT, (seq << _ORDINAL_BITS) + start, seq, collections, keys, bodies, sums)


def since(session: Session, seq: int) -> Iterator[Row]:
    """Iterate what has changed since a transaction, as of one moment: what was put in its order, then what was removed.

    Raises DataLoss, naming the document, if a checksum does not hold.
    """
    found_rows = session.rows(_SINCE, seq, True) if seq else session.stream(_SINCE, seq, False)
    for at, position, collection, key, body, found in found_rows:
        if checksum(collection, key, body) != found:
            raise DataLoss(_damaged(collection, key))
        yield Row(at, position >> _ORDINAL_BITS, collection, key, None if body is None else body.encode())


def salvage(session: Session) -> Salvaged:
    """Read the documents whose checksums hold, and name the others."""
    found = Salvaged("the database", seq=session.row("select seq from head")[0])
    for _, _, collection, key, body, told in session.stream(_SINCE, -1, True):
        if checksum(collection, key, body) != told:
            found.damage.append(_damaged(collection, key))
            found.lost[collection, key] = (body or "").encode()
        elif body is not None:
            found.collections.setdefault(collection, {})[key] = body.encode()
    return found


def take_out(session: Session, lost: Iterable[tuple[str, str]]) -> None:
    """Remove damaged documents without a trace: every replica has to read anew."""
    for collection, key in lost:
        session.run("delete from documents where collection = %s and id = %s", collection, key)


def _damaged(collection: str, key: str) -> str:
    return f"document {key} of {collection} is damaged in the database: its checksum does not hold"


def checksum(collection: str, key: str, body: str | None) -> str:
    """Return the checksum of a document."""
    said = "\0".join((collection, key, *(() if body is None else (body,))))
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()
