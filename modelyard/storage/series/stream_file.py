"""One file of a stream: what its name says, how its lines are written and read.

A file is of one day (UTC) and one writer. Each line is a sealed JSON object and holds what one append brought:
`{"n": number of the line, "at": moment, "entries": [...], "sum": ...}`. The checksum is keyed to stream and file, so a
line of another file is not accepted. An end without a newline and without a checksum that holds was torn by a crash.

A file whose name ends in `.loose.jsonl` was written without waiting for the disk. A power cut may leave holes in it, so
lines without a checksum that holds are no damage there: readers pass them over.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import orjson

from modelyard.errors import DataLoss, InvalidRequest, Unavailable
from modelyard.storage.line_file import Identity
from modelyard.storage.sealing import is_sealed, seal, sealed_beginning

_LOOSE = ".loose.jsonl"
_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})-[0-9a-f]{16}(?:\.loose)?\.jsonl")
_PORTION_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Line:
    """What one append brought, and when."""

    at: datetime
    entries: list[Any]


def new_name(day: date, *, loose: bool = False) -> str:
    """Make up a name that no file has had."""
    return f"{day.isoformat()}-{secrets.token_hex(8)}{_LOOSE if loose else '.jsonl'}"


def is_loose(path: Path) -> bool:
    """Whether a file was written without waiting for the disk."""
    return path.name.endswith(_LOOSE)


def day_of(name: str) -> date | None:
    """Return the day of the file of this name; None if it is no file of a stream."""
    try:
        return date.fromisoformat(found[1]) if (found := _NAME.fullmatch(name)) else None
    except ValueError:
        return None


def names_of(folder: Path) -> list[str]:
    """Return the names of a stream's files, by day."""
    return [name for name in entries_of(folder) if day_of(name) is not None]


def entries_of(folder: Path) -> list[str]:
    """Return the names in a folder, in order; none if it is not there."""
    try:
        return sorted(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def encode_line(path: Path, number: int, at: datetime, entries: Iterable[Mapping[str, Any]]) -> bytes:
    """Write a line, without its newline, for the file `path`. Raises InvalidRequest if the entries are no JSON."""
    try:
        line = orjson.dumps({"n": number, "at": at.isoformat(timespec="microseconds"), "entries": list(entries)})
    except TypeError as error:
        raise InvalidRequest(f"entries of {path.parent.name!r} cannot be written as JSON: {error}") from error
    return seal(line, key_of(path))


def read_lines(path: Path, kind: type | None = None) -> Iterator[Line]:
    """Yield the whole lines of a file, holding some 256 KB of it at most, or one line, and no descriptor between them.

    One whose writer is still at work on it is left out. A file that is gone has none. Entries are of `kind`, a
    `msgspec.Struct`, or dictionaries. Raises DataLoss naming file and line, Unavailable if the file was mended
    meanwhile, OSError.
    """
    key, number, offset, loose, name = key_of(path), 0, 0, is_loose(path), str(path)
    identity: Identity | None = None
    while True:
        try:
            found, portion = _portion(path, offset)
        except FileNotFoundError:
            return
        identity = identity or found
        if found != identity:
            raise Unavailable(f"{path} was mended while it was read; read it again")
        for raw in portion:
            where = f"{name} line {number + 1}"
            line = raw[:-1] if raw.endswith(b"\n") else b"" if loose else _whole(raw, where, key)
            if not line and raw != b"\n":
                return
            number, offset = number + 1, offset + len(raw)
            if is_sealed(line, key):
                yield decode_line(line, where, None if loose else number, kind)
            elif not loose:
                raise DataLoss(f"{where} is damaged: its checksum does not hold")
        if not portion or not portion[-1].endswith(b"\n"):
            return


def lost_lines(path: Path) -> int:
    """Return how many lines of a loose file readers pass over. Raises OSError."""
    key = key_of(path)
    return sum(bool(line) and not is_sealed(line, key) for line in path.read_bytes().split(b"\n")[:-1])


def mended(path: Path) -> tuple[bytes, int]:
    """Return a file's content without what is damaged, and how many of its lines are. Raises OSError."""
    key, damaged = key_of(path), 0
    whole: list[bytes] = []
    *lines, end = path.read_bytes().split(b"\n")
    for content in [*lines, end]:
        rest = content
        while found := sealed_beginning(rest, key):
            line = decode_line(found, str(path), None)
            whole.append(encode_line(path, len(whole) + 1, line.at, line.entries) + b"\n")
            rest = rest[len(found) + 1 :]  # a damaged newline stands between two lines
        damaged += bool(rest) and content is not end
    return b"".join(whole), damaged


def _portion(path: Path, offset: int) -> tuple[Identity, list[bytes]]:
    """Read lines from an offset. One without a newline is the last of the file, and nobody is at work on it."""
    with path.open("rb") as opened:
        file = opened.fileno()
        status = os.fstat(file)
        lines = _lines(file, offset)
        if lines and not lines[-1].endswith(b"\n"):
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # closing the file lets go of it
            except BlockingIOError:
                lines.pop()  # its writer may still take it back
            else:
                lines = _lines(file, offset)
    return (status.st_dev, status.st_ino), lines


def _lines(file: int, offset: int) -> list[bytes]:
    """Read whole lines, at least one, and at the end of the file what stands there.

    Nothing is read behind the end that was seen first: a newline that comes later would look like a line of its own.
    """
    content, is_end = b"", False
    while not is_end and b"\n" not in content:
        portion = os.pread(file, _PORTION_BYTES, offset + len(content))
        content += portion
        is_end = len(portion) < _PORTION_BYTES
    *whole, rest = content.split(b"\n")
    lines = [line + b"\n" for line in whole]
    return [*lines, rest] if rest and is_end else lines


def _whole(end: bytes, where: str, key: bytes) -> bytes:
    """Return the whole line in the end of a file that has no newline; nothing if it is torn.

    A zero where its newline should be is one that a power cut lost, from under the next line's torn beginning.
    """
    whole = sealed_beginning(end, key)
    if whole and end[len(whole) : len(whole) + 1] not in (b"", b"\0"):
        raise DataLoss(f"{where}: its end is damaged: no newline follows it")
    return whole


def decode_line(line: bytes, where: str, number: int | None, kind: type | None = None) -> Line:
    """Read a line that is_sealed, its entries as of a kind. `number` is the one it must have (None: any)."""
    try:
        if kind is None:
            fields = orjson.loads(line)
            n, found = fields["n"], Line(datetime.fromisoformat(fields["at"]), fields["entries"])
        else:
            read = _decoder(kind).decode(line)
            n, found = read.n, Line(read.at, read.entries)
        if number not in (None, n):
            raise DataLoss(f"{where} is line {n}: others are missing or doubled")
        return found
    except (ValueError, TypeError, KeyError, msgspec.MsgspecError) as error:
        raise DataLoss(f"{where}: not a line of a stream: {error}") from error


@lru_cache(maxsize=16)
def _decoder(kind: type) -> msgspec.json.Decoder[Any]:
    """Return what reads lines of such entries, in a third of the time that dictionaries take."""
    fields = [("n", int), ("at", datetime), ("entries", list[kind])]  # type: ignore[valid-type]
    return msgspec.json.Decoder(msgspec.defstruct("Line", fields))


@lru_cache(maxsize=256)
def key_of(path: Path) -> bytes:
    """Return the key of a file's checksums."""
    return hashlib.blake2b(f"{path.parent.name}/{path.stem}".encode(), digest_size=32).digest()
