"""Where models are kept: a transactional JSON database and the artifacts that it names, in one folder."""

from modelyard.storage.artifacts import StoredFile
from modelyard.storage.database import Database, Transaction
from modelyard.storage.environment import check_environment, current_environment
from modelyard.storage.models import ModelStore, write_model_files
from modelyard.storage.records import (
    CONTRACT_FILE,
    ESTIMATOR_FILE,
    REPORT_FILE,
    ModelDescription,
    ModelRecord,
    NewModel,
)

__all__ = [
    "CONTRACT_FILE",
    "ESTIMATOR_FILE",
    "REPORT_FILE",
    "Database",
    "ModelDescription",
    "ModelRecord",
    "ModelStore",
    "NewModel",
    "StoredFile",
    "Transaction",
    "check_environment",
    "current_environment",
    "write_model_files",
]
