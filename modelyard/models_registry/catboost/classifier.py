"""Classification by CatBoost."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelyard.models_registry.base import FitTask, Labels, Predictor
from modelyard.models_registry.catboost.boosting import BOOSTING, EARLY_STOPPING, CatBoostModelClass
from modelyard.models_registry.catboost.predictor import CatBoostPredictor
from modelyard.models_registry.hyperparams import Hyperparam
from modelyard.tables.contract import Contract

_EXACT_INTEGERS = 2**24


class CatBoostClassifierClass(CatBoostModelClass):
    """CatBoost's CatBoostClassifier on the table as it is."""

    key = "catboost_classifier"
    title = "CatBoost classifier"
    description = (
        "Gradient boosted trees: usually the more accurate, slower to train. Takes categories and missing cells as "
        "they are, needs no scaling, finds interactions by itself."
    )
    import_path = "catboost.CatBoostClassifier"
    loss = "log_loss"
    hyperparams = (
        *BOOSTING,
        Hyperparam(
            "auto_class_weights",
            ("str",),
            None,
            "Weighs the rows of rare classes more: so that every class counts the same, or the square root of that.",
            nullable=True,
            choices=("Balanced", "SqrtBalanced"),
        ),
        EARLY_STOPPING,
    )

    def library_class(self) -> type[Any]:
        """Return CatBoostClassifier."""
        from catboost import CatBoostClassifier

        found: type[Any] = CatBoostClassifier
        return found

    def labels(self, labels: Labels, contract: Contract) -> Labels:
        """Return labels that CatBoost tells apart: it reads integers as float32, so large ones are given as texts."""
        if any(abs(label) > _EXACT_INTEGERS for label in contract.classes if isinstance(label, int)):
            return labels.astype(str).astype(object)
        return labels

    def monotone_arguments(self, task: FitTask) -> dict[str, Any]:
        """Return CatBoost's own arguments; it is told the classes' order, because it puts the text '9' before '10'."""
        classes = np.array(task.contract.classes, dtype=task.labels.dtype)
        return {**super().monotone_arguments(task), "class_names": self.labels(classes, task.contract).tolist()}

    def predictor(self, estimator: Any, contract: Contract) -> Predictor:
        """Take CatBoost's own shortest way."""
        return CatBoostPredictor(estimator, contract)
