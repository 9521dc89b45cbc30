"""The rows that the trials of a search see, and how each trial is judged by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np
import polars as pl

from modelyard.errors import FieldError, InvalidTable
from modelyard.ml_core.resampling import Floats, Measure, bootstrap, mean_of_folds, replicates, usual_rounds
from modelyard.ml_core.tasks.base import Groups, Part, Rows, Scores, Splits, Task, Truth, Weights
from modelyard.ml_core.training.plan import TrainingPlan
from modelyard.ml_core.training.role_splits import split_by_roles
from modelyard.schemas import Evaluation
from modelyard.tables.contract import TrainingTable, as_codes

FOLDS = 5
FEWER_FOLDS, FEWER_FOLDS_ROWS = 3, 1_000
"""The folds from so many rows on: they take half the time of five, and each still fits some hundreds of rows."""

MANY_ROWS = 20_000
"""Above it a trial is judged by one hold-out, whose noise is small then."""

_FRACTION = 0.2
_MOST_ROUNDS = 200
"""The resamples by which trials are compared, of many rows fewer: standard errors are then known to 5 %."""


@dataclass(frozen=True)
class Folds:
    """The table of a search without the rows that its evaluation holds out, and its parts, the same for all trials.

    `truth`, `weights` and `groups` are of the rows held out by the parts, part after part; `scores` of a trial, shape
    (n, k), too. `seed` decides on the parts and on the resamples.
    """

    table: TrainingTable
    parts: tuple[Part, ...]
    task: Task
    metric: str
    truth: Truth
    weights: Weights | None
    groups: Groups | None
    seed: int

    @classmethod
    def of(cls, plan: TrainingPlan, metric: str, seed: int) -> Folds:
        """Deal the rows that are fitted. Raises InvalidTable if there are too few to hold any out."""
        table = plan.table
        outer = _split(plan.task, plan.evaluation, table).parts
        if outer:
            table = taken(table, outer[0].train)
        parts = _judging_parts(plan, table, seed)
        rows = np.concatenate([part.validation for part in parts])
        weights, groups = table.weights, table.groups
        return cls(
            table,
            parts,
            plan.task,
            metric,
            table.codes[rows],
            None if weights is None else weights[rows] / weights[rows].max(),
            None if groups is None else groups[rows],
            seed,
        )

    def value_of_part(self, place: int, scores: Scores) -> float:
        """Measure a part by its scores. Raises InvalidTable if the metric is not defined there."""
        rows = self.parts[place].validation
        weights = np.ones(len(rows)) if self.table.weights is None else self.table.weights[rows]
        found = float(self.task.measure(self.table.codes[rows], scores, self.metric)(weights[None, :])[self.metric][0])
        if not np.isfinite(found):
            raise InvalidTable(f"metric {self.metric!r} is not defined on the rows of a fold")
        return found

    def value(self, scores: Scores) -> float:
        """Measure all rows held out: the mean over the parts, which count by their rows."""
        weights = np.ones(len(self.truth)) if self.weights is None else self.weights
        return float(self._measure(scores)(weights[None, :])[self.metric][0])

    def resampled(self, scores: Scores) -> Floats:
        """Return the metric of each of some resamples, shape (rounds,), the same for all trials."""
        return replicates(self._measure(scores), self._resamples)[self.metric]

    @cached_property
    def _resamples(self) -> tuple[Floats, ...]:
        n, k = len(self.truth), len(self.table.contract.classes)
        rounds = min(_MOST_ROUNDS, usual_rounds(n, rankings=k if k > 2 else 1))
        return tuple(bootstrap(n, self.seed, rounds=rounds, groups=self.groups, weights=self.weights))

    def _measure(self, scores: Scores) -> Measure:
        sizes = [len(part.validation) for part in self.parts]
        ends = accumulate(sizes, initial=0)
        each = [
            self.task.measure(self.truth[start:end], scores[start:end], self.metric) for start, end in pairwise(ends)
        ]
        return mean_of_folds(each, sizes)


def taken(table: TrainingTable, rows: Rows) -> TrainingTable:
    """Return some rows of a table, under the same contract; their groups are numbered anew, without gaps."""
    roles = table.roles[rows] if table.roles.width else table.roles
    if "group" in roles.columns:
        roles = roles.with_columns(as_codes(roles["group"].cast(pl.String)))
    return replace(table, frame=table.frame[rows], codes=table.codes[rows], roles=roles)


def _split(task: Task, evaluation: Evaluation, table: TrainingTable) -> Splits:
    return split_by_roles(evaluation, table) or task.split(evaluation, table)


def _judging_parts(plan: TrainingPlan, table: TrainingTable, seed: int) -> tuple[Part, ...]:
    """Split the rows that the evaluation leaves. Raises InvalidTable, which says that they are too few."""
    inner = _inner(plan.evaluation, len(table.codes), seed)
    try:
        parts = _split(plan.task, inner, table).parts if len(table.codes) > 1 else ()
    except InvalidTable as error:
        left = "" if plan.evaluation.method == "none" else f" that evaluation {plan.evaluation.method!r} leaves"
        message = f"a search judges its trials by parts of the rows{left}, which cannot be made: {error.detail}"
        raise InvalidTable.of([FieldError(("column_roles",), message)]) from error
    if not parts:
        few = "at least two of each of two classes" if table.contract.classes else "at least three"
        raise InvalidTable(f"a search needs rows to judge its trials by: {few}")
    if table.weights is not None and not all(table.weights[part.validation].any() for part in parts):
        name = table.named_for("weight") or ""
        message = f"column {name!r} gives all rows that a trial is judged by the weight 0; leave these rows out"
        raise InvalidTable.of([FieldError(("X", name), message)])
    return parts


def _inner(outer: Evaluation, n: int, seed: int) -> Evaluation:
    """Return how a trial is judged: by the latest rows again if the search is, else by folds, of many rows by one."""
    if outer.method == "time":
        return Evaluation(method="time", fraction=outer.fraction, seed=seed)
    if n > MANY_ROWS:
        return Evaluation(method="holdout", fraction=_FRACTION, seed=seed)
    return Evaluation(method="cv", folds=FOLDS if n < FEWER_FOLDS_ROWS else FEWER_FOLDS, seed=seed)


def in_order(of_parts: Sequence[Scores]) -> Scores:
    """Put the scores of all parts together, as `Folds` has the truth."""
    return np.concatenate(of_parts)
