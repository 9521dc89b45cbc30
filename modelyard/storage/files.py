"""Durable steps on files, and the system's refusals in the core's words. Does not know the files' contents."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from modelyard.errors import Unavailable


@contextmanager
def unavailable(doing: str) -> Iterator[None]:
    """Turn what the system refuses within the block into Unavailable: `doing`, and the system's reason."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"cannot {doing}: {error.strerror or error}") from error


def write_all(file: int, content: bytes | bytearray, offset: int) -> None:
    """Write all of `content` at `offset`; a disk that is nearly full takes a part and refuses the rest."""
    rest = memoryview(content)
    while rest:
        written = os.pwrite(file, rest, offset)
        rest, offset = rest[written:], offset + written


def write_new_file(path: Path, content: bytes | bytearray) -> None:
    """Write a file that does not exist yet, down to the disk."""
    write_new_files(path.parent, {path.name: content})


def write_new_files(folder: Path, contents: Mapping[str, bytes | bytearray]) -> None:
    """Write files that do not exist yet, down to the disk.

    All are written before the first is waited for: the system then brings down with it much of what the others need.
    """
    with ExitStack() as opened:
        files = []
        for name, content in contents.items():
            file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            opened.callback(os.close, file)
            write_all(file, content, 0)
            files.append(file)
        for file in files:
            os.fsync(file)


def replace_file(path: Path, content: bytes) -> None:
    """Put a file in the place of another one, down to the disk: it is the old one or the new one at any moment."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    write_new_file(temporary, content)
    temporary.replace(path)
    sync_folder(path.parent)


def sync_files(folder: Path, names: Iterable[str]) -> None:
    """Bring files that were written into a folder, and their names, down to the disk."""
    for name in names:
        file = os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)
    sync_folder(folder)


def sync_folder(path: Path) -> None:
    """Bring a folder's entries (names made, renamed, removed) down to the disk."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def exists(path: Path) -> bool:
    """Whether a file is there. Raises Unavailable if that cannot be told."""
    with unavailable(f"read {path}"):
        return path.exists()


def age_s(path: Path) -> float:
    """Return the seconds since a file was last written to; 0 if it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def make_folder(path: Path, *, inside: Path | None = None) -> None:
    """Make a folder, and those above it, if they are missing.

    `inside` is one of them that must be there. Raises FileNotFoundError if it has vanished, with its disk for example.
    """
    if path.is_dir():
        return
    if path == inside:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    make_folder(path.parent, inside=inside)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)
