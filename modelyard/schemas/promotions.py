"""The gate: whether a new version takes an alias over, as it is asked for with a training, and what came of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, ConfigDict, Field

from modelyard.schemas.aliases import AliasName
from modelyard.schemas.base import Frozen, Request
from modelyard.schemas.showing import kind_shown

Condition = Literal["better", "not_worse", "always"]

USUAL_MARGIN = 0.01


def _is_none(value: object) -> bool:
    return value is None


def _plain_table(X: Any) -> Any:
    if isinstance(X, list | tuple | dict):
        return _of_json("X", X)
    raise ValueError(f"X of promote.on must be rows, records or columns, as in JSON, got {kind_shown(X)}")


def _plain_labels(y: Any) -> Any:
    if y is None or isinstance(y, list | tuple):
        return _of_json("y", y)
    raise ValueError(f"y of promote.on must be a list of labels, got {kind_shown(y)}")


def _of_json(name: str, value: Any) -> Any:
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"{name} of promote.on must hold the values of JSON alone: {error}") from None
    return value


class PromotionTable(Request):
    """A labelled table to judge two versions by: rows, records or columns as in JSON, and `y` or a column `target`.

    Without both, the labels are the column that the new version is trained to predict.
    """

    X: Annotated[Any, AfterValidator(_plain_table)]
    y: Annotated[Any, AfterValidator(_plain_labels)] = Field(None, exclude_if=_is_none)
    target: str | None = Field(None, exclude_if=_is_none)


class Promote(Request):
    """Which alias the new version shall take over, and `if` what: `better` and `not_worse` are shown on rows.

    `better`: the low end of the difference is above 0; `not_worse`: above -`margin`; `always`: in any case. `metric` is
    one of the task's, or `cost` with a costs decision; left out, `cost` if there is one, else `log_loss`, for
    regression `rmse`. The rows are those held out of the new version's training that the old version was not fitted on,
    or the table `on`.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    alias: AliasName
    condition: Condition = Field("better", alias="if")
    metric: str | None = Field(None, exclude_if=_is_none)
    margin: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)] = USUAL_MARGIN
    on: PromotionTable | None = Field(None, exclude_if=_is_none)


class Promotion(Frozen):
    """What came of it: whether the alias was moved to the new version, and why, in words.

    `difference` is by how much the new version is better by the `metric` on `n_rows` rows (negative: worse), between
    `low` and `high` in 9 of 10 cases. What was not measured is null.
    """

    alias: str
    moved: bool
    metric: str | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    n_rows: int | None = None
    reason: str
