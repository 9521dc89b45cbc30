"""What every door speaks: the requests of the verbs and the values they answer with.

All are frozen. They say what a field is; whether a table, a hyperparam or a reference makes sense is
decided further up, in `tables`, `models_registry` and `ml_core`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    WithJsonSchema,
)

from modelyard.errors import (
    FieldError,
    InvalidHyperparams,
    InvalidRequest,
    InvalidTable,
    ModelClassNotFound,
    ModelyardError,
    error_class,
)

Label = StrictBool | StrictInt | StrictStr
FeatureType = Literal["numeric", "categorical"]
Status = Literal["active", "deleted"]
JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled", "interrupted"]
StatusFilter = Literal["active", "deleted", "all"]

MODEL_ID_PATTERN = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_MODEL_ID = re.compile(MODEL_ID_PATTERN, re.IGNORECASE)
_NAME = re.compile(NAME_PATTERN)
IDEMPOTENCY_KEY_PATTERN = r"[!-~]{1,200}"
_IDEMPOTENCY_KEY = re.compile(IDEMPOTENCY_KEY_PATTERN)
_REFUSED_AS: dict[str, type[ModelyardError]] = {
    "model_class_key": ModelClassNotFound,
    "hyperparams": InvalidHyperparams,
    "target": InvalidTable,
    "feature_names": InvalidTable,
    "feature_types": InvalidTable,
}
"""What the core raises for a field that names what cannot exist; for the others it is InvalidRequest."""


class Frozen(BaseModel):
    """Base of the values below. Fields beyond the known ones are passed over: a newer server may say more."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=(), populate_by_name=True)


class Request(Frozen):
    """Base of what a caller writes: a field that is not known is a mistake."""

    model_config = ConfigDict(extra="forbid")


def _is_none(value: object) -> bool:
    return value is None


class ModelWarning(Frozen):
    """Something that is legal but worth knowing; `count` is the number of cells or rows concerned."""

    code: str
    message: str
    column: str | None = Field(None, exclude_if=_is_none)
    count: int | None = Field(None, exclude_if=_is_none)


class Evaluation(Request):
    """How a training is judged.

    `holdout` sets a stratified share `fraction` of the rows aside, `cv` cross-validates in `folds`
    stratified folds, `none` gives the training score only. The model itself is always fitted on all rows.
    `seed` decides which rows go where.
    """

    method: Literal["holdout", "cv", "none"] = "holdout"
    fraction: Annotated[float, Field(ge=0.01, le=0.9, allow_inf_nan=False, strict=True)] = 0.2
    folds: Annotated[int, Field(ge=2, le=50, strict=True)] = 5
    seed: Annotated[int, Field(ge=0, le=2**32 - 1, strict=True)] = 0


