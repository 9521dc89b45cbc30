"""Read `db.jsonl` forward from an offset: committed, torn and damaged lines. Writes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from modelyard.errors import DataLoss
from modelyard.storage.documents.log_format import HEADER_BYTES, Entry, Header, decode_entry, decode_header
from modelyard.storage.line_file import Identity
from modelyard.storage.sealing import is_sealed, sealed_beginning

_CHUNK_BYTES = 1 << 17
"""As fast as a larger one; what is read at a time leaves gaps of about its size in memory."""


class LogReader:
    """One open database file and how far it has been read. Not safe for threads: its owner's lock guards it.

    `offset` is the end of what was read, `seq` the last transaction there. `open_line_bytes` is the size of the last
    line if that line is read but still without its newline, else 0.
    """

    __slots__ = ("_file", "_key", "_line", "header", "identity", "offset", "open_line_bytes", "path", "seq")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            status = os.fstat(self._file)
            self.identity: Identity = (status.st_dev, status.st_ino)
            self.header: Header = self._read_header()
        except BaseException:
            os.close(self._file)
            raise
        self._key = self.header.generation.encode()
        self.offset = HEADER_BYTES
        self.seq = self.header.seq
        self.open_line_bytes = 0
        self._line = 1

    def entries(self, is_settled: Callable[[], bool]) -> Iterator[Entry]:
        """Yield the transactions from `offset` to the last committed one, moving `offset` on before each.

        A whole line without its newline is one whose writer is at work on it or was cut short behind it: it counts
        if `is_settled()`, that is if no writer is left who might take it back. Raises DataLoss naming the line.
        """
        rest = b""
        position = self.offset
        end = os.fstat(self._file).st_size
        while position < end:
            size = min(max(_CHUNK_BYTES, len(rest)), end - position)
            if not (chunk := os.pread(self._file, size, position)):
                break
            position += len(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if self.open_line_bytes and not line:
                    self.offset += 1
                    self.open_line_bytes = 0
                    continue
                yield self._committed(line, newline=1)
        if rest and (line := self._without_newline(rest)) and is_settled():
            yield self._committed(line, newline=0)
        if self.seq < self.header.seq + self.header.snapshot_lines:
            raise DataLoss(f"{self.path} line {self._line + 1}: the file was cut short there")

    def skip_snapshot(self) -> None:
        """Go to the end of the snapshot without reading it. Its caller holds the state that it repeats."""
        self.offset = HEADER_BYTES + self.header.snapshot_bytes
        self.seq += self.header.snapshot_lines
        self._line += self.header.snapshot_lines

    def open_line(self) -> bytes:
        """Return the last line if it still lacks its newline, else nothing."""
        return os.pread(self._file, self.open_line_bytes, self.offset - self.open_line_bytes)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _read_header(self) -> Header:
        line, newline, _ = os.pread(self._file, 16 * HEADER_BYTES, 0).partition(b"\n")
        if not newline:
            raise DataLoss(f"{self.path} line 1: the header is missing or cut short")
        header = decode_header(line, str(self.path))
        if len(line) + 1 != HEADER_BYTES:
            raise DataLoss(f"{self.path} line 1: the header has {len(line) + 1} bytes, not {HEADER_BYTES}")
        return header

    def _committed(self, line: bytes, *, newline: int) -> Entry:
        if self.open_line_bytes:
            raise DataLoss(f"{self.path} line {self._line}: its end is damaged: no newline follows it")
        if newline and not is_sealed(line, self._key):
            raise DataLoss(f"{self._next_line()} is damaged: its checksum does not hold")
        entry = decode_entry(line, self._next_line)
        if entry.seq != self.seq + 1:
            raise DataLoss(f"{self._next_line()} is transaction {entry.seq} where {self.seq + 1} is due")
        self.seq = entry.seq
        self._line += 1
        self.offset += len(line) + newline
        self.open_line_bytes = 0 if newline else len(line)
        return entry

    def _next_line(self) -> str:
        return f"{self.path} line {self._line + 1}"

    def _without_newline(self, rest: bytes) -> bytes:
        """Return the whole line, if there is one, of the end of the file, which has no newline.

        A zero where its newline should be is one that a power cut lost, from under the next line's torn beginning.
        """
        whole = b"" if self.open_line_bytes else sealed_beginning(rest, self._key)
        behind = rest[len(whole) : len(whole) + 1]
        if (whole or self.open_line_bytes) and behind not in (b"", b"\0"):
            line = self._line + (0 if self.open_line_bytes else 1)
            raise DataLoss(f"{self.path} line {line}: its end is damaged: no newline follows it")
        return whole
