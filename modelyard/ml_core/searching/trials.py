"""One trial: a model class and hyperparams, fitted to the parts of the rows and judged by those held out."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelyard.ml_core.searching.folds import Folds, in_order
from modelyard.ml_core.searching.weighing import weighed
from modelyard.ml_core.tasks.base import Scores
from modelyard.ml_core.training.plan import TrainingPlan
from modelyard.ml_core.training.progress import ProgressStream
from modelyard.ml_core.training.trainings import Fits
from modelyard.schemas import TrialStatus, is_loss


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial has shown: the metric of each fold, and of all rows held out its interval of 90 % and the scores.

    A pruned trial has the folds that it came to alone.
    """

    status: TrialStatus
    folds: tuple[float, ...]
    seconds: float
    scores: Scores | None = None
    interval: tuple[float | None, float | None] = (None, None)

    def told(self, number: int, model_class_key: str, hyperparams: dict[str, Any]) -> dict[str, Any]:
        """Return what is kept of the trial as a document."""
        return {
            "number": number,
            "model_class_key": model_class_key,
            "hyperparams": hyperparams,
            "status": self.status,
            "metric": statistics.fmean(self.folds),
            "low": self.interval[0],
            "high": self.interval[1],
            "folds": list(self.folds),
            "seconds": round(self.seconds, 3),
        }


def run_trial(plan: TrainingPlan, folds: Folds, others: Sequence[Sequence[float]]) -> Trial:
    """Fit each part and measure it; give up as soon as the trial is hopeless.

    `others` are the metrics of the folds that other trials of the model class came to. Raises what fits raise.
    """
    began = time.perf_counter()
    fits = Fits(replace(plan, table=folds.table, calibrate=None), ProgressStream(None, len(folds.parts)))
    values: list[float] = []
    scores: list[Scores] = []
    for place, part in enumerate(folds.parts):
        found = fits.scores(fits.fit(part, alone=True), part)
        scores.append(found)
        values.append(folds.value_of_part(place, found))
        if place + 1 < len(folds.parts) and is_hopeless(values, others, lower=is_loss(folds.metric)):
            return Trial("pruned", tuple(values), time.perf_counter() - began)
    judged = weighed(in_order(scores), folds, {})
    return Trial("complete", tuple(values), time.perf_counter() - began, judged.scores, judged.interval)


def is_hopeless(values: Sequence[float], others: Sequence[Sequence[float]], *, lower: bool) -> bool:
    """Whether a trial by its first folds is worse than others of its class were on the same folds.

    After one fold it has to be as good as is usual: that is the median rule of Vizier (Golovin et al. 2017). After more
    it has to be as good as the best, because no other takes part in the model. A single other is neither: then the mean
    has to be worse than any fold of it. `lower` says that less is better.
    """
    sign = 1 if lower else -1
    compared = [[sign * value for value in other] for other in others if len(other) >= len(values)]
    mine = sign * statistics.fmean(values)
    if len(compared) < 2:
        return any(mine > max(other) for other in compared)
    if len(values) == 1:
        return mine > statistics.median(other[0] for other in compared)
    longest = max(map(len, compared))
    best = min((other for other in compared if len(other) == longest), key=statistics.fmean)
    return mine > statistics.fmean(best[: len(values)])
