"""Models to be stored, for the tests of the storage; and other processes that use the same folder."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modelyard.schemas import ModelDescription
from modelyard.storage import (
    AuditCollection,
    ModelRecord,
    ModelStore,
    current_environment,
    open_folder,
    write_model_files,
)
from modelyard.storage.artifacts.folder import ArtifactFolder
from modelyard.storage.documents.database import Database
from modelyard.storage.protocols import Artifacts, Documents
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parent.parent
LIBRARIES = ("scikit-learn",)


@dataclass(frozen=True, kw_only=True)
class NewModel:
    """A model to be stored: its description and the contents of its files."""

    description: ModelDescription
    estimator: Any
    report: bytes
    contract: bytes
    name: str | None = None


def new_model(**changed: Any) -> NewModel:
    """Return a model to be stored, with what shall differ."""
    described = {name: changed.pop(name) for name in list(changed) if name in ModelDescription.model_fields}
    description = ModelDescription(
        model_class_key="logistic_regression",
        hyperparams={"C": 1.0},
        metrics={"train_accuracy": 0.9},
        feature_names=["age", "sex"],
        feature_types={"age": "numeric", "sex": "categorical"},
        classes=["no", "yes"],
        n_rows=10,
        created_at=datetime.now(UTC),
        training_seconds=0.1,
        environment=current_environment(LIBRARIES),
    ).model_copy(update=described)
    files = {"estimator": {"weights": [1.0, 2.0]}, "report": b'{"metrics":{}}', "contract": b'{"classes":["no","yes"]}'}
    return NewModel(description=description, **(files | changed))


def add_model(store: ModelStore, new: NewModel) -> ModelRecord:
    """Store a model whose files are written into the folder of jobs, as a run's are."""
    artifacts = artifacts_of(store)  # what is adopted has to be on their file system
    root = artifacts.path.parent if isinstance(artifacts, ArtifactFolder) else Path(tempfile.gettempdir())
    folder = root / "jobs" / secrets.token_hex(4)
    try:
        folder.parent.mkdir(exist_ok=True)
        files = write_model_files(folder, new.estimator, new.report, new.contract)
        return store.publish(new.description, folder, files, name=new.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def open_store(root: Path, **options: Any) -> ModelStore:
    """Open the models of a folder; `options` are those of `open_folder`."""
    return open_folder(root, **options).models


def database_of(store: ModelStore) -> Database:
    """Return the database under a store, for documents of others in it."""
    database = store._documents
    assert isinstance(database, Database)
    return database


def documents_of(store: ModelStore) -> Documents:
    """Return the documents under a store."""
    return store._documents


def artifacts_of(store: ModelStore) -> Artifacts:
    """Return the artifacts under a store."""
    return store._artifacts


def audit_of(store: ModelStore) -> AuditCollection:
    """Return the audit of a store."""
    return store._audit


def ids(database: Documents, collection: str) -> list[str]:
    """Return the ids of a collection's documents, in the order in which they were first put."""
    with database.reading():
        return [key for key, _ in database.documents(collection)]


def root_of(store: ModelStore) -> Path:
    """Return the folder of a store."""
    return database_of(store)._path.parent


def start_process(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Run Python code in a process of its own; `arguments` are its `sys.argv[1:]`."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a process to end well and return what it printed."""
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    return output
