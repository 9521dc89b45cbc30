"""The lines of `db.jsonl`: how they are written and read.

Every line is a sealed JSON object. The first line is the header; the checksums of the others are keyed to its random
`generation`, so a line of another file is not accepted. The header's checksum and `format` stay as they are in every
later format: by them an older release can say that it is too old.

Format 2 is format 1 with models that keep their validation predictions. A file of format 1 is read as it is, and
written anew before the first transaction that this release adds to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from modelyard.errors import DataLoss, FailedPrecondition
from modelyard.storage.sealing import SEAL_BYTES, is_sealed, seal, seal_open

FORMAT = 2
_OLDEST_FORMAT = 1
HEADER_BYTES = 320
"""A header's size with its newline, padded, so that it can be written last over a space left for it."""


@dataclass(frozen=True, slots=True)
class Header:
    """A file's first line.

    The file goes on from transaction `seq`. After a compaction its first `snapshot_lines` lines, `snapshot_bytes` long,
    repeat what generation `previous` held at `seq`: a reader that holds that state skips them.
    """

    generation: str
    seq: int = 0
    previous: str | None = None
    snapshot_lines: int = 0
    snapshot_bytes: int = 0
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Entry:
    """One transaction as read: documents put (collection, id, document) and removed (collection, id)."""

    seq: int
    time: str
    put: list[tuple[str, str, dict[str, Any]]]
    removed: list[tuple[str, str]]


def encode_header(header: Header) -> bytes:
    """Write a header line, with its newline."""
    body = orjson.dumps({"format": header.format, **asdict(header)})[:-1].ljust(HEADER_BYTES - SEAL_BYTES - 1)
    return seal_open(body, b"") + b"\n"


def decode_header(line: bytes, source: str) -> Header:
    """Read a header line without its newline.

    Raises DataLoss if it is damaged, FailedPrecondition if a newer release wrote it.
    """
    if not is_sealed(line, b""):
        raise DataLoss(f"{source} line 1: the header is damaged: its checksum does not hold")
    try:
        fields = orjson.loads(line)
        if not _OLDEST_FORMAT <= fields["format"] <= FORMAT:
            raise FailedPrecondition(
                f"{source} has format {fields['format']}; this release reads formats {_OLDEST_FORMAT} to {FORMAT}: "
                "use a newer one"
            )
        return Header(**{name: fields[name] for name in Header.__slots__})
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
    """Read a line that is_sealed. Raises DataLoss, which begins with `source()`, if it is no transaction."""
    try:
        fields = orjson.loads(line)
        return Entry(fields["seq"], fields["time"], fields["put"], fields["remove"])
    except (ValueError, TypeError, KeyError) as error:
        raise DataLoss(f"{source()}: not a transaction: {error}") from error
