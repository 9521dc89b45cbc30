"""What a caller asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, StrictBool, WithJsonSchema

from modelyard.schemas.base import JobStatus, Request, StatusFilter, TaskName
from modelyard.schemas.decisions import Decision
from modelyard.schemas.naming import check_name
from modelyard.schemas.reading import TableRequest
from modelyard.schemas.showing import shown


class Evaluation(Request):
    """How a training is judged.

    `holdout` sets a share `fraction` of the rows aside, `cv` cross-validates in `folds` folds, `none` gives the
    training score only. Hold-outs and folds are stratified by the class, if there are classes. The model itself is
    always fitted on all rows. `seed` decides which rows go where.
    """

    method: Literal["holdout", "cv", "none"] = "holdout"
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
Name = Annotated[str, AfterValidator(check_name)]
Tag = Annotated[str, Field(min_length=1, max_length=100)]
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


class TrainRequest(TableRequest):
    """A table, its labels and what to make of them.

    `X` is rows, records or columns (as in JSON), a polars DataFrame, or the `pathlib.Path` of a file. The labels are
    `y`, or the column of `X` that `target` names; with both, `target` is only y's name. `task` may say what is to be
    predicted, labels or numbers; a model class of the other task is then refused. `missing_markers` are texts that mean
    a missing cell, instead of those of the server's settings. `exclude` names columns to leave out. `decision` is how
    the model's probabilities become answers; left out, by the most probable class.
    """

    model_class_key: str = Field(validation_alias=AliasChoices("model_class_key", "modelclasskey"))
    X: TableValue
    y: LabelsValue = None
    target: str | None = None
    task: TaskName | None = None
    hyperparams: dict[str, Any] = {}
    feature_types: FeatureTypes | None = Field(None, validation_alias=AliasChoices("feature_types", "featuretypes"))
    feature_names: list[str] | None = Field(None, validation_alias=AliasChoices("feature_names", "featurenames"))
    name: Name | None = None
    tags: list[Tag] = Field([], max_length=50)
    evaluation: Evaluation = Evaluation()
    missing_markers: MissingMarkers | None = None
    exclude: list[str] | None = None
    decision: Decision | None = None


class RetrainRequest(TableRequest):
    """A new table for an existing model, and what shall differ from its parent.

    `model_id` is a reference. Left out, `feature_types`, `tags`, `evaluation`, `missing_markers`, `exclude` and all
    that says how a table is read are the parent's; `hyperparams` are merged over the parent's. So is the rule of its
    `decision`, whose threshold is found anew; one that was given stays, with a warning.
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
    missing_markers: MissingMarkers | None = None
    exclude: list[str] | None = None
    decision: Decision | None = None


class PredictRequest(TableRequest):
    """A table to predict for, by the model that the reference `model_id` means.

    How the table is read is said only if it is not read as in training. `decision` holds for this request instead of
    the model's own.
    """

    model_id: str = Field(validation_alias=AliasChoices("model_id", "modelid"))
    X: TableValue
    feature_names: list[str] | None = Field(None, validation_alias=AliasChoices("feature_names", "featurenames"))
    probabilities: StrictBool = False
    decision: Decision | None = None


class ModelQuery(Request):
    """Which models to list: `limit` at most, after `cursor`, newest first."""

    name: str | None = None
    model_class_key: str | None = None
    status: StatusFilter = "active"
    tag: str | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    cursor: str | None = None


class JobQuery(Request):
    """Which jobs to list: `limit` at most, after `cursor`, newest first."""

    status: JobStatus | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 50
    cursor: str | None = None
