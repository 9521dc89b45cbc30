"""Regression by CatBoost, fitted to the standardised target and asked for the target itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from modelyard.models_registry.base import Fit, FitTask, Labels, OnProgress, Predictor, Progress
from modelyard.models_registry.catboost.boosting import BOOSTING, EARLY_STOPPING, CatBoostModelClass
from modelyard.models_registry.catboost.predictor import CatBoostValues
from modelyard.schemas import LearningCurve
from modelyard.tables.contract import Contract


class CatBoostRegressorClass(CatBoostModelClass):
    """CatBoost's CatBoostRegressor on the table as it is, by the squared error."""

    key = "catboost_regressor"
    title = "CatBoost regressor"
    description = (
        "Gradient boosted trees for numbers: usually the more accurate, slower to train. Takes categories and missing "
        "cells as they are, needs no scaling, finds interactions by itself; it never answers far outside what it saw."
    )
    import_path = "catboost.CatBoostRegressor"
    task = "regression"
    rehearsal = None  # the classifier's has made all that is made at CatBoost's first use
    loss = "rmse"
    hyperparams = (*BOOSTING, EARLY_STOPPING)

    def library_class(self) -> type[Any]:
        """Return CatBoostRegressor."""
        from catboost import CatBoostRegressor

        found: type[Any] = CatBoostRegressor
        return found

    def fit(self, task: FitTask) -> Fit:
        """Fit the target with mean 0 and deviation 1, then have the estimator itself answer in the target's unit.

        CatBoost reads targets as float32: timestamps would be all the same to it, and numbers beyond 3e38 infinite.
        For any other target the fit is the same, because the squared error has no scale of its own.
        """
        mean = float(np.mean(task.labels))
        scale = _deviation(task.labels - mean)
        validation = task.validation
        fitted = super().fit(
            replace(
                task,
                labels=(task.labels - mean) / scale,
                validation=None if validation is None else (validation[0], (validation[1] - mean) / scale),
                on_progress=_in_unit(task.on_progress, scale),
            )
        )
        slope, bias = fitted.estimator.get_scale_and_bias()
        fitted.estimator.set_scale_and_bias(slope * scale, bias * scale + mean)
        return replace(fitted, learning_curve=_curve_in_unit(fitted.learning_curve, scale))

    def predictor(self, estimator: Any, contract: Contract) -> Predictor:
        """Take CatBoost's own shortest way."""
        return CatBoostValues(estimator, contract)


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
