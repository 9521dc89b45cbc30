"""What a caller asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, StrictBool, WithJsonSchema

from modelyard.schemas.aliases import AliasName
from modelyard.schemas.base import ColumnRole, JobStatus, Request, StatusFilter, TaskName
from modelyard.schemas.decisions import Decision
from modelyard.schemas.naming import check_name
from modelyard.schemas.promotions import Promote
from modelyard.schemas.reading import TableRequest
from modelyard.schemas.showing import shown


class Evaluation(Request):
    """How a training is judged.

    `holdout` sets a share `fraction` of the rows aside, `time` the latest ones by the column with that role, `cv`
    cross-validates in `folds` folds, `none` gives the training score only. Hold-outs and folds are stratified by the
    class, if there are classes. A column with the role `group` keeps the rows of a group together. The model itself is
    always fitted on all rows. `seed` decides which rows go where.
    """

    method: Literal["holdout", "time", "cv", "none"] = "holdout"
    fraction: Annotated[float, Field(ge=0.01, le=0.9, allow_inf_nan=False, strict=True)] = 0.2
    folds: Annotated[int, Field(ge=2, le=50, strict=True)] = 5
    seed: Annotated[int, Field(ge=0, le=2**32 - 1, strict=True)] = 0


def _types_by_name_or_in_order(value: object) -> object:
    kinds = value.values() if isinstance(value, Mapping) else value
    if value is None:
        return value
    if isinstance(kinds, Iterable) and not isinstance(value, str) and all(isinstance(kind, str) for kind in kinds):
        return value
    raise ValueError(
        "feature_types must be an object of column names and types, or a list of types in column order; "
        f"a type is 'numeric', 'categorical' or 'datetime', got {shown(value)}"
    )


FeatureTypes = Annotated[dict[str, str] | list[str], BeforeValidator(_types_by_name_or_in_order)]
ColumnRoles = Annotated[
    dict[str, str],
    WithJsonSchema(
        {
            "type": "object",
            "description": "what columns are for, by name; the others are features",
            "additionalProperties": {"type": "string", "enum": list(get_args(ColumnRole))},
        }
    ),
]


def _directions(value: object) -> object:
    if value is None or (
        isinstance(value, Mapping)
        and all(isinstance(name, str) and type(one) is int and one in _DIRECTIONS for name, one in value.items())
    ):
        return value
    raise ValueError(
        "monotone must be an object of column names and 1 (the answer only rises with the column), -1 (it only falls) "
        f"or 0 (neither), got {shown(value)}"
    )


_DIRECTIONS = (-1, 0, 1)
Monotone = Annotated[
    dict[str, int],
    BeforeValidator(_directions),
    WithJsonSchema(
        {
            "type": "object",
            "description": "numeric columns with which the answer must only rise (1) or only fall (-1)",
            "additionalProperties": {"type": "integer", "enum": list(_DIRECTIONS)},
        }
    ),
]
Name = Annotated[str, AfterValidator(check_name)]
Calibrate = Literal["isotonic", "sigmoid", "none"]
Tag = Annotated[str, Field(min_length=1, max_length=100)]
Tags = Annotated[list[Tag], Field(max_length=50)]
Description = Annotated[str, Field(max_length=2000)]
MissingMarkers = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=100)]
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
            "description": "one label a row, all integers, text or booleans, or for regression one number a row; "
            "null where `target` names a column",
            "anyOf": [{"type": "array", "items": {"type": kind}} for kind in ("number", "string", "boolean")]
            + [{"type": "null"}],
        }
    ),
]


class NewModelRequest(TableRequest):
    """A table, its labels and what a new model shall be, whatever is to be fitted.

    `X` is rows, records or columns (as in JSON), a polars DataFrame, or the `pathlib.Path` of a file. The labels are
    `y`, or the column of `X` that `target` names; with both, `target` is only y's name. `task` may say what is to be
    predicted, labels or numbers; a model class of the other task is then refused. `missing_markers` are texts that mean
    a missing cell, instead of those of the server's settings. `column_roles` say which columns are no features:
    `ignore`, and at most one each of `id`, `time`, `group` and `weight`; `exclude` names columns to ignore.
    `monotone` has numeric columns with which the answer must only rise (1) or only fall (-1): the number, or the
    probability of the second of two classes.
    `description` is what people shall know of the model, in at most 2,000 characters.
    `decision` is how the model's probabilities become answers; left out, by the most probable class.
    `promote` says which alias the model takes over, and on what condition.
    """

    X: TableValue
    y: LabelsValue = None
    target: str | None = None
    task: TaskName | None = None
    feature_types: FeatureTypes | None = Field(None, validation_alias=AliasChoices("feature_types", "featuretypes"))
    feature_names: list[str] | None = Field(None, validation_alias=AliasChoices("feature_names", "featurenames"))
    name: Name | None = None
    tags: Tags = []
    description: Description = ""
    evaluation: Evaluation = Evaluation()
    missing_markers: MissingMarkers | None = None
    column_roles: ColumnRoles | None = None
    monotone: Monotone | None = None
    exclude: list[str] | None = None
    decision: Decision | None = None
    calibrate: Calibrate | None = None
    promote: Promote | None = None


class TrainRequest(NewModelRequest):
    """A table, its labels and what to make of them: a model of one class. The other fields are NewModelRequest's."""

    model_class_key: str = Field(validation_alias=AliasChoices("model_class_key", "modelclasskey"))
    hyperparams: dict[str, Any] = {}


