"""A stream in a folder that all processes write in turn: `protocols.Ledger` on a file system.

Its files look like those of every stream, `<day>-<number of the first entry>.jsonl`. Nobody needs to read them in order
to go on with them: the end that counts is known from the documents. So whatever a crash or a failed commit has left
behind that end is cut off by the next writer, and left out by readers until then. Only what one transaction may have
left is cut off: more than that was committed once and is kept, because the database has lost it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from modelyard.errors import DataLoss
from modelyard.storage.files import make_folder, sync_folder, unavailable
from modelyard.storage.ledger import LedgerEnd
from modelyard.storage.line_file import LineFile
from modelyard.storage.protocols import Appended
from modelyard.storage.sealing import is_sealed
from modelyard.storage.series.stream_file import day_of, decode_line, encode_line, key_of, names_of, read_lines
from modelyard.storage.series.writer import MAX_FILE_BYTES, write_files

_PORTION_BYTES = 1 << 16


class LedgerFolder:
    """A ledger in the folder `path`, made with the first entry below the folder `inside`, which must be there."""

    def __init__(self, path: Path, inside: Path) -> None:
        self._path = path
        self._inside = inside

    def append(
        self, end: LedgerEnd | None, number: int, at: datetime, entries: Sequence[Mapping[str, Any]]
    ) -> LedgerEnd:
        with unavailable(f"write {self._path}"):
            last = None if end is None else self._last_file(end)
            if end is None or last is None:
                return self._append_to_new(end, number, at, entries)
            with last:
                if _day(end.file) != at.date() or end.bytes >= MAX_FILE_BYTES:
                    last.end_at(end.bytes - 1)  # nobody comes back to bring its last newline down
                    return self._append_to_new(end, number, at, entries)
                line = encode_line(last.path, end.lines + 1, at, entries)
                last.append(line, end.bytes)
                return LedgerEnd(end.file, end.lines + 1, end.bytes + len(line) + 1)

    def take(self, appended: Iterable[Appended]) -> LedgerEnd | None:
        with unavailable(f"write {self._path}"):
            for name in names_of(self._path):
                (self._path / name).unlink()
            return write_files(
                self._path, self._inside, appended, lambda day, first: _name(day, int(first[0]["number"]))
            )

    def forwards(self) -> Iterator[Sequence[dict[str, Any]] | DataLoss]:
        with unavailable(f"read {self._path}"):
            for name in names_of(self._path):
                try:
                    for line in read_lines(self._path / name):
                        yield line.entries
                except DataLoss as damage:
                    yield damage

    def backwards(
        self, end: LedgerEnd, holding: Sequence[bytes] = ()
    ) -> Iterator[tuple[LedgerEnd, Sequence[dict[str, Any]]]]:
        with unavailable(f"read {self._path}"):
            for name in reversed(names_of(self._path)):
                if name > end.file:
                    continue
                path = self._path / name
                key = key_of(path)
                for line, behind in _lines_backwards(path, end.bytes if name == end.file else None):
                    if not all(piece in line for piece in holding):
                        yield LedgerEnd(name, 0, behind), ()
                        continue
                    if not is_sealed(line, key):
                        raise DataLoss(
                            f"{path} is damaged before byte {behind}: a checksum does not hold; see `modelyard doctor`"
                        )
                    yield LedgerEnd(name, 0, behind), decode_line(line, str(path), None).entries

    def last(self) -> LedgerEnd | None:
        with unavailable(f"read {self._path}"):
            names = names_of(self._path)
            # Beyond the file's size, so that a writer leaves the file as it is and begins another one.
            return LedgerEnd(names[-1], 0, (self._path / names[-1]).stat().st_size + 2) if names else None

    def first_since(self, day: date) -> int | None:
        with unavailable(f"read {self._path}"):
            names = names_of(self._path)
        kept = [name for name in names if _day(name) >= day]
        return _number(kept[0]) if kept and kept[0] != names[0] else None

    def drop(self, before: int) -> None:
        with unavailable(f"remove files of {self._path}"):
            dropped = [name for name in names_of(self._path) if _number(name) < before]
            for name in dropped:
                (self._path / name).unlink(missing_ok=True)
            if dropped:
                sync_folder(self._path)

    def _last_file(self, end: LedgerEnd) -> LineFile | None:
        """Open the file with the end, without what stands behind that.

        None if it is not as it was left: it has lost its end, or more was appended than a commit that failed.
        """
        try:
            file = LineFile(self._path / end.file)
        except FileNotFoundError:
            return None
        try:
            behind = file.behind(end.bytes - 1)
            if file.size() >= end.bytes - 1 and behind[:1] in (b"\n", b"\0", b"") and behind.count(b"\n") <= 2:
                if behind != b"\n":
                    file.end_at(end.bytes - 1)
                return file
        except BaseException:
            file.close()
            raise
        file.close()
        return None

    def _append_to_new(
        self, end: LedgerEnd | None, number: int, at: datetime, entries: Sequence[Mapping[str, Any]]
    ) -> LedgerEnd:
        make_folder(self._path, inside=self._inside)
        for name in names_of(self._path):
            if end is None or name > end.file:  # made for a transaction that was not committed, or is lost
                (self._path / name).rename(self._path / f"{name}.lost")
        path = self._path / _name(at.date(), number)
        with LineFile(path, make=True) as file:
            sync_folder(self._path)
            line = encode_line(path, 1, at, entries)
            file.append(line, 0)
        return LedgerEnd(path.name, 1, len(line) + 1)


def _lines_backwards(path: Path, end: int | None) -> Iterator[tuple[bytes, int]]:
    """Yield the lines of a file, the last first, each with the offset behind its newline. A file that is gone has none.

    `end` is where the last one ends that counts (None: at the end of the file). If it is within a line, as in a
    file that was mended, that line is left out.
    """
    try:
        opened = path.open("rb")
    except FileNotFoundError:
        return
    with opened:
        file = opened.fileno()
        size = os.fstat(file).st_size
        position = size if end is None else min(end - 1, size)
        behind, rest = position + 1, b""
        skipped = os.pread(file, 1, position) not in (b"\n", b"\0", b"")
        while position > 0:
            start = max(0, position - max(_PORTION_BYTES, len(rest)))
            rest, *lines = (os.pread(file, position - start, start) + rest).split(b"\n")
            position = start
            for line in reversed(lines):
                if line and not skipped:
                    yield line, behind
                skipped = False
                behind -= len(line) + 1
        if rest and not skipped:
            yield rest, behind


def _name(day: date, number: int) -> str:
    return f"{day.isoformat()}-{number:016x}.jsonl"


def _day(name: str) -> date:
    day = day_of(name)
    assert day is not None
    return day


def _number(name: str) -> int:
    return int(name.removesuffix(".jsonl").rpartition("-")[2], 16)
