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
from modelyard.schemas import Evaluation, FeatureType, Label, ModelWarning, Prediction
from modelyard.tables.contract import Contract, TrainingTable
from modelyard.tables.labels import TargetReader

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

    def validation_metrics(self, truth: Truth, scores: Scores, weights: Weights | None = None) -> Metrics:
        """Measure scores of rows held out, under names that begin with `validation_`; what does not apply is None."""
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