def check_name(name: str) -> str:
    """Return `name` if a model may be called so; raise ValueError otherwise."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"name {name[:120]!r} must be 1 to 100 letters, digits, '.', '_' or '-', the first a letter or digit"
        )
    if is_model_id(name):
        raise ValueError(f"name {name!r} looks like a model id; choose one that does not")
    return name


def check_idempotency_key(key: str | None) -> None:
    """Refuse an idempotency key that not every door could carry. Raises InvalidRequest."""
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidRequest(
            f"an idempotency key must be 1 to 200 visible ASCII characters, got {key[:80]!r} ({len(key)} characters)"
        )


def not_unicode(name: str, value: object) -> ModelyardError:
    """Build the error for a request's field that holds text which is not Unicode, of the core's class for it."""
    message = f"field '{name}' must hold valid Unicode text, got {value!r}"
    return _REFUSED_AS.get(name, InvalidRequest)(message, errors=[FieldError((name,), message)])


def is_model_id(reference: str) -> bool:
    """Tell whether `reference` has the form of a model id (UUIDv7)."""
    return _MODEL_ID.fullmatch(reference) is not None


def _types_by_name_or_in_order(value: object) -> object:
    kinds = value.values() if isinstance(value, Mapping) else value
    if value is None or (isinstance(kinds, Iterable) and all(isinstance(kind, str) for kind in kinds)):
        return value
    raise ValueError(
        "feature_types must be an object of column names and types, or a list of types in column order; "
        f"a type is 'numeric' or 'categorical', got {_short(value)}"
    )


FeatureTypes = Annotated[dict[str, str] | list[str], BeforeValidator(_types_by_name_or_in_order)]
Name = Annotated[str, AfterValidator(check_name)]
Tag = Annotated[str, Field(min_length=1, max_length=100)]


_CELL = {"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "boolean"}, {"type": "null"}]}
TableValue = Annotated[
    Any,
    WithJsonSchema(
        {
            "title": "X",
            "description": "rows, records or columns",
            "anyOf": [
                {"title": "rows", "type": "array", "items": {"type": "array", "items": _CELL}},
                {"title": "records", "type": "array", "items": {"type": "object", "additionalProperties": _CELL}},
                {"title": "columns", "type": "object", "additionalProperties": {"type": "array", "items": _CELL}},
            ],
        }
    ),
]
LabelsValue = Annotated[
    Any,
    WithJsonSchema(
        {
            "title": "y",
            "description": "one label a row, all integers, text or booleans; null where `target` names a column",
            "anyOf": [{"type": "array", "items": {"type": kind}} for kind in ("integer", "string", "boolean")]
            + [{"type": "null"}],
        }
    ),
]


class TrainRequest(Request):
    """A table, its labels and what to make of them.

    `X` is rows, records or columns (as in JSON), a polars DataFrame, or the `pathlib.Path` of a file. The labels are
    `y`, or the column of `X` that `target` names; with both, `target` is only y's name.
    """

    model_class_key: str = Field(validation_alias=AliasChoices("model_class_key", "modelclasskey"))
    X: TableValue
    y: LabelsValue = None
    target: str | None = None
    hyperparams: dict[str, Any] = {}
    feature_types: FeatureTypes | None = Field(None, validation_alias=AliasChoices("feature_types", "featuretypes"))
    feature_names: list[str] | None = Field(None, validation_alias=AliasChoices("feature_names", "featurenames"))
    name: Name | None = None
    tags: list[Tag] = Field([], max_length=50)
    evaluation: Evaluation = Evaluation()


class RetrainRequest(Request):
    """A new table for an existing model, and what shall differ from its parent.

    `model_id` is a reference. Left out, `feature_types`, `tags` and `evaluation` are the parent's; `hyperparams` are
    merged over the parent's.
    """

    model_id: str = Field(validation_alias=AliasChoices("model_id", "modelid"))
    X: TableValue
    y: LabelsValue = None
    target: str | None = None
    hyperparams: dict[str, Any] = {}
    feature_types: FeatureTypes | None = Field(None, validation_alias=AliasChoices("feature_types", "featuretypes"))
    feature_names: list[str] | None = Field(None, validation_alias=AliasChoices("feature_names", "featurenames"))
    tags: list[Tag] | None = Field(None, max_length=50)
    evaluation: Evaluation | None = None


class PredictRequest(Request):
    """A table to predict for, by the model that the reference `model_id` means."""

    model_id: str = Field(validation_alias=AliasChoices("model_id", "modelid"))
    X: TableValue
    feature_names: list[str] | None = Field(None, validation_alias=AliasChoices("feature_names", "featurenames"))
    probabilities: StrictBool = False


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a model says of n rows: n labels and, if asked for, n lists of one probability a class of `classes`."""

    model_id: str
    predictions: list[bool | int | str]
    classes: list[bool | int | str]
    probabilities: list[list[float]] | None = None
    warnings: list[ModelWarning] = field(default_factory=list)


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


