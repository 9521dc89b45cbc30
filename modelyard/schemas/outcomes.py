"""Answers that are kept, what really happened, and how good the answers were week by week."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, StrictBool, WithJsonSchema

from modelyard.schemas.base import Frozen, Request
from modelyard.schemas.reading import TableRequest

_CELL = [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]
_OUTCOME = {
    "type": "object",
    "required": ["label"],
    "properties": {
        "prediction_id": {"type": "string", "description": "the answer's; then `row` says which of its rows"},
        "row": {"type": "integer", "minimum": 0, "description": "counted from 0, which it is if left out"},
        "id": {"anyOf": _CELL, "description": "in the place of prediction_id: the row's cell of the column of ids"},
        "label": {"anyOf": _CELL, "description": "what really happened: a class, or for regression a number"},
    },
}
OutcomesTable = Annotated[Any, WithJsonSchema({"title": "outcomes", "type": "array", "items": _OUTCOME})]


class KeepAnswersRequest(Request):
    """Whether all predictions by a name are to be kept from now on."""

    keep: StrictBool


class KeptName(Frozen):
    """Whether all predictions by a name are kept."""

    name: str
    keep_answers: bool


class OutcomesRequest(TableRequest):
    """What really happened to rows that were predicted for by the model `model_id`, or by all of a name alone.

    `outcomes` (of a file: the table) has the columns `label`, and `prediction_id` with `row`, or `id`. An outcome by
    `id` is that of every kept row of this id that has none yet; if all have one, it takes the place of the last.
    """

    model_id: str = Field(validation_alias=AliasChoices("model_id", "modelid"))
    X: OutcomesTable = Field(validation_alias=AliasChoices("outcomes", "X"))


class AddedOutcomes(Frozen):
    """What became of outcomes that were given.

    `matched` of them belong to kept answers, `replaced` of these to rows whose outcome was another one before;
    `unknown` belong to none. `unknown_examples` names a few of the last kind.
    """

    name: str
    outcomes: int
    matched: int
    replaced: int
    unknown: int
    unknown_examples: list[str] = []


class PerformanceQuery(Request):
    """Of how many weeks the performance is asked, this one included."""

    weeks: Annotated[int, Field(ge=1, le=520)] = 26


Freshness = Literal["unknown", "drifting", "stale", "fresh"]


class WeekPerformance(Frozen):
    """How good the answers of one version were that were asked for in one week by one alias.

    `week` is the ISO week (`2026-W09`) in UTC in which they were asked for. `alias` is the one by which they were asked
    for; null: by the version, the id, or a name alone that means the newest version. `rows` were answered, of which
    `outcomes` are known. `metrics` are `accuracy`, `roc_auc`, `log_loss` and, if the model's
    decision has costs, `cost` (the mean of a row); for regression `rmse` and `mae`; each with its interval (90 %) as
    `..._low` and `..._high`. `status` says `stale` if the model is worse than its validation beyond noise, `drifting`
    if what it is asked has changed, `unknown` if there are too few outcomes, else `fresh`.
    """

    week: str
    alias: str | None = None
    model_id: str
    version: int
    rows: int
    outcomes: int
    metrics: dict[str, float | None] = {}
    status: Freshness


class Performance(Frozen):
    """How good the answers of models of a name were, week by week, the newest first.

    `keep_answers` says whether all predictions by the name are kept.
    """

    name: str
    keep_answers: bool
    weeks: list[WeekPerformance]
