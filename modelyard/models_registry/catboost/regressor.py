"""Regression by CatBoost, fitted to the standardised target and asked for the target itself."""

from __future__ import annotations

from typing import Any

from modelyard.models_registry.base import Fit, FitTask, Predictor
from modelyard.models_registry.catboost.boosting import BOOSTING, EARLY_STOPPING, CatBoostModelClass
from modelyard.models_registry.catboost.predictor import CatBoostValues
from modelyard.models_registry.standardised import fit_standardised
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
        """Fit the standardised target, then have the estimator itself answer in the target's unit."""
        standardised = fit_standardised(super().fit, task)
        estimator = standardised.fit.estimator
        slope, bias = estimator.get_scale_and_bias()
        estimator.set_scale_and_bias(slope * standardised.scale, bias * standardised.scale + standardised.mean)
        return standardised.fit

    def predictor(self, estimator: Any, contract: Contract) -> Predictor:
        """Take CatBoost's own shortest way."""
        return CatBoostValues(estimator, contract)
