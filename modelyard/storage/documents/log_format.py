"""The lines of `db.jsonl`: how they are written, and how they are told from damaged ones.

Every line is a JSON object whose last member is ``"sum"``, the BLAKE2b of all bytes before it, so a line is verified
by a slice and a hash. The first line is the header; the sums of the others are keyed to its random `generation`, so a
line of another file does not pass. The header's sum and its `format` stay as they are in every later format: that is
how an older release can say that it is too old.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from modelyard.errors import DataLoss, FailedPrecondition

FORMAT = 1
HEADER_BYTES = 320
"""A header's size with its newline, padded, so that it can be written last over a space left for it."""

_SUM = re.compile(rb',"sum":"[0-9a-f]{32}"\}')
_TAIL_BYTES = len(b',"sum":""}') + 32


@dataclass(frozen=True, slots=True)
class Header:
    """A file's first line.

    The file goes on from transaction `seq`. After a compaction its first `snapshot_lines` lines, `snapshot_bytes` long,
    repeat what generation `previous` held at `seq`: who holds that state need not read them.
    """

    generation: str
    seq: int = 0
    previous: str | None = None
    snapshot_lines: int = 0
    snapshot_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One transaction as read: documents put (collection, id, document) and removed (collection, id)."""

    seq: int
    time: str
    put: list[tuple[str, str, dict[str, Any]]]
    removed: list[tuple[str, str]]


def encode_header(header: Header) -> bytes:
    """Write a header line, with its newline."""
    fields = {
        "format": FORMAT,
        "generation": header.generation,
        "seq": header.seq,
        "previous": header.previous,
        "snapshot_lines": header.snapshot_lines,
        "snapshot_bytes": header.snapshot_bytes,
    }
    body = orjson.dumps(fields)[:-1].ljust(HEADER_BYTES - _TAIL_BYTES - 1)
    return _sealed(body, b"") + b"\n"


def decode_header(line: bytes, source: str) -> Header:
    """Read a header line without its newline.

    Raises DataLoss where it is damaged, FailedPrecondition where a newer release wrote it.
    """
    if not is_sealed(line, b""):
        raise DataLoss(f"{source} line 1: the header is damaged: its checksum does not hold")
    try:
        fields = orjson.loads(line)
        if fields["format"] != FORMAT:
            raise FailedPrecondition(
                f"{source} has format {fields['format']}; this release reads format {FORMAT}: use a newer one"
            )
        return Header(
            generation=fields["generation"],
            seq=fields["seq"],
            previous=fields["previous"],
            snapshot_lines=fields["snapshot_lines"],
            snapshot_bytes=fields["snapshot_bytes"],
        )
    except (ValueError, TypeError, KeyError) as error:
        raise DataLoss(f"{source} line 1: not a header: {error}") from error


def encode_entry(
    seq: int, put: Iterable[tuple[str, str, bytes]], removed: Iterable[tuple[str, str]], generation: str
) -> bytes:
    """Write one transaction as a line without its newline; documents come as JSON."""
    fields = {
        "seq": seq,
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "put": [(collection, key, orjson.Fragment(document)) for collection, key, document in put],
        "remove": list(removed),
    }
    return seal(orjson.dumps(fields), generation.encode())


def decode_entry(line: bytes, source: Callable[[], str]) -> Entry:
    """Read a line that is_sealed. Raises DataLoss, which `source()` begins, where it is no transaction."""
    try:
        fields = orjson.loads(line)
        return Entry(fields["seq"], fields["time"], fields["put"], fields["remove"])
    except (ValueError, TypeError, KeyError) as error:
        raise DataLoss(f"{source()}: not a transaction: {error}") from error


def seal(document: bytes, key: bytes) -> bytes:
    """Add the checksum, under a key, to a JSON object that is not empty."""
    return _sealed(document[:-1], key)


def is_sealed(line: bytes, key: bytes) -> bool:
    """Tell whether a line without its newline is whole and as it was written."""
    return line.endswith(_tail(memoryview(line)[:-_TAIL_BYTES], key))


def sealed_beginning(line: bytes, key: bytes) -> bytes:
    """Return the whole line that stands at the beginning of `line`, nothing where there is none."""
    ends = (found.end() for found in _SUM.finditer(line))
    return next((line[:end] for end in ends if is_sealed(line[:end], key)), b"")


def _sealed(body: bytes, key: bytes) -> bytes:
    return body + _tail(body, key)


def _tail(body: bytes | memoryview, key: bytes) -> bytes:
    return b',"sum":"%b"}' % hashlib.blake2b(body, key=key, digest_size=16).hexdigest().encode()
