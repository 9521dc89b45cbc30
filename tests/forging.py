"""What somebody does who can write a yard's folder, and has none of its keys."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from modelyard.storage.collections.models import MODELS
from modelyard.storage.documents.database import Database
from modelyard.storage.protocols import stored


class Payload:
    """What runs code as soon as it is unpickled: it leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self._trace,)


def payload(trace: Path) -> bytes:
    """Return the content of an artifact that leaves a trace when it is unpickled."""
    return pickle.dumps(Payload(trace))


def document_of(root: Path, model_id: str) -> dict[str, Any]:
    """Return a model's document."""
    with closing(Database(root / "db.jsonl", make=False)) as database, database.reading():
        document: dict[str, Any] = orjson.loads(database.raw(MODELS, model_id) or b"")
    return document


def put_document(root: Path, model_id: str, document: dict[str, Any]) -> None:
    """Write a model's document, with right checksums, in a line of the database."""
    with closing(Database(root / "db.jsonl", make=False)) as database, database.transaction() as transaction:
        transaction.put(MODELS, model_id, document)


def put_artifact(root: Path, document: dict[str, Any], content: bytes) -> None:
    """Write an artifact, and let a document say that it is the right one."""
    model_id = document["metadata"]["model_id"]
    folder = root / "artifacts" / model_id
    folder.mkdir(exist_ok=True)
    (folder / "model.pkl").write_bytes(content)
    what = stored(content)
    document["files"]["model.pkl"] = {"sha256": what.sha256, "bytes": what.bytes}
    document["metadata"]["artifact"] |= document["files"]["model.pkl"]
