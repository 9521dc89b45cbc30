"""What a task is: the one place that knows what the targets of a table are, and how good a model's answers are.

Everything around it (fits, evaluations, serving) handles a column of targets and an array of scores, and asks the task
what they mean. A task knows neither model classes nor storage, and holds no state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from modelyard.ml_core.deciding.deciders import Decider
from modelyard.ml_core.resampling import Measure
from modelyard.schemas import Evaluation, FeatureType, Label, ModelWarning, Prediction
from modelyard.tables.contract import Contract, TrainingTable
from modelyard.tables.inference import ColumnPlan, ReadingOptions
from modelyard.tables.labels import TargetReader
from modelyard.tables.sources import Cells

Truth = npt.NDArray[Any]
"""The targets of n rows as a TrainingTable holds them (`codes`), shape (n,)."""

Scores = npt.NDArray[np.float64]
"""What a predictor says of n rows, shape (n, k); what the k numbers are is the task's."""

Weights = npt.NDArray[np.float64]
"""How much each of n rows counts, shape (n,): numbers of at least 0, not all 0."""

Groups = npt.NDArray[np.int64]
"""The number of each row's group, shape (n,)."""

Metrics = dict[str, float | None]
Rows = npt.NDArray[np.int64]

KeysOfTask = Callable[[str], Sequence[str]]
"""Returns the keys of the model classes of a task."""

FALLBACK = "evaluation_fallback"
"""The code of a warning that another evaluation was made than was asked for."""


MAX_NAMED = 20
"""How many columns or classes a warning names."""


def changed(
    what: Literal["columns", "classes"], new: Sequence[Label], gone: Sequence[Label]
) -> tuple[ModelWarning, ...]:
    """Warn that the columns or classes of a table are not the parent model's; nothing is said if they are."""
    named = (("new:", new), ("gone:", gone))
    told = [f"{word} {', '.join(map(repr, found[:MAX_NAMED]))}" for word, found in named if found]
    if not told:
        return ()
    message = f"the {what} are not those of the parent model; {'; '.join(told)}"
    return (ModelWarning(code=f"{what}_changed", message=message, count=len(new) + len(gone)),)


@dataclass(frozen=True, slots=True)
class Part:
    """One fit of an evaluation: the numbers of the rows fitted and of the rows held out, each ascending."""

    train: Rows
    validation: Rows


@dataclass(frozen=True, slots=True)
class Splits:
    """The fits that an evaluation takes, none for the method `none`; `evaluation` is the one that is really made."""

    evaluation: Evaluation
    parts: tuple[Part, ...] = ()
    warnings: tuple[ModelWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class TableJudgement:
    """How good scores of a labelled table are: the metrics, and what measures resamples of its rows.

    `shown` are the fields of a Report that show it.
    """

    metrics: Metrics
    measure: Measure
    shown: dict[str, Any]
    warnings: tuple[ModelWarning, ...] = ()


class Task(Protocol):
    """Classification, or another task with these methods.

    `truth`, `scores` and `weights` are always of the same rows; without weights all rows count alike.
    """

    preloads: tuple[str, ...]
    """The modules that evaluations of the task import when they come to it; runs import them before."""
    target_type: FeatureType | None
    """The type of the column of targets; None if targets are no numbers but labels."""

    def read_target(self, keys_of_task: KeysOfTask) -> TargetReader:
        """Return what reads the targets of a table; for those of another task it names the model classes to take."""
        ...

    def targets(self, table: TrainingTable) -> Truth:
        """Return what a model class is fitted to, shape (n,)."""
        ...

    def split(self, evaluation: Evaluation, table: TrainingTable) -> Splits:
        """Choose the rows that are fitted and held out, by the evaluation's seed."""
        ...

    def checked(self, scores: Scores) -> Scores:
        """Return the scores of a fit within their range. Raises InvalidTable if they are not numbers."""
        ...

    def training_metrics(self, truth: Truth, scores: Scores, weights: Weights | None = None) -> Metrics:
        """Measure scores of the rows that the model was fitted to, under names that begin with `train_`."""
        ...

    def metrics_of(self, truth: Truth, scores: Scores, weights: Weights | None = None) -> Metrics:
        """Measure scores of rows that the model was not fitted to; what does not apply is None."""
        ...

    def measure(self, truth: Truth, scores: Scores, only: str | None = None) -> Measure:
        """Return what measures resamples of these rows by the metrics of `metrics_of`, or quicker by the `only` one.

        Then there may be others, too.
        """
        ...

    def baseline(
        self,
        fitted: Truth,
        truth: Truth,
        contract: Contract,
        fitted_weights: Weights | None = None,
        weights: Weights | None = None,
    ) -> Metrics:
        """Measure the one answer that suits the targets `fitted` best by the targets `truth`, under `baseline_…`."""
        ...

    def read_known_target(
        self,
        column: Cells,
        label: str,
        contract: Contract,
        options: ReadingOptions,
        plan: ColumnPlan | None,
        *,
        text_cells: bool,
    ) -> Truth:
        """Read the targets of a table by which a model of this contract is judged.

        `label` names them in messages. With `text_cells` they are a CSV's column, and `plan` says how its numbers are
        written. Raises InvalidTable.
        """
        ...

    def judge_table(self, truth: Truth, scores: Scores, contract: Contract) -> TableJudgement:
        """Judge scores of a table's rows, with the truth as `read_known_target` returns it. Raises InvalidTable."""
        ...

    def judged(
        self, truth: Truth, scores: Scores, contract: Contract, weights: Weights | None = None
    ) -> dict[str, Any]:
        """Return the fields of a Report that show how good the scores of rows held out are."""
        ...

    def warnings(self, truth: Truth, scores: Scores, contract: Contract) -> tuple[ModelWarning, ...]:
        """Return what should worry a reader of the scores of rows held out."""
        ...

    def changes(self, before: Sequence[Label], contract: Contract) -> tuple[ModelWarning, ...]:
        """Return how the targets differ from a parent model's, whose classes were `before`."""
        ...

    def answers(
        self, scores: list[list[float]], contract: Contract, decider: Decider | None = None
    ) -> list[Prediction]:
        """Return the prediction for each of a few rows, by its k scores and by what decides over labels."""
        ...

    def many_answers(self, scores: Scores, contract: Contract, decider: Decider | None = None) -> list[Prediction]:
        """Return what `answers` returns, by scores of shape (n, k)."""
        ...
