"""A third party's model class, as a package on its own would bring it: Gaussian naive Bayes."""

from __future__ import annotations

from typing import Any

import polars as pl
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from modelyard.models_registry.base import Fit, FitTask, ModelClass
from modelyard.models_registry.hyperparams import Hyperparam


class NaiveBayes(ModelClass):
    """Gaussian naive Bayes on imputed numbers and one-hot categories."""

    key = "gaussian_naive_bayes"
    title = "Gaussian naive Bayes"
    description = "Each column on its own, as if it were normally distributed in each class."
    import_path = "sklearn.naive_bayes.GaussianNB"
    libraries = ("scikit-learn",)
    hyperparams = (
        Hyperparam("var_smoothing", ("float",), 1e-9, "The share of the largest variance added to all.", minimum=0),
    )

    def fit(self, task: FitTask) -> Fit:
        """Fit a pipeline."""
        numeric = [name for name in task.frame.columns if task.frame.schema[name] == pl.Float64]
        categorical = [name for name in task.frame.columns if name not in numeric]
        one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        columns: list[tuple[str, Any, list[str]]] = [
            ("numeric", SimpleImputer(keep_empty_features=True), numeric),
            ("categorical", one_hot, categorical),
        ]
        pipeline = Pipeline(
            [
                ("columns", ColumnTransformer([part for part in columns if part[2]])),
                ("classifier", GaussianNB(**task.hyperparams)),
            ]
        )
        return Fit(pipeline.fit(task.frame, task.labels))
