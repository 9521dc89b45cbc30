"""Streams in a folder, `series/<stream>/<day>-<random>.jsonl`: `Series` on a file system.

What the entries mean is not known here.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from modelyard.errors import DataLoss, Unavailable
from modelyard.storage.files import replace_file, sync_folder, unavailable
from modelyard.storage.line_file import LineFile
from modelyard.storage.protocols import Appended, SeriesEntry, check_stream, is_stream, now
from modelyard.storage.series.stream_file import (
    day_of,
    entries_of,
    is_loose,
    lost_lines,
    mended,
    names_of,
    new_name,
    read_lines,
)
from modelyard.storage.series.writer import StreamWriter, write_files

EntryT = TypeVar("EntryT")


class SeriesFolder:
    """`protocols.Series` in the folder `path`, made with the first entry; the folder it stands in must be there.

    Upkeep sees it by its files, each named `<stream>/<file>`.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime] = now) -> None:
        self._path = path
        self._clock = clock
        self._writers: dict[tuple[str, bool], StreamWriter] = {}

    def append(self, stream: str, entries: Sequence[Mapping[str, Any]], *, loose: bool = False) -> datetime:
        writer = self._writers.get((stream, loose))
        if writer is None:
            made = StreamWriter(self._folder(stream), self._path.parent, self._clock, loose=loose)
            writer = self._writers.setdefault((stream, loose), made)
        with unavailable(f"write {writer.folder}"):
            return writer.append(entries)

    def take(self, stream: str, appended: Iterable[Appended]) -> None:
        folder = self._folder(stream)
        with unavailable(f"write {folder}"):
            write_files(folder, self._path.parent, appended, lambda day, _: new_name(day))

    def scan(self, stream: str, since: datetime | None = None, until: datetime | None = None) -> Iterator[SeriesEntry]:
        return _entries(
            self._folder(stream),
            datetime.min.replace(tzinfo=UTC) if since is None else since.astimezone(UTC),
            datetime.max.replace(tzinfo=UTC) if until is None else until.astimezone(UTC),
        )

    def read(self, stream: str, kind: type[EntryT], since: datetime | None = None) -> Iterator[tuple[datetime, EntryT]]:
        folder = self._folder(stream)
        first = date.min if since is None else since.astimezone(UTC).date()
        with unavailable(f"read {folder}"):
            for name in names_of(folder):
                if (day := day_of(name)) is not None and day >= first:
                    for line in read_lines(folder / name, kind):
                        for entry in line.entries:
                            yield line.at, entry

    def streams(self) -> list[str]:
        with unavailable(f"read {self._path}"):
            return list(filter(is_stream, entries_of(self._path)))

    def drop(self, stream: str, before: datetime) -> None:
        with unavailable(f"remove files of {self._folder(stream)}"):
            for file in self.files_before(stream, before):
                _remove(self._path / file)

    def files_before(self, stream: str, before: datetime) -> list[str]:
        """Return the files that `drop` would remove."""
        folder, first = self._folder(stream), before.astimezone(UTC).date()
        with unavailable(f"read {folder}"):
            days = [(name, day_of(name)) for name in names_of(folder)]
            return [f"{stream}/{name}" for name, day in days if day is not None and day < first]

    def remove(self, stream: str) -> None:
        folder = self._folder(stream)
        self.drop(stream, datetime.max.replace(tzinfo=UTC))
        with suppress(OSError):  # one that is written to stays
            folder.rmdir()

    def files(self) -> list[str]:
        """Return the files of all streams."""
        streams = self.streams()
        with unavailable(f"read {self._path}"):
            return [f"{stream}/{name}" for stream in streams for name in names_of(self._path / stream)]

    def problems(self) -> Iterator[tuple[str, str, bool]]:
        for file in self.files():
            try:
                with unavailable(f"read {self._path / file}"):
                    deque(read_lines(self._path / file), maxlen=0)
                if lost := self._lost_lines(file):
                    yield file, f"{lost} of its lines are lost, as by a power cut; they do not count", False
            except DataLoss as error:
                yield file, error.detail.partition(f"{file} ")[2], True

    def mend(self, piece: str, aside: Callable[[bytes], None]) -> str:
        path = self._path / piece
        with self._held(piece), unavailable(f"write {path}"):
            content, damaged = mended(path)
            aside(path.read_bytes())
            replace_file(path, content)
        return f"written anew of its whole lines ({damaged} were damaged)"

    def is_empty(self, file: str) -> bool:
        """Whether not one entry stands in a file. Raises DataLoss if its beginning is damaged."""
        with unavailable(f"read {self._path / file}"):
            return next(read_lines(self._path / file), None) is None

    def _lost_lines(self, file: str) -> int:
        """Return how many lines are lost in a file that was written without waiting for the disk; 0 in others."""
        path = self._path / file
        with unavailable(f"read {path}"), suppress(FileNotFoundError):
            return lost_lines(path) if is_loose(path) else 0
        return 0

    @contextmanager
    def _held(self, file: str) -> Iterator[None]:
        """Keep a file's writer out within a `with` block. Raises Unavailable if it is at work, or the file is gone."""
        path = self._path / file
        with unavailable(f"lock {path}"), LineFile(path) as held:
            if not held.lock():
                raise Unavailable(f"{path} is being written to; try again")
            yield

    def remove_empty(self, file: str) -> None:
        """Remove a file in which no entry stands, unless it is being written to."""
        with unavailable(f"remove {self._path / file}"):
            _remove(self._path / file, unless=lambda: mended(self._path / file) != (b"", 0))

    def _folder(self, stream: str) -> Path:
        check_stream(stream)
        return self._path / stream


def _entries(folder: Path, since: datetime, until: datetime) -> Iterator[SeriesEntry]:
    with unavailable(f"read {folder}"):
        for day, names in groupby(names_of(folder), key=day_of):
            if day is None or not since.date() <= day <= until.date():
                continue
            for line in heapq.merge(*(read_lines(folder / name) for name in names), key=attrgetter("at")):
                if since <= line.at < until:
                    yield from (SeriesEntry(line.at, fields) for fields in line.entries)


def _remove(path: Path, unless: Callable[[], bool] = lambda: False) -> None:
    """Remove a file, unless its writer is at work on it or, once that is kept out, `unless` holds."""
    try:
        with LineFile(path) as file:
            if file.lock() and not unless():
                path.unlink()
                sync_folder(path.parent)
    except FileNotFoundError:
        return
