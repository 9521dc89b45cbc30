"""Regression by LightGBM, fitted to the standardised target and asked for the target itself."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any

from modelyard.models_registry.base import Fit, FitTask
from modelyard.models_registry.lightgbm.boosting import LightGBMModelClass
from modelyard.models_registry.lightgbm.defaults import BOOSTING, EARLY_STOPPING
from modelyard.models_registry.standardised import fit_standardised

_LEAVES = re.compile(r"^num_leaves=(\d+)$", re.MULTILINE)


class LightGBMRegressorClass(LightGBMModelClass):
    """LightGBM's LGBMRegressor on the table as it is, by the squared error."""

    key = "lightgbm_regressor"
    title = "LightGBM regressor"
    description = (
        "Gradient boosted trees for numbers that are quick to train, on large tables above all. Takes categories and "
        "missing cells as they are, needs no scaling; it never answers far outside what it saw."
    )
    import_path = "lightgbm.LGBMRegressor"
    task = "regression"
    loss = "rmse"
    settings = MappingProxyType({"metric": "rmse"})
    hyperparams = (*BOOSTING, EARLY_STOPPING)

    def library_class(self) -> type[Any]:
        """Return LGBMRegressor."""
        from modelyard.models_registry.lightgbm.library import lightgbm

        return lightgbm.LGBMRegressor

    def fit(self, task: FitTask) -> Fit:
        """Fit the standardised target, then have the estimator itself answer in the target's unit."""
        standardised = fit_standardised(super().fit, task)
        _rescale(standardised.fit.estimator.booster_, standardised.scale, standardised.mean)
        return standardised.fit


def _rescale(booster: Any, scale: float, mean: float) -> None:
    """Have a booster answer `scale` times what it answered, plus `mean`: its leaves add up to its answer."""
    for tree, leaves in enumerate(map(int, _LEAVES.findall(booster.model_to_string()))):
        for leaf in range(leaves):
            added = mean if tree == 0 else 0.0
            booster.set_leaf_output(tree, leaf, scale * booster.get_leaf_output(tree, leaf) + added)
