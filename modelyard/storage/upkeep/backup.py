"""A folder's models as one archive and back: taken while the yard serves, loaded into an empty folder.

The archive is a tar (compressed if its name ends in `.gz`): first what it is, then the artifacts and the series, last a
database that names exactly these artifacts. Both ways every file is verified.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import secrets
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

import modelyard
from modelyard.errors import AlreadyExists, DataLoss, FailedPrecondition, InvalidRequest, Unavailable
from modelyard.storage.artifacts.model_files import DESCRIPTION_FILE
from modelyard.storage.collections import audit, history
from modelyard.storage.collections.models import MODELS, model_record
from modelyard.storage.documents import compaction
from modelyard.storage.files import make_folder, sync_folder, unavailable, write_new_file
from modelyard.storage.folder import Folder
from modelyard.storage.protocols import ArtifactGone, Artifacts, Collections, Documents, LedgerEnd
from modelyard.storage.upkeep import doctor

FORMAT = 3
"""Format 1 had no series, format 2 no files of series that were written without waiting for the disk."""
_ABOUT = "modelyard-backup.json"
_FILE = re.compile(
    r"artifacts/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/[a-z0-9_]+\.[a-z0-9]+"
    r"|series/[a-z][a-z0-9_-]*/[0-9a-f-]+(?:\.loose)?\.jsonl|db\.jsonl"
)


@dataclass(frozen=True, slots=True)
class Backup:
    """What an archive holds."""

    file: Path
    models: int
    bytes: int


def create(root: Path, file: Path, *, lock_timeout_s: float = 10.0) -> Backup:
    """Write a folder's models, as they are at one moment, to a new file; servers go on meanwhile.

    A model that is deleted for good while the archive is written is left out. Raises AlreadyExists if the file is
    there, DataLoss if one of the models is damaged (repair it first), NoYard, Unavailable.
    """
    if file.exists():
        raise AlreadyExists(f"{file} exists; write the backup to another file")
    folder = Folder(root, lock_timeout_s)
    documents = folder.documents()
    with suppress(Unavailable):  # of a folder that is read-only, what was counted in the hour under way is left out
        folder.drift().settle()
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with unavailable(f"write {file}"):
            models = _write(temporary, documents, folder, compress=file.suffix == ".gz")
            temporary.replace(file)
            sync_folder(file.absolute().parent)
            return Backup(file, models, file.stat().st_size)
    finally:
        temporary.unlink(missing_ok=True)
        documents.close()


def load(file: Path, root: Path, *, lock_timeout_s: float = 10.0) -> Backup:
    """Load an archive into an empty folder, which is made if it is missing.

    Raises FailedPrecondition if the folder is not empty or a newer release wrote the archive, DataLoss if the
    archive is damaged, Unavailable.
    """
    if not file.is_file():
        raise InvalidRequest(f"{file} is not a file; give the archive that `backup create` wrote")
    with unavailable(f"make {root}"):
        make_folder(root)
    with Folder(root, lock_timeout_s).locked():
        there = sorted(path.name for path in root.iterdir() if path.suffix != ".lock")
        if there:
            raise FailedPrecondition(
                f"{root} is not empty (it holds {', '.join(there[:3])}): load a backup into a new one"
            )
        staged = root / f".loading-{secrets.token_hex(4)}"
        try:
            with unavailable(f"write {root}"):
                staged.mkdir()
                _extract(file, staged)
            models = _verified(file, staged)
            with unavailable(f"write {root}"):
                for part in ("artifacts", "series"):
                    (staged / part).rename(root / part)
                sync_folder(root)
                (staged / "db.jsonl").rename(root / "db.jsonl")  # last: with it the folder is a yard
                sync_folder(root)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return Backup(file, models, file.stat().st_size)


# Writing.


def _write(path: Path, documents: Documents, folder: Folder, *, compress: bool) -> int:
    collections, seq = documents.snapshot()
    artifacts = folder.artifacts()
    with path.open("xb") as raw:
        with tarfile.open(fileobj=raw, mode="w:gz" if compress else "w") as archive:
            about = {"backup": FORMAT, "version": modelyard.__version__, "created_at": datetime.now(UTC)}
            _add(archive, _ABOUT, orjson.dumps(about))
            for model_id in list(collections.get(MODELS, {})):
                try:
                    _add_model(archive, artifacts, model_id, collections[MODELS][model_id])
                except (ArtifactGone, DataLoss) as error:
                    _leave_out(documents, collections, model_id, error)
            _add_series(archive, folder, collections)
            _add(archive, "db.jsonl", _database_of(path, collections, seq))
        raw.flush()
        os.fsync(raw.fileno())
    return len(collections.get(MODELS, {}))


def _add_model(archive: tarfile.TarFile, artifacts: Artifacts, model_id: str, raw: bytes) -> None:
    record = model_record(model_id, raw)
    contents = {name: artifacts.read(model_id, name, expected) for name, expected in record.files.items()}
    contents[DESCRIPTION_FILE] = artifacts.read(model_id, DESCRIPTION_FILE, None)
    for name, content in contents.items():
        _add(archive, f"artifacts/{model_id}/{name}", content)


def _add_series(archive: tarfile.TarFile, folder: Folder, collections: Collections) -> None:
    """Add the series of what is backed up, the audit up to its end then: what is done meanwhile is no part of it."""
    series, audit_end = folder.series(), audit.end_in(collections)
    forgotten = set(doctor.forgotten_streams(series, collections))
    for file in series.files():
        if file.partition("/")[0] in forgotten:
            continue
        try:
            content = series.content(file)
        except DataLoss as error:
            raise DataLoss(f"the series cannot be backed up: {error.detail}; see `modelyard doctor`") from error
        stream, _, name = file.partition("/")
        if stream == audit.AUDIT:
            content = _up_to(audit_end, name, content)
        if content:
            _add(archive, f"series/{file}", content)


def _up_to(end: LedgerEnd | None, name: str, content: bytes) -> bytes:
    """Return how much of a ledger's file stands before the ledger's end."""
    if end is None or name > end.file:
        return b""
    return content[: end.bytes] if name == end.file else content


def _leave_out(documents: Documents, collections: Collections, model_id: str, error: ArtifactGone | DataLoss) -> None:
    """Let a model that was deleted for good meanwhile be deleted in the backup, too."""
    left = history.left_of(documents, model_id)
    if left is None:
        raise DataLoss(f"model {model_id} cannot be backed up: {error}; see `modelyard doctor`") from error
    del collections[MODELS][model_id]
    for name, found in left.items():
        collections.setdefault(name, {}).update(found)


def _database_of(path: Path, collections: Collections, seq: int) -> bytes:
    temporary = path.with_name(f"{path.name}.db")
    try:
        compaction.write(temporary, collections, seq)
        return temporary.read_bytes()
    finally:
        temporary.unlink(missing_ok=True)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = 0o644
    archive.addfile(member, io.BytesIO(content))


# Reading.


def _extract(file: Path, staged: Path) -> None:
    """Write what an archive holds below a folder, down to the disk."""
    for part in ("artifacts", "series"):
        (staged / part).mkdir()
    with _opened(file) as archive:
        about = archive.next()
        if about is None or about.name != _ABOUT:
            raise InvalidRequest(f"{file} is not a backup of a modelyard")
        _check_format(file, _content(archive, about))
        folders = {staged / "artifacts", staged / "series"}
        while (member := archive.next()) is not None:
            if not member.isreg() or not _FILE.fullmatch(member.name):
                raise DataLoss(f"{file} holds {member.name[:100]!r}, which no backup does")
            path = staged / member.name
            path.parent.mkdir(exist_ok=True)
            folders.add(path.parent)
            write_new_file(path, _content(archive, member))
    for folder in folders:
        sync_folder(folder)


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


def _verified(file: Path, staged: Path) -> int:
    """Return how many models were extracted. Raises DataLoss if anything is missing or damaged."""
    found = doctor.examine(staged)
    if found.findings:
        first = found.findings[0]
        raise DataLoss(f"{file} is damaged: {first.what} {first.problem}")
    return found.models
