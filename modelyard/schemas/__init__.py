"""What every door speaks: the requests of the verbs and the values they answer with.

All are frozen. They say what a field is; whether a table, a hyperparam or a reference makes sense is
decided further up, in `tables`, `models_registry` and `ml_core`.
"""

from modelyard.schemas.base import (
    ColumnRole,
    FeatureType,
    Frozen,
    JobStatus,
    Label,
    ModelWarning,
    Prediction,
    Request,
    Status,
    StatusFilter,
    TaskName,
)
from modelyard.schemas.health import Backlog, Health
from modelyard.schemas.hyperparams import from_texts, types_of
from modelyard.schemas.jobs import Job, JobError, JobPage, JobProgress, WrongPlace
from modelyard.schemas.metrics import headline, is_loss
from modelyard.schemas.models import (
    Artifact,
    EventVerb,
    ModelClassInfo,
    ModelDescription,
    ModelEvent,
    ModelHistory,
    ModelMetadata,
    ModelPage,
    Predictions,
    Reading,
    Tracking,
)
from modelyard.schemas.naming import (
    IDEMPOTENCY_KEY_PATTERN,
    MODEL_ID_PATTERN,
    NAME_PATTERN,
    check_idempotency_key,
    check_name,
    is_model_id,
    plain_key,
)
from modelyard.schemas.parsing import check_unicode, field_error, parse
from modelyard.schemas.reading import TableRequest
from modelyard.schemas.reports import ActualAndPredicted, ConfusionMatrix, Curve, Histogram, LearningCurve, Report
from modelyard.schemas.requests import (
    Evaluation,
    FeatureTypes,
    JobQuery,
    LabelsValue,
    ModelQuery,
    Name,
    PredictRequest,
    RetrainRequest,
    TableValue,
    Tag,
    TrainRequest,
)
from modelyard.schemas.targets import MOST_SINGLE_CLASSES, is_hopeless

__all__ = [
    "IDEMPOTENCY_KEY_PATTERN",
    "MODEL_ID_PATTERN",
    "MOST_SINGLE_CLASSES",
    "NAME_PATTERN",
    "ActualAndPredicted",
    "Artifact",
    "Backlog",
    "ColumnRole",
    "ConfusionMatrix",
    "Curve",
    "Evaluation",
    "EventVerb",
    "FeatureType",
    "FeatureTypes",
    "Frozen",
    "Health",
    "Histogram",
    "Job",
    "JobError",
    "JobPage",
    "JobProgress",
    "JobQuery",
    "JobStatus",
    "Label",
    "LabelsValue",
    "LearningCurve",
    "ModelClassInfo",
    "ModelDescription",
    "ModelEvent",
    "ModelHistory",
    "ModelMetadata",
    "ModelPage",
    "ModelQuery",
    "ModelWarning",
    "Name",
    "PredictRequest",
    "Prediction",
    "Predictions",
    "Reading",
    "Report",
    "Request",
    "RetrainRequest",
    "Status",
    "StatusFilter",
    "TableRequest",
    "TableValue",
    "Tag",
    "TaskName",
    "Tracking",
    "TrainRequest",
    "WrongPlace",
    "check_idempotency_key",
    "check_name",
    "check_unicode",
    "field_error",
    "from_texts",
    "headline",
    "is_hopeless",
    "is_loss",
    "is_model_id",
    "parse",
    "plain_key",
    "types_of",
]
