"""Fitting a regression to the target with mean 0 and deviation 1, for libraries that read targets as float32.

To them timestamps would be all the same, and numbers beyond 3e38 infinite. For any other target the fit is the same,
because the squared error has no scale of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from modelyard.models_registry.base import Fit, FitTask, Labels, OnProgress, Progress
from modelyard.schemas import LearningCurve


@dataclass(frozen=True, slots=True)
class StandardisedFit:
    """A fit whose estimator answers `(target - mean) / scale`. Its losses are in the target's unit already."""

    fit: Fit
    mean: float
    scale: float


def fit_standardised(fit: Callable[[FitTask], Fit], task: FitTask) -> StandardisedFit:
    """Fit a task to its standardised target."""
    mean = float(np.average(task.labels, weights=task.weights))
    scale = _deviation(task.labels - mean)
    validation = task.validation
    fitted = fit(
        replace(
            task,
            labels=(task.labels - mean) / scale,
            validation=None if validation is None else (validation[0], (validation[1] - mean) / scale),
            on_progress=_in_unit(task.on_progress, scale),
        )
    )
    fitted = replace(fitted, learning_curve=_curve_in_unit(fitted.learning_curve, scale))
    return StandardisedFit(fitted, mean, scale)


def _deviation(centred: Labels) -> float:
    """Return the standard deviation; of numbers whose squares are all 0 the largest, and 1 if all are equal."""
    return float(np.std(centred)) or float(np.abs(centred).max()) or 1.0


def _in_unit(on_progress: OnProgress | None, scale: float) -> OnProgress | None:
    """Return a listener that tells the loss in the unit of the target; None if nobody listens."""
    if on_progress is None:
        return None

    def tell(progress: Progress) -> None:
        on_progress(replace(progress, metric=None if progress.metric is None else progress.metric * scale))

    return tell


def _curve_in_unit(curve: LearningCurve | None, scale: float) -> LearningCurve | None:
    if curve is None:
        return None
    held_out = curve.validation
    return LearningCurve(
        metric=curve.metric,
        train=[loss * scale for loss in curve.train],
        validation=None if held_out is None else [loss * scale for loss in held_out],
    )