class ModelMetadata(Frozen):
    """All that is known of a model but its report. Only `status`, `updated_at` and `tracking` ever change.

    Times are UTC; `training_seconds` is the wall time of evaluation and fit. `metrics` is flat
    (`train_accuracy`, `validation_roc_auc`, …). `fingerprint` is a SHA-256 of the table, which two trainings share only
    if their tables are equal. `message` says in a sentence what the verb did; it is not stored.
    """

    model_id: str
    name: str
    version: int
    parent_id: str | None = None
    model_class_key: str
    hyperparams: dict[str, Any]
    status: Status = "active"
    metrics: dict[str, float | None]
    feature_names: list[str]
    feature_types: dict[str, FeatureType]
    classes: list[Label]
    n_rows: int
    target: str | None = None
    fingerprint: str | None = None
    tags: list[str] = []
    warnings: list[ModelWarning] = []
    evaluation: Evaluation = Evaluation()
    tracking: Tracking = Tracking()
    created_at: datetime
    updated_at: datetime
    training_seconds: float
    artifact: Artifact
    environment: dict[str, str]
    message: str = ""


class ModelPage(Frozen):
    """One page of models, newest first; `next_cursor` is null on the last one."""

    models: list[ModelMetadata]
    next_cursor: str | None = None


EventVerb = Literal["train", "retrain", "delete", "restore", "gc", "repair"]


class ModelEvent(Frozen):
    """One thing that happened to a model: by which verb, when (UTC), and the status that it left the model in.

    `gone`: deleted for good. `gc` deletes for good what was deleted long ago; `repair` is what `doctor` did.
    """

    verb: EventVerb
    at: datetime
    status: Literal["active", "deleted", "gone"]


class ModelHistory(Frozen):
    """What happened to a model, the first thing first."""

    model_id: str
    name: str
    version: int
    parent_id: str | None = None
    events: list[ModelEvent]


class ModelQuery(Request):
    """Which models to list: `limit` at most, after `cursor`, newest first."""

    name: str | None = None
    model_class_key: str | None = None
    status: StatusFilter = "active"
    tag: str | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    cursor: str | None = None


class ModelClassInfo(Frozen):
    """A model class as people and programs choose it; `hyperparams` is a JSON Schema (an object with properties)."""

    key: str
    title: str
    description: str
    import_path: str
    hyperparams: dict[str, Any]


class JobProgress(Frozen):
    """How far a job is: `fraction` of 1; after `step` of `total` steps the loss was `metric`, if there is one."""

    fraction: float = 0.0
    step: int | None = None
    total: int | None = None
    metric: float | None = None


class WrongPlace(Frozen):
    """One wrong place in a request, as in a problem document."""

    loc: list[str | int]
    message: str
    value: Any = None


class JobError(Frozen):
    """Why a job has no model: the code word, the error's slug, and its words."""

    code: str
    type: str
    detail: str
    errors: list[WrongPlace] = []

    @classmethod
    def of(cls, error: ModelyardError) -> JobError:
        """Write an error down."""
        places = [
            WrongPlace(loc=list(wrong.loc), message=wrong.message, value=_storable(wrong.value))
            for wrong in error.errors
        ]
        return cls(code=error.code, type=type(error).slug(), detail=error.detail, errors=places)

    def exception(self) -> ModelyardError:
        """Return the error that was written down."""
        places = [FieldError(tuple(wrong.loc), wrong.message, wrong.value) for wrong in self.errors]
        return error_class(self.type, self.code)(self.detail, errors=places)


