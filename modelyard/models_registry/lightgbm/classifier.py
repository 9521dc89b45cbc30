"""Classification by LightGBM."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from modelyard.models_registry.hyperparams import Hyperparam
from modelyard.models_registry.lightgbm.boosting import LightGBMModelClass
from modelyard.models_registry.lightgbm.defaults import BOOSTING, EARLY_STOPPING


class LightGBMClassifierClass(LightGBMModelClass):
    """LightGBM's LGBMClassifier on the table as it is."""

    key = "lightgbm_classifier"
    title = "LightGBM classifier"
    description = (
        "Gradient boosted trees that are quick to train, on large tables above all. Takes categories and missing "
        "cells as they are, needs no scaling, finds interactions by itself."
    )
    import_path = "lightgbm.LGBMClassifier"
    loss = "log_loss"
    settings: ClassVar[Mapping[str, Any]] = MappingProxyType({"max_delta_step": 4.0})
    """A leaf may hold one row: if that is of a class of 1 %, its step would be a hundred, and the next ones more."""
    rehearsal: ClassVar[Mapping[str, Any] | None] = MappingProxyType({"n_estimators": 2})
    hyperparams = (
        *BOOSTING,
        Hyperparam(
            "class_weight",
            ("str",),
            None,
            "Weighs the rows of rare classes more: so that every class counts the same; null: every row does.",
            nullable=True,
            choices=("balanced",),
        ),
        EARLY_STOPPING,
    )

    def rows_that_tell(self, labels: Any) -> float:
        """Return how many rows of classes that are equally frequent would tell as much: of two, 4 p (1 - p) of all."""
        _, counts = np.unique(labels, return_counts=True)
        if len(counts) < 2:
            return len(labels)
        impurity = 1 - float(np.square(counts / len(labels)).sum())
        return len(labels) * impurity / (1 - 1 / len(counts))

    def library_class(self) -> type[Any]:
        """Return LGBMClassifier."""
        from modelyard.models_registry.lightgbm.library import lightgbm

        return lightgbm.LGBMClassifier
