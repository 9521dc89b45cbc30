"""A yard's models as one archive and back: a copy that is taken while the yard serves, loaded where there is none."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from modelyard.access.signing import SigningKeys
from modelyard.storage.opening import Engines, whole_documents
from modelyard.storage.upkeep.archive import packed, unpacked
from modelyard.storage.upkeep.copying import copy


@dataclass(frozen=True, slots=True)
class Backup:
    """What an archive holds."""

    file: Path
    models: int
    bytes: int


def create(engines: Engines, file: Path) -> Backup:
    """Write a yard's models, as they are at one moment, to a new file; servers go on meanwhile.

    A model that is deleted for good while the archive is written is left out. Raises AlreadyExists if the file is
    there, DataLoss if anything is damaged (repair it first), NoYard, Unavailable.
    """
    with closing(whole_documents(engines)) as documents, packed(file) as folder:
        copied = copy(engines, documents, folder)
    return Backup(file, copied.models, file.stat().st_size)


def load(file: Path, engines: Engines, signing: SigningKeys | None = None) -> Backup:
    """Load an archive into a yard's place, where there is none; killed in between, it goes on when called again.

    `signing` are the keys by which the audit in it is verified, if they are known. Raises FailedPrecondition if
    something is there or a newer release wrote the archive, DataLoss if that is damaged, Unavailable.
    """
    with unpacked(file, signing) as folder, closing(whole_documents(folder)) as documents:
        copied = copy(folder, documents, engines)
    return Backup(file, copied.models, file.stat().st_size)
