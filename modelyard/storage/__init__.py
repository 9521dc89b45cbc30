"""Where models, jobs and what happened to them are kept.

`documents/` is a transactional database of JSON documents, `artifacts/` keeps the files of models, `series/` entries by
time; `postgres/` does the first and the last on a server. `collections/` alone knows the shapes of the documents, and
knows the engines below by their `protocols`. `opening` puts everything together on engines: those of one `folder`, or
`servers`. `upkeep/` looks a folder through, mends it, clears it and copies it.
"""

from modelyard.storage.artifacts.environment import check_environment, current_environment
from modelyard.storage.artifacts.model_files import (
    CALIBRATION_FILE,
    CONTRACT_FILE,
    DRIFT_FILE,
    ESTIMATOR_FILE,
    REPORT_FILE,
    ROWS_FILE,
    VALIDATION_FILE,
    read_made,
    write_model_files,
)
from modelyard.storage.collections.aliases import AliasCollection, Proposal
from modelyard.storage.collections.answers import NONE_KEPT, AnswerCollection, KeptAnswers, KeptOutcomes
from modelyard.storage.collections.audit import AuditCollection
from modelyard.storage.collections.drift import DriftCollection
from modelyard.storage.collections.evaluations import EvaluationCollection
from modelyard.storage.collections.job_index import JobEntry
from modelyard.storage.collections.jobs import JobCollection, JobRecord
from modelyard.storage.collections.keys import KeyCollection
from modelyard.storage.collections.model_index import Serving
from modelyard.storage.collections.model_store import ModelStore
from modelyard.storage.collections.models import ModelRecord
from modelyard.storage.collections.resolving import check_name_visible
from modelyard.storage.collections.tracked_runs import Pending, Told, TrackedRun, TrackedRuns
from modelyard.storage.folder import Folder, open_folder
from modelyard.storage.notes import Notes
from modelyard.storage.opening import Storage, open_storage
from modelyard.storage.protocols import Locks, StoredFile, Transaction
from modelyard.storage.spools import KeptSpools

__all__ = [
    "CALIBRATION_FILE",
    "CONTRACT_FILE",
    "DRIFT_FILE",
    "ESTIMATOR_FILE",
    "NONE_KEPT",
    "REPORT_FILE",
    "ROWS_FILE",
    "VALIDATION_FILE",
    "AliasCollection",
    "AnswerCollection",
    "AuditCollection",
    "DriftCollection",
    "EvaluationCollection",
    "Folder",
    "JobCollection",
    "JobEntry",
    "JobRecord",
    "KeptAnswers",
    "KeptOutcomes",
    "KeptSpools",
    "KeyCollection",
    "Locks",
    "ModelRecord",
    "ModelStore",
    "Notes",
    "Pending",
    "Proposal",
    "Serving",
    "Storage",
    "StoredFile",
    "Told",
    "TrackedRun",
    "TrackedRuns",
    "Transaction",
    "check_environment",
    "check_name_visible",
    "current_environment",
    "open_folder",
    "open_storage",
    "read_made",
    "write_model_files",
]