class Job(Frozen):
    """One training run, from the request to its end. Times are UTC.

    `name` is the model's, None where it is made up at the end; `model_id` is there once it has succeeded, `error` where
    it ended in any other way. `tracking` is that of a run without a model, where trainings are tracked; a model has its
    own.
    """

    job_id: str
    status: JobStatus
    model_class_key: str
    name: str | None = None
    parent_id: str | None = None
    progress: JobProgress = JobProgress()
    model_id: str | None = None
    error: JobError | None = None
    tracking: Tracking | None = None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing of it will change any more."""
        return self.status not in ("queued", "running")


class JobPage(Frozen):
    """One page of jobs, newest first; `next_cursor` is null on the last one."""

    jobs: list[Job]
    next_cursor: str | None = None


class JobQuery(Request):
    """Which jobs to list: `limit` at most, after `cursor`, newest first."""

    status: JobStatus | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    cursor: str | None = None


class ConfusionMatrix(Frozen):
    """`matrix[i][j]` counts rows of class `labels[i]` that were predicted as `labels[j]`."""

    labels: list[Label]
    matrix: list[list[int]]


class Curve(Frozen):
    """Points of a line; `x` and `y` are of one length."""

    x: list[float | None]
    y: list[float | None]


class LearningCurve(Frozen):
    """The loss `metric` after each iteration, on the rows fitted and on those held out."""

    metric: str
    train: list[float]
    validation: list[float] | None = None


class Report(Frozen):
    """What the evaluation of a model showed; what does not apply is null.

    Curves are keyed by the class label's text. Rows of `per_class` hold `label`, `precision`, `recall`, `f1` and
    `support`. `columns` profiles each feature of the training table.
    """

    metrics: dict[str, float | None]
    confusion_matrix: ConfusionMatrix | None = None
    roc_curves: dict[str, Curve] | None = None
    precision_recall_curves: dict[str, Curve] | None = None
    calibration_curve: dict[str, Curve] | None = None
    per_class: list[dict[str, Any]] | None = None
    learning_curve: LearningCurve | None = None
    feature_importances: dict[str, float] | None = None
    columns: dict[str, dict[str, Any]]
    rows: dict[str, int]
    warnings: list[ModelWarning] = []


class Backlog(Frozen):
    """What the experiment tracker has not been told: how many runs are `pending`, how many it refused for good.

    `problem` is why it cannot be told now; the trainings do not mind.
    """

    pending: int
    failed: int
    problem: str | None = None


class Health(Frozen):
    """How the yard is: `storage` is `ok` or why it cannot be used, `models` the number of active ones.

    Where models were found damaged in reading them, `storage` names them while `status` is `ok`: the rest is served.
    `tracking` is null where trainings are not tracked.
    """

    status: Literal["ok", "unavailable"]
    version: str
    storage: str
    models: int
    uptime_s: float
    tracking: Backlog | None = None


ValueT = TypeVar("ValueT", bound=BaseModel)


_OBJECTS = ("dict_type", "model_type")
"""What pydantic calls the errors where an object of JSON is due."""


def parse(kind: type[ValueT], fields: Mapping[str, Any]) -> ValueT:
    """Build a `kind` from a caller's fields.

    Raises InvalidRequest naming every field that is missing, unknown or of the wrong kind.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest.of([field_error(item, kind) for item in error.errors()]) from None


def field_error(item: Mapping[str, Any], kind: type[BaseModel] | None = None) -> FieldError:
    """Say in our words what pydantic found; `kind` is what was to be built, if that is known."""
    loc = tuple(item["loc"])
    where = ".".join(map(str, loc))
    if item["type"] == "missing":
        return FieldError(loc, f"field '{where}' is required")
    if item["type"] == "extra_forbidden":
        known = "" if kind is None else f"; known are: {', '.join(_model_at(kind, loc[:-1]).model_fields)}"
        return FieldError(loc, f"field '{where}' is unknown{known}", item["input"])
    message = "must be an object" if item["type"] in _OBJECTS else item["msg"].removeprefix("Value error, ")
    if item["type"] == "value_error":
        return FieldError(loc, message, item["input"])
    return FieldError(
        loc, f"field '{where}': {message[0].lower()}{message[1:]}, got {_short(item['input'])}", item["input"]
    )


def _storable(value: Any) -> Any:
    """Return a value as JSON can hold it: itself, or its text."""
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**63):
        return value
    return value[:200] if isinstance(value, str) else repr(value)[:200]


def _model_at(kind: type[BaseModel], path: Sequence[str | int]) -> type[BaseModel]:
    """Return the model that a path of field names leads to."""
    for name in path:
        annotation = kind.model_fields[str(name)].annotation
        choices = (annotation, *get_args(annotation))
        kind = next(choice for choice in choices if isinstance(choice, type) and issubclass(choice, BaseModel))
    return kind


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
