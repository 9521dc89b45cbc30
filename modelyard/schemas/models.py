"""What is said of a model, and what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from modelyard.schemas.base import Decimal, FeatureType, Frozen, Label, ModelWarning, Prediction, Status, Thousands
from modelyard.schemas.decisions import ResolvedDecision
from modelyard.schemas.requests import Evaluation


class Tracking(Frozen):
    """Whether the experiment tracker knows of a training, and where it shows it.

    `pending`: there is something that it has not been told yet. `failed`: it will never take it, for this `reason`.
    """

    status: Literal["off", "pending", "sent", "failed"] = "off"
    task_id: str | None = None
    url: str | None = None
    reason: str | None = None


class Artifact(Frozen):
    """The fitted estimator's file: its name in the model's folder, SHA-256 in hex, and size in bytes."""

    file: str
    sha256: str
    bytes: int


class Reading(Frozen):
    """How a model's caller said that tables are read; None for what is found out in each table.

    `names` are those that the columns of a training table without a header were given, in its order. `exclude` are the
    columns that were left out.
    """

    decimal: Decimal | None = None
    thousands: Thousands | None = None
    missing_markers: list[str]
    encoding: str | None = None
    delimiter: str | None = None
    skip_rows: int = 0
    header: bool = True
    names: list[str] | None = None
    sheet: str | None = None
    exclude: list[str] = []


class ModelIdentity(Frozen):
    """Which model: its id, and its number among the versions of a name."""

    model_id: str
    name: str
    version: int


class ModelDescription(Frozen):
    """What a training says of the model that it has made. Never changed.

    `task` is `classification` or `regression`, `classes` null for the latter. `feature_types` are in the order of
    the columns, `feature_names`. `metrics` is flat (`train_accuracy`, `validation_roc_auc`, …). `fingerprint` is a
    SHA-256 of the table, which two trainings share only if their tables are equal; `features_fingerprint` leaves
    the targets out. `created_at` is UTC; `training_seconds` is the wall time of evaluation and fit. `environment`
    has the versions of Python and of the libraries that the artifact needs. `reading` is null for models of
    releases before it.
    """

    parent_id: str | None = None
    model_class_key: str
    task: str = "classification"
    hyperparams: dict[str, Any]
    metrics: dict[str, float | None]
    feature_names: list[str]
    feature_types: dict[str, FeatureType]
    classes: list[Label] | None = None
    n_rows: int
    target: str | None = None
    fingerprint: str | None = None
    features_fingerprint: str | None = None
    tags: list[str] = []
    warnings: list[ModelWarning] = []
    evaluation: Evaluation = Evaluation()
    reading: Reading | None = None
    created_at: datetime
    training_seconds: float
    environment: dict[str, str]


class ModelMetadata(ModelDescription, ModelIdentity):
    """All that is known of a model but its report.

    Only `status`, `decision`, `updated_at` (UTC) and `tracking` ever change. `decision` is how the model's
    probabilities become answers; null: by the most probable class, or the model has none. `message` says in a sentence
    what the verb did; it is not stored.
    """

    status: Status = "active"
    decision: ResolvedDecision | None = None
    tracking: Tracking = Tracking()
    updated_at: datetime
    artifact: Artifact
    message: str = ""


class ModelPage(Frozen):
    """One page of models, newest first; `next_cursor` is null on the last one."""

    models: list[ModelMetadata]
    next_cursor: str | None = None


EventVerb = Literal["train", "retrain", "decision", "delete", "restore", "gc", "repair"]


class ModelEvent(Frozen):
    """One thing that happened to a model: by which verb, when (UTC), and the status that it left the model in.

    `gone`: deleted for good. `gc` deletes for good what was deleted long ago; `repair` is what `doctor` did.
    `decision` is the one that was set.
    """

    verb: EventVerb
    at: datetime
    status: Literal["active", "deleted", "gone"]
    decision: ResolvedDecision | None = Field(None, exclude_if=lambda value: value is None)


class ModelHistory(ModelIdentity):
    """What happened to a model, the first thing first."""

    parent_id: str | None = None
    events: list[ModelEvent]


class ModelClassInfo(Frozen):
    """A model class as people and programs choose it; `hyperparams` is a JSON Schema (an object with properties).

    `task` is what it predicts: `classification` (labels) or `regression` (numbers).
    """

    key: str
    title: str
    description: str
    import_path: str
    task: str = "classification"
    hyperparams: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a model says of n rows: n labels and, if asked for, n lists of one probability a class of `classes`.

    `decision` is the one that the labels obey. For regression there are n numbers; `classes`, `probabilities` and
    `decision` are null.
    """

    model_id: str
    predictions: list[Prediction]
    classes: list[bool | int | str] | None
    probabilities: list[list[float]] | None = None
    warnings: list[ModelWarning] = field(default_factory=list)
    decision: ResolvedDecision | None = None
