"""What labelled tables showed of models after their training."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from modelyard.schemas.base import Frozen, Label, ModelWarning, Prediction
from modelyard.schemas.decisions import ConfusionMatrix
from modelyard.schemas.models import ModelIdentity
from modelyard.schemas.reports import ActualAndPredicted, Curve, Histogram


class ModelMetrics(ModelIdentity):
    """How good a model was: `accuracy`, `roc_auc`, `rmse`, …, each with its interval (90 %) as `…_low` and `…_high`.

    `cost` is there if the model obeys a decision by costs: the mean cost of a row. `alias` is the one by which the
    model was asked; null: by none.
    """

    alias: str | None = None
    metrics: dict[str, float | None]


class Condition(Frozen):
    """What the cells of a column have in common; columns of moments stand with their parts (`when.month`).

    `value`: they are that category. `range`: they are numbers from `low` to `high`, both included. `others`: they are
    categories beside the most frequent ones. `missing`: they are missing.
    """

    column: str
    kind: Literal["value", "range", "others", "missing"]
    value: str | None = None
    low: float | None = None
    high: float | None = None


class RowGroup(Frozen):
    """Rows that meet all conditions, how many they are, and how good the model is there, with an interval."""

    where: list[Condition]
    n_rows: int
    value: float
    low: float
    high: float


class RowAnswers(Frozen):
    """What a model said of the rows that it was judged by, row by row: `rows` are their numbers, from 0.

    `actual` is the truth, null for a label that the model does not know. `predicted` obeys the model's decision.
    `probabilities` has one a class, and is null for regression.
    """

    rows: list[int]
    actual: list[Label | float | None]
    predicted: list[Prediction]
    probabilities: list[list[float]] | None = None


class Weaknesses(Frozen):
    """Where a model is wrong, by the answers of its decision: the `measure` is `accuracy` or `mae`, in its own unit.

    `value` is that of all rows. `columns` has the groups of each column with intervals of 90 %. `segments` are the
    groups of one column or two that are worse than all rows beyond chance, the clearest first; their intervals hold for
    all groups that were looked at together.
    """

    measure: Literal["accuracy", "mae"]
    value: float
    low: float
    high: float
    segments: list[RowGroup]
    columns: dict[str, list[RowGroup]]
    answers: RowAnswers


class EvaluatedModel(ModelMetrics):
    """How good a model was, with what shows it: the fields of a Report. What does not apply is null.

    `weaknesses` are there if they were asked for.
    """

    confusion_matrix: ConfusionMatrix | None = None
    roc_curves: dict[str, Curve] | None = None
    precision_recall_curves: dict[str, Curve] | None = None
    calibration_curve: dict[str, Curve] | None = None
    per_class: list[dict[str, Any]] | None = None
    residuals: Histogram | None = None
    predicted_against_actual: ActualAndPredicted | None = None
    weaknesses: Weaknesses | None = None
    warnings: list[ModelWarning] = []


class PairDifference(Frozen):
    """By how much the metric of model `a` is above that of model `b` on the same rows, and what that shows, in words.

    `low` and `high` are the ends of its interval: 90 % for one pair, wider the more pairs there are (Holm).
    """

    a: str
    b: str
    metric: str
    difference: float
    low: float
    high: float
    words: str


class _EvaluationFacts(Frozen):
    evaluation_id: str
    at: datetime
    task: str
    label: str | None = None
    n_rows: int
    pairs: list[PairDifference]


class KeptEvaluation(_EvaluationFacts):
    """What is kept of an evaluation; `at` is UTC."""

    models: list[ModelMetrics]


class TableEvaluation(_EvaluationFacts):
    """What a labelled table of `n_rows` rows showed of models; `at` is UTC, `label` is the caller's."""

    models: list[EvaluatedModel]


class EvaluationPage(Frozen):
    """One page of a model's evaluations, newest first; `next_cursor` is null on the last one."""

    evaluations: list[KeptEvaluation]
    next_cursor: str | None = None
