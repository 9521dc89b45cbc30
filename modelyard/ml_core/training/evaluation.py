"""What the fits of an evaluation showed, put together: one hold-out, or the folds of a cross-validation.

`trainings` makes the fits themselves; the task chooses the rows and the metrics.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from modelyard.ml_core.resampling import bootstrap, intervals, mean_of_folds, usual_rounds
from modelyard.ml_core.tasks.base import Groups, Metrics, Rows, Scores, Task, Truth, Weights
from modelyard.models_registry.base import Fit
from modelyard.schemas import LearningCurve

NumberT = TypeVar("NumberT", bound=np.number)


@dataclass(frozen=True, slots=True)
class FittedPart:
    """One fit of an evaluation: what it learned of itself, and its scores of the rows held out beside their truth.

    `rows` are the numbers of the rows held out, in the training table; `weights` and `groups` are theirs, None
    if the table has none. `baseline` measures the same rows by the one answer that fits the rows fitted best.
    """

    fit: Fit
    rows: Rows
    truth: Truth
    scores: Scores
    baseline: Metrics
    weights: Weights | None = None
    groups: Groups | None = None


@dataclass(frozen=True, slots=True)
class Validation:
    """The judgement of an evaluation.

    `rows`, `truth` and `scores` are of all rows held out, fold after fold, each scored by the fit that did not see it;
    so are their `weights` and `groups`, None if the table has none.
    `iterations` is what the final fit takes, None for as many as the hyperparams say.
    """

    metrics: Metrics
    rows: Rows
    truth: Truth
    scores: Scores
    learning_curve: LearningCurve | None
    iterations: int | None
    weights: Weights | None = None
    groups: Groups | None = None

    @property
    def drawn(self) -> tuple[int, str]:
        """How many rows, or groups of them, resamples are drawn from, and what these are called."""
        return (len(self.truth), "rows") if self.groups is None else (len(np.unique(self.groups)), "groups")


def judge(parts: Sequence[FittedPart], task: Task, seed: int) -> Validation:
    """Judge one hold-out by its metrics, several folds by the mean and deviation of theirs.

    Metrics have intervals, by resamples drawn with `seed`, and baselines. Iterations are the median of the best
    numbers found by early stopping; the learning curve is the mean of the folds'.
    """
    folds = [task.metrics_of(part.truth, part.scores, part.weights) for part in parts]
    metrics = folds[0] if len(parts) == 1 else mean_and_deviation(folds)
    ends = _intervals(metrics, parts, task, seed)
    baseline = _over_folds([part.baseline for part in parts], "", np.mean)
    found = [part.fit.iterations for part in parts if part.fit.iterations is not None]
    return Validation(
        metrics={f"validation_{name}": value for name, value in (metrics | ends).items()} | baseline,
        rows=np.concatenate([part.rows for part in parts]),
        truth=np.concatenate([part.truth for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        learning_curve=mean_curve([part.fit.learning_curve for part in parts]),
        iterations=max(1, int(statistics.median(found))) if found else None,
        weights=_together([part.weights for part in parts]),
        groups=_together([part.groups for part in parts]),
    )


def _together(found: Sequence[npt.NDArray[NumberT] | None]) -> npt.NDArray[NumberT] | None:
    known = [values for values in found if values is not None]
    return np.concatenate(known) if known else None


def _intervals(metrics: Metrics, parts: Sequence[FittedPart], task: Task, seed: int) -> Metrics:
    """Return the interval of each metric: what it would be with other rows held out, drawn anew from those there are.

    With folds it is the mean over the folds that is measured anew, each on its own rows drawn. So an interval says
    nothing of other fits; how much those differ is the deviation between the folds.
    """
    sizes, (_, k) = [len(part.truth) for part in parts], parts[0].scores.shape
    weights = _together([part.weights for part in parts])
    blocks = bootstrap(
        sum(sizes),
        seed,
        rounds=usual_rounds(sum(sizes), rankings=k if k > 2 else 1),
        groups=_together([part.groups for part in parts]),
        weights=None if weights is None else weights / weights.max(),  # products of large ones would overflow
    )
    measure = mean_of_folds([task.measure(part.truth, part.scores) for part in parts], sizes)
    return dict(intervals(metrics, measure, blocks))


def mean_and_deviation(folds: Sequence[Metrics]) -> Metrics:
    """Return each metric's mean over the folds, and under `…_std` its standard deviation (of all folds, ddof 0).

    Both are None if a fold has none.
    """
    return _over_folds(folds, "", np.mean) | _over_folds(folds, "_std", np.std)


def _over_folds(folds: Sequence[Metrics], kind: str, over: Callable[[list[float]], Any]) -> Metrics:
    found: Metrics = {}
    for name in folds[0]:
        values = [value for fold in folds if (value := fold[name]) is not None]
        found[f"{name}{kind}"] = float(over(values)) if len(values) == len(folds) else None
    return found


def mean_curve(curves: Sequence[LearningCurve | None]) -> LearningCurve | None:
    """Return the mean of the folds' learning curves as far as all of them go; None without any.

    A fit that diverges ends its curve: losses from the first that is not a finite number on are cut off.
    """
    known = [curve for curve in curves if curve is not None]
    if not known or len(known) < len(curves):
        return None
    train = _mean_line([curve.train for curve in known])
    held_out = [curve.validation for curve in known if curve.validation is not None]
    validation = _mean_line(held_out) if len(held_out) == len(known) else None
    return LearningCurve(metric=known[0].metric, train=train, validation=validation) if train else None


def _mean_line(lines: Sequence[Sequence[float]]) -> list[float]:
    length = min(len(line) for line in lines)
    mean = np.mean([line[:length] for line in lines], axis=0)
    finite = np.isfinite(mean)
    end = length if finite.all() else int(finite.argmin())
    return [float(value) for value in mean[:end]]
