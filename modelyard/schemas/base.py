"""What the other schemas are made of: the words of the wire, and how values and requests behave."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

Label = StrictBool | StrictInt | StrictStr
Prediction = bool | int | float | str
"""What a model says of a row: a label in the type it went in as, or for regression a number (float)."""
TaskName = Literal["classification", "regression"]
CalibrationMethod = Literal["isotonic", "sigmoid"]
FeatureType = Literal["numeric", "categorical", "datetime"]
ColumnRole = Literal["feature", "ignore", "id", "time", "group", "weight"]
"""What a column is for: a model is fitted to the features alone."""
Decimal = Literal[".", ","]
Thousands = Literal["", ".", ",", " ", "'"]
Status = Literal["active", "deleted"]
JobKind = Literal["train", "search"]
JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled", "interrupted"]
StatusFilter = Literal["active", "deleted", "all"]


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
