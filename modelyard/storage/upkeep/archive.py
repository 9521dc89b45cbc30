"""A yard in one file: a tar of a folder, from which it is packed and into which it is unpacked.

It is compressed if its name ends in `gz`. First stands what it is, then the artifacts and the series, last a database
that names exactly these artifacts.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import secrets
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import orjson

import modelyard
from modelyard.access.signing import SigningKeys
from modelyard.errors import AlreadyExists, DataLoss, FailedPrecondition, InvalidRequest
from modelyard.storage.files import sync_folder, unavailable
from modelyard.storage.folder import Folder
from modelyard.storage.upkeep import doctor

FORMAT = 3
"""Format 1 had no series, format 2 no files of series that were written without waiting for the disk."""

_ABOUT = "modelyard-backup.json"
_FILE = re.compile(
    r"artifacts/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/[a-z0-9_]+\.[a-z0-9]+"
    r"|series/[a-z][a-z0-9_-]*/[0-9a-f-]+(?:\.loose)?\.jsonl|db\.jsonl"
)


def is_archive(place: str) -> bool:
    """Whether a place is written as an archive is."""
    return place.endswith((".tar", ".tar.gz", ".tgz"))


@contextmanager
def packed(file: Path) -> Iterator[Folder]:
    """Yield a folder for a yard, which becomes the archive `file` if the block is left without an error.

    Raises AlreadyExists if the file is there, Unavailable.
    """
    if file.exists():
        raise AlreadyExists(f"{file} exists; write the backup to another file")
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    with unavailable(f"write {file}"):
        temporary.touch()
    try:
        with _temporary(file) as folder:
            yield folder
            with unavailable(f"write {file}"):
                _pack(folder.root, temporary, compress=file.name.endswith("gz"))
                temporary.replace(file)
                sync_folder(file.absolute().parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def unpacked(file: Path, signing: SigningKeys | None = None) -> Iterator[Folder]:
    """Yield a folder that holds what an archive does, after verifying everything.

    Raises InvalidRequest for what is no archive, FailedPrecondition if a newer release wrote it, DataLoss if it is
    damaged, Unavailable.
    """
    if not file.is_file():
        raise InvalidRequest(f"{file} is not a file; give the archive that `backup create` wrote")
    with _temporary(file) as folder:
        with unavailable(f"unpack {file}"):
            _unpack(file, folder.root)
        for found in doctor.examine(folder, signing=signing).findings:
            if found.kind != "signature" and not found.harmless:
                raise DataLoss(f"{file} is damaged: {found.what} {found.problem}")
        yield folder


@contextmanager
def _temporary(file: Path) -> Iterator[Folder]:
    """Yield a folder that stands for an archive, and is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="modelyard-") as root:
        yield Folder(Path(root), name=str(file.absolute()), durable=False)


def _pack(root: Path, path: Path, *, compress: bool) -> None:
    about = {"backup": FORMAT, "version": modelyard.__version__, "created_at": datetime.now(UTC)}
    files = [path for part in ("artifacts", "series") for path in sorted(root.glob(f"{part}/*/*"))]
    with path.open("wb") as raw:
        with tarfile.open(fileobj=raw, mode="w:gz" if compress else "w") as archive:
            _add(archive, _ABOUT, orjson.dumps(about))
            for one in (*files, root / "db.jsonl"):
                _add(archive, str(one.relative_to(root)), one.read_bytes())
        raw.flush()
        os.fsync(raw.fileno())


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = 0o644
    archive.addfile(member, io.BytesIO(content))


def _unpack(file: Path, root: Path) -> None:
    """Write what an archive holds below a folder."""
    with _opened(file) as archive:
        about = archive.next()
        if about is None or about.name != _ABOUT:
            raise InvalidRequest(f"{file} is not a backup of a modelyard")
        _check_format(file, _content(archive, about))
        while (member := archive.next()) is not None:
            if not member.isreg() or not _FILE.fullmatch(member.name):
                raise DataLoss(f"{file} holds {member.name[:100]!r}, which no backup does")
            path = root / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_content(archive, member))
        if not (root / "db.jsonl").exists():
            raise DataLoss(f"{file} is damaged: it ends before the database")


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    try:
        archive = tarfile.open(file, "r:*")  # noqa: SIM115 - closed below
    except tarfile.ReadError:  # its words tell of every compression that was tried
        raise DataLoss(f"{file} is no backup of a modelyard, or damaged: it cannot be read as a tar archive") from None
    try:
        with archive:
            yield archive
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataLoss(f"{file} is damaged, or no backup of a modelyard: {error}") from error


def _check_format(file: Path, about: bytes) -> None:
    try:
        found = orjson.loads(about)["backup"]
    except (ValueError, TypeError, KeyError) as error:
        raise DataLoss(f"{file} is damaged: {error}") from error
    if found not in range(1, FORMAT + 1):
        raise FailedPrecondition(
            f"{file} has format {found}; this release reads formats up to {FORMAT}: use a newer one"
        )


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    source = archive.extractfile(member)
    return b"" if source is None else source.read()