class RetrainRequest(TableRequest):
    """A new table for an existing model, and what shall differ from its parent.

    `model_id` is a reference. Left out, `feature_types`, `tags`, `evaluation`, `missing_markers`, `exclude` and all
    that says how a table is read are the parent's; `hyperparams`, `column_roles` and `monotone` are merged over the
    parent's; the role `feature` and the direction 0 undo one of them. `description` is the new version's own, and not
    inherited.
    The rule of the parent's `decision` is inherited and its threshold found anew; one that was given stays, with a
    warning. `promote` says which alias the new version takes over, and on what condition; it is not inherited.
    """

    model_id: str = Field(validation_alias=AliasChoices("model_id", "modelid"))
    X: TableValue
    y: LabelsValue = None
    target: str | None = None
    hyperparams: dict[str, Any] = {}
    feature_types: FeatureTypes | None = Field(None, validation_alias=AliasChoices("feature_types", "featuretypes"))
    feature_names: list[str] | None = Field(None, validation_alias=AliasChoices("feature_names", "featurenames"))
    tags: Tags | None = None
    description: Description = ""
    evaluation: Evaluation | None = None
    missing_markers: MissingMarkers | None = None
    column_roles: ColumnRoles | None = None
    monotone: Monotone | None = None
    exclude: list[str] | None = None
    decision: Decision | None = None
    calibrate: Calibrate | None = None
    promote: Promote | None = None


class CheckRequest(TableRequest):
    """A table and its labels, to be read as a training would read it, and checked.

    All fields are as in TrainRequest. `task`, or `model_class_key`, says what is to be predicted; without both it is
    found out by the target.
    """

    X: TableValue
    y: LabelsValue = None
    target: str | None = None
    model_class_key: str | None = Field(None, validation_alias=AliasChoices("model_class_key", "modelclasskey"))
    task: TaskName | None = None
    feature_types: FeatureTypes | None = Field(None, validation_alias=AliasChoices("feature_types", "featuretypes"))
    feature_names: list[str] | None = Field(None, validation_alias=AliasChoices("feature_names", "featurenames"))
    missing_markers: MissingMarkers | None = None
    column_roles: ColumnRoles | None = None
    exclude: list[str] | None = None


class UpdateRequest(Request):
    """What shall be said of a model from now on; what is left out or null stays as it is.

    `tags` take the place of all tags, `description` of the description, which is a text of at most 2,000 characters.
    """

    tags: Tags | None = None
    description: Description | None = None


class ServingRequest(TableRequest):
    """Base of requests with a table for the model that the reference `model_id` means.

    How the table is read is said only if it is not read as in training. `decision` holds for this request instead of
    the model's own.
    """

    model_id: str = Field(validation_alias=AliasChoices("model_id", "modelid"))
    X: TableValue
    feature_names: list[str] | None = Field(None, validation_alias=AliasChoices("feature_names", "featurenames"))


class PredictRequest(ServingRequest):
    """A table to predict for, by the model that the reference `model_id` means.

    `interval` asks, of a regression, for an interval around each number that is to hold this share of the true ones.
    With `keep_answers` the answers are kept under a `prediction_id`, so that outcomes can be joined to them later; no
    cell of the table is. How the table is read is said only if it is not read as in training.
    """

    probabilities: StrictBool = False
    keep_answers: StrictBool = False
    interval: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False, strict=True)] | None = None
    decision: Decision | None = None


class ExplainRequest(ServingRequest):
    """A table whose predictions are to be explained, by the model that the reference `model_id` means.

    `top` is how many columns the answer tells, those that contributed most to all rows; null: all. With `probabilities`
    it tells those of the classes, too. How the table is read is said only if it is not read as in training.
    """

    top: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] | None = None
    probabilities: StrictBool = False


class EvaluateRequest(TableRequest):
    """A labelled table to judge up to ten models by, of one task; `model_ids` are references.

    Without X they are judged by the rows of the table that all were trained on which were held out of all of them.
    The labels are `y`, or the column of `X` that `target` names; without both, the column that the first model was
    trained to predict. `label` says in words what the table is. With `weaknesses` the answer says where each model is
    wrong, row by row, too. How the table is read is said only if it is not read as in training.
    """

    model_ids: Annotated[list[str], Field(min_length=1, max_length=10)] = Field(
        validation_alias=AliasChoices("model_ids", "modelids")
    )
    X: TableValue = None
    y: LabelsValue = None
    target: str | None = None
    label: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    weaknesses: StrictBool = False
    feature_names: list[str] | None = Field(None, validation_alias=AliasChoices("feature_names", "featurenames"))


class EvaluationQuery(Request):
    """Which evaluations of a model to list: `limit` at most, after `cursor`, newest first.

    With `alias`, those in which a model was asked by that alias of the name, whichever version it was then.
    """

    alias: AliasName | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    cursor: str | None = None


class ModelQuery(Request):
    """Which models to list: `limit` at most, after `cursor`, newest first.

    `search` is a part of the name or of a tag, large and small letters alike.
    """

    name: str | None = None
    model_class_key: str | None = None
    status: StatusFilter = "active"
    tag: str | None = None
    search: Annotated[str, Field(max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    cursor: str | None = None


class JobQuery(Request):
    """Which jobs to list: `limit` at most, after `cursor`, newest first."""

    status: JobStatus | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    cursor: str | None = None
