"""Files of the caller's: those that a command writes, whole or not at all, and standard input as one to read."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.errors import InvalidRequest

OUTPUT_FORMATS = (".csv", ".json", ".parquet")


@contextmanager
def table_file(file: Path) -> Iterator[Path]:
    """Yield the file to read a table from; for `-` one that holds standard input while the context lasts."""
    if str(file) != "-":
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
        path = Path(folder) / "standard input"
        with path.open("wb") as kept:
            shutil.copyfileobj(sys.stdin.buffer, kept)
        yield path


def check_output(output: str | None, *, as_json: bool) -> None:
    """Refuse an `--output` that could not be written, before any work is done. Raises InvalidRequest."""
    if output is None:
        return
    if output == "-":
        if as_json:
            raise InvalidRequest("--json and --output - both want standard output; choose one")
        return
    path = Path(output)
    if path.suffix.lower() not in OUTPUT_FORMATS:
        raise InvalidRequest(f"--output {output!r} must end in {', '.join(OUTPUT_FORMATS)}, or be -")
    if not path.parent.is_dir():
        raise InvalidRequest(f"--output {output!r}: there is no folder '{path.parent}'")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside it, then rename: whoever reads never sees a half of it.

    What is no regular file (a pipe, `/dev/stdout`) is written as it is. Raises InvalidRequest if it cannot be
    written.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_bytes(content)
            return
        _replace(path.resolve(), content)
    except OSError as error:
        raise InvalidRequest(f"'{path}' cannot be written: {error.strerror}") from None


def _replace(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
