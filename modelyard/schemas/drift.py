"""Drift as every door speaks of it: how far what a model is asked, and answers, is from its training."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from modelyard.schemas.base import Frozen, Request

DRIFT_HOURS = 2160
"""For so many hours counts are kept: 90 days."""

ColumnStatus = Literal["ok", "watch", "drifted", "not_judged"]
DriftStatus = Literal["ok", "watch", "drifted", "too_few_rows", "no_reference"]


class DriftQuery(Request):
    """How many whole hours to look back, beside the hour under way."""

    hours: Annotated[int, Field(ge=1, le=DRIFT_HOURS)] = 24


class ColumnDrift(Frozen):
    """How far the cells of one column, or the answers, are from those of training.

    `bins` names k bins, `expected` are their k shares of training's rows, `seen` those of the rows that were predicted
    for, each with the sum 1 if there were any. `psi` is the population stability index over them, less what chance
    makes of it; `p_value` that of a G-test, adjusted for the number of columns; 1 if it was not made. `missing`,
    `unknown` (categories that training never saw) and `out_of_range` (beyond training's least and greatest number) are
    shares of the rows seen. `status` is `watch` or `drifted` only if the difference is beyond chance and large enough.
    It is `not_judged` if there are too few rows, for dates, and for numbers that rise with the row.
    """

    status: ColumnStatus
    psi: float
    p_value: float
    missing: float
    unknown: float
    out_of_range: float
    bins: list[str]
    expected: list[float]
    seen: list[float]


class HourOfRows(Frozen):
    """How many rows were predicted for in the hour that begins then (UTC)."""

    hour: datetime
    rows: int


class Drift(Frozen):
    """Whether a model is asked what it was trained on, from `since` until `until` (UTC): `rows` rows, by all processes.

    `status` is that of the column, or the answers, that are farthest off. `predictions` are the answers; null if the
    model was not validated. Without a reference of training `columns` is empty. `message` says it in a sentence.
    `hourly` has the hours in which anything was asked, the oldest first.
    """

    model_id: str
    name: str
    version: int
    rows: int
    since: datetime
    until: datetime
    status: DriftStatus
    message: str
    columns: dict[str, ColumnDrift]
    predictions: ColumnDrift | None = None
    hourly: list[HourOfRows] = []
