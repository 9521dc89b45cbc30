"""Opening a yard: a folder becomes one only if that is asked for, so that a mistyped path makes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelyard.errors import DataLoss, NoYard
from modelyard.schemas import is_model_id
from modelyard.storage.database import Database
from modelyard.storage.files import exists, unavailable
from modelyard.storage.follower import Observer


def require_yard(root: Path) -> None:
    """Raise NoYard unless a folder holds a database or models. Makes nothing.

    Models whose database is lost count: `doctor` is there for them. Raises Unavailable if the folder cannot be read.
    """
    if not _holds_models(root) and not exists(root / "db.jsonl"):
        raise _no_yard(root)


def open_database(
    root: Path, *, make: bool, lock_timeout_s: float = 10.0, observers: Sequence[Observer] = ()
) -> Database:
    """Open a yard's database; with `make` the folder and the database are made if they are missing.

    Raises NoYard if there is none and none is to be made, DataLoss if models have lost theirs, and as `Database` does.
    """
    path = root / "db.jsonl"
    # In this order: if there are models, the database that named them was there before them.
    if _holds_models(root) and not exists(path):
        raise DataLoss(
            f"{path} is gone, but models are in {root / 'artifacts'}: restore it from a backup, "
            "or bring back the models by `modelyard doctor --repair`"
        )
    if not make and not exists(path):
        raise _no_yard(root)
    return Database(path, make=make, lock_timeout_s=lock_timeout_s, observers=observers)


def _holds_models(root: Path) -> bool:
    """Whether a model's folder stands in `artifacts/`. Somebody else's files under that name are none."""
    with unavailable(f"read {root / 'artifacts'}"):
        try:
            return any(is_model_id(entry.name) for entry in (root / "artifacts").iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return False


def _no_yard(root: Path) -> NoYard:
    problem = "the folder holds none" if root.is_dir() else "it is no folder" if root.exists() else "it does not exist"
    return NoYard(
        f"there is no yard at {root.absolute()}: {problem}; give a yard's folder by --storage or "
        "MODELYARD_STORAGE_DIR, or make one there with `modelyard train`, `modelyard up` or `modelyard backup load`"
    )
