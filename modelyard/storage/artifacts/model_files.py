"""The files of a model: their names, and how a run writes them for the store to take over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from modelyard.errors import DataLoss
from modelyard.storage.artifacts.estimators import pickled
from modelyard.storage.files import sync_folder, unavailable, write_new_files
from modelyard.storage.protocols import StoredFile, stored

ESTIMATOR_FILE = "model.pkl"
REPORT_FILE = "report.json"
CONTRACT_FILE = "contract.json"
CALIBRATION_FILE = "calibration.json"
"""The curves by which the probabilities are calibrated; only a model whose training asked for it has it."""

VALIDATION_FILE = "validation.parquet"
"""The predictions of the rows that were held out; only a model that was validated has it."""

DRIFT_FILE = "drift.json"
"""The counts of the training table, to compare with what is predicted for; models of earlier releases have none."""

ROWS_FILE = "training_rows.bin"
"""A hash of each training row, by which rows are known again; models of releases before it have none."""

DESCRIPTION_FILE = "model.json"
"""What the model's document says but its version, with a checksum of its own, in case the document is lost."""


def write_model_files(
    folder: Path, estimator: Any, report: bytes, contract: bytes, more: Mapping[str, bytes] = MappingProxyType({})
) -> dict[str, StoredFile]:
    """Write a model's files down to the disk, into a folder that is made for them. Raises Unavailable.

    `more` are files that not every model has, by name. `ModelStore.publish` takes the folder over if it is on the
    store's file system.
    """
    contents = {ESTIMATOR_FILE: pickled(estimator), REPORT_FILE: report, CONTRACT_FILE: contract, **more}
    with unavailable(f"write {folder}"):
        folder.mkdir()
        write_new_files(folder, contents)
        sync_folder(folder)
    return {name: stored(content) for name, content in contents.items()}


def read_made(folder: Path, name: str, files: Mapping[str, StoredFile]) -> bytes:
    """Return one of the files that `write_model_files` wrote. Raises Unavailable, DataLoss if it is another by now."""
    with unavailable(f"read {folder / name}"):
        content = (folder / name).read_bytes()
    if stored(content) != files[name]:
        raise DataLoss(f"{folder / name} is not what the run wrote")
    return content
