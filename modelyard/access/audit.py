"""The audit as a chain of entries: each is sealed together with the seal of the one before.

So an entry that is changed, removed or put in between is seen by `Verification`. With signing keys a seal is a
signature, which only their holders can make; without them it is a SHA-256, which tells an accident and no more. Where
entries are kept is not known here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from modelyard import calls
from modelyard.access.signing import SigningKeys

SERVER = "server"
"""The door of what a server does by itself, such as storing the model of a training that has ended."""

SIGNED = "signed:"
"""What a hash begins with that is a signature."""

Fields = dict[str, Any]
"""An entry as it is kept: the fields of `schemas.AuditEntry` in their order, moments as text."""


class Link(NamedTuple):
    """Where the chain ends: the number and the hash of its last entry."""

    number: int
    hash: str


START = Link(0, "")


@dataclass(frozen=True, slots=True)
class Deed:
    """What was done or refused, before it is an entry."""

    verb: str
    what: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    address: str = ""
    door: str = SERVER
    request_id: str = ""
    code: str = calls.OK
    count: int = 1


def deed(verb: str, what: Mapping[str, str], by: str | None = None) -> Deed:
    """Return what the call under way does. If `by` is given, this process does it for somebody whose call is over."""
    call = calls.under_way() if by is None else None
    if call is None:
        return Deed(verb, what, calls.who().name if by is None else by)
    return Deed(verb, what, call.caller, call.address, call.door, call.request_id)


def chained(
    after: Link, deeds: Iterable[Deed], now: datetime, transaction: int, signer: SigningKeys | None
) -> list[Fields]:
    """Make entries of deeds, which go on from the end of the chain."""
    entries: list[Fields] = []
    previous = after.hash
    for number, done in enumerate(deeds, after.number + 1):
        entry: Fields = {
            "number": number,
            "at": now.isoformat(timespec="milliseconds"),
            "key": done.key,
            "address": done.address,
            "door": done.door,
            "verb": done.verb,
            "what": dict(done.what),
            "code": done.code,
            "count": done.count,
            "request_id": done.request_id,
            "transaction": transaction,
            "previous": previous,
        }
        body = orjson.dumps(entry)
        entry["hash"] = previous = _digest(body) if signer is None else SIGNED + signer.sign(body)
        entries.append(entry)
    return entries


def end_of(entries: list[Fields]) -> Link:
    """Return the end of the chain behind these entries."""
    return Link(entries[-1]["number"], entries[-1]["hash"])


def is_known(entry: Fields, signer: SigningKeys | None) -> bool | None:
    """Whether an entry has the seal that is due: a signature by one of the keys, or without keys a digest.

    None for a signature without keys: nobody can tell. The seal need not hold.
    """
    signature = _signature(entry)
    if signer is None:
        return True if signature is None else None
    return signature is not None and signer.knows(signature)


def is_whole(entry: Fields, signer: SigningKeys | None) -> bool:
    """Whether an entry is what was sealed, as far as that can be told; by an unknown key anything may be."""
    body = orjson.dumps({name: value for name, value in entry.items() if name != "hash"})
    signature = _signature(entry)
    if signature is None:
        return bool(entry["hash"] == _digest(body))
    return signer is None or not signer.knows(signature) or signer.verify(body, signature)


def _signature(entry: Fields) -> str | None:
    sealed: str = entry["hash"]
    return sealed.removeprefix(SIGNED) if sealed.startswith(SIGNED) else None


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
