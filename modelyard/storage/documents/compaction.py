"""Write a whole `db.jsonl` at once: a new one, or one without superseded documents."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from modelyard.storage.documents.log_format import HEADER_BYTES, Header, encode_entry, encode_header
from modelyard.storage.files import sync_folder, write_all
from modelyard.storage.protocols import Collections

_LINE_BYTES = 1 << 15
_OVERHEAD_BYTES = len('["",""],')


def size_of(collection: str, key: str, raw: bytes) -> int:
    """Return what a document takes in a compacted file, in bytes (of ASCII ids)."""
    return len(raw) + len(collection) + len(key) + _OVERHEAD_BYTES


def write(path: Path, collections: Collections, seq: int = 0, *, previous: str | None = None) -> None:
    """Put a file of a new generation with these documents in the place of `path`, whole or not at all.

    It goes on from transaction `seq`; what it holds is what generation `previous` held there, if one is given. The
    caller holds the writers' lock. Raises OSError.
    """
    header = Header(secrets.token_hex(16), seq, previous=previous)
    temporary = path.with_suffix(".new")
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        try:
            _write_lines(file, collections, header)
            os.fsync(file)
        finally:
            os.close(file)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _write_lines(file: int, collections: Collections, header: Header) -> None:
    offset, lines = HEADER_BYTES, 0
    for documents in _portions(collections):
        lines += 1
        line = encode_entry(header.seq + lines, documents, (), header.generation) + b"\n"
        write_all(file, line, offset)
        offset += len(line)
    write_all(file, encode_header(replace(header, snapshot_lines=lines, snapshot_bytes=offset - HEADER_BYTES)), 0)


def _portions(collections: Collections) -> Iterator[list[tuple[str, str, bytes]]]:
    portion: list[tuple[str, str, bytes]] = []
    size = 0
    for collection, documents in collections.items():
        for key, raw in documents.items():
            portion.append((collection, key, raw))
            size += len(raw)
            if size > _LINE_BYTES:
                yield portion
                portion, size = [], 0
    if portion:
        yield portion
