"""Read a `db.jsonl` that may be damaged: every whole transaction, and the damage of the rest, in words.

Unlike `log_reader`, which refuses. Nothing is guessed: a line counts only if its checksum holds. Writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import orjson

from modelyard.errors import DataLoss
from modelyard.storage.documents.log_format import HEADER_BYTES, Entry, Header, decode_entry, decode_header
from modelyard.storage.files import exists, unavailable
from modelyard.storage.memory import Salvaged
from modelyard.storage.protocols import Collections
from modelyard.storage.sealing import is_sealed, sealed_beginning

_GENERATION = re.compile(rb'"generation":"([0-9a-f]{32})"')


def salvage(path: Path) -> Salvaged:
    """Read all whole transactions of a database file, if there is one. The caller holds the writers' lock.

    A torn end is not damage. Raises Unavailable, FailedPrecondition if a newer release wrote the file.
    """
    if not exists(path):
        return Salvaged(path.name, damage=[f"{path} is gone"])
    found = Salvaged(path.name)
    with unavailable(f"read {path}"):
        content = path.read_bytes()
    header = _header(content, path, found)
    found.seq = header.seq
    entries = _entries(content, header, found)
    expected = header.seq + 1
    for seq in sorted(entries):
        if seq > expected:
            found.damage.append(_missing(expected, seq - 1))
        _apply(entries[seq], found.collections)
        found.seq, expected = seq, seq + 1
    if expected <= header.seq + header.snapshot_lines:
        found.damage.append(_missing(expected, header.seq + header.snapshot_lines))
    return found


def _header(content: bytes, path: Path, found: Salvaged) -> Header:
    line, newline, _ = content[: 16 * HEADER_BYTES].partition(b"\n")
    if not newline:
        found.damage.append("line 1: the header is missing or cut short")
    else:
        try:
            return decode_header(line, path.name)
        except DataLoss as error:
            found.damage.append(error.detail)
    generation = _GENERATION.search(line)
    return Header("" if generation is None else generation[1].decode())


def _entries(content: bytes, header: Header, found: Salvaged) -> dict[int, Entry]:
    entries: dict[int, Entry] = {}
    newest = 0
    for where, line in _whole_lines(content, header.generation.encode(), found):
        try:
            entry = decode_entry(line, where.__str__)
        except DataLoss as error:
            found.damage.append(error.detail)
            continue
        if entry.seq in entries or entry.seq <= header.seq:
            found.damage.append(f"{where} repeats transaction {entry.seq}")
            continue
        if entry.seq < newest:
            found.damage.append(f"{where} is out of order: transaction {entry.seq}")
        newest = max(newest, entry.seq)
        entries[entry.seq] = entry
    return entries


def _whole_lines(content: bytes, key: bytes, found: Salvaged) -> Iterator[tuple[str, bytes]]:
    """Yield the lines whose checksums hold, and where they are; those too whose newline is damaged."""
    _, *lines = content.split(b"\n")
    for number, line in enumerate(lines, 2):
        where, is_last = f"line {number}", number == len(lines) + 1
        if is_sealed(line, key):
            yield where, line
            continue
        yield from _between_damaged_newlines(line, where, key, found, is_last=is_last)


def _between_damaged_newlines(
    line: bytes, where: str, key: bytes, found: Salvaged, *, is_last: bool
) -> Iterator[tuple[str, bytes]]:
    rest = line
    while whole := sealed_beginning(rest, key):
        yield where, whole
        behind, rest = rest[len(whole) : len(whole) + 1], rest[len(whole) + 1 :]
        if is_last and behind in (b"", b"\0"):
            return  # as `log_reader` has it: what stands behind was never answered
        found.damage.append(f"{where}: its end is damaged: no newline follows it")
    if rest and not is_last:  # what is not whole at the very end was torn
        found.damage.append(f"{where} is damaged: its checksum does not hold")


def _apply(entry: Entry, collections: Collections) -> None:
    for collection, key, document in entry.put:
        collections.setdefault(collection, {})[key] = orjson.dumps(document)
    for collection, key in entry.removed:
        collections.get(collection, {}).pop(key, None)


def _missing(first: int, last: int) -> str:
    return f"transaction {first} is missing" if first == last else f"transactions {first} to {last} are missing"
