"""What the model classes of LightGBM share: categories as codes, missing numbers as NaN, early stopping.

What LightGBM says goes to the log and never to stdout. A fit is the same again whatever the number of threads.
"""

from __future__ import annotations

import re
import warnings
from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import polars as pl

from modelyard.errors import InvalidArgument
from modelyard.models_registry.base import Fit, FitTask, ModelClass, Predictor
from modelyard.models_registry.hyperparams import Hyperparam
from modelyard.models_registry.lightgbm.codes import Codes
from modelyard.models_registry.lightgbm.library import library
from modelyard.models_registry.lightgbm.listening import Listener
from modelyard.models_registry.lightgbm.predictor import LightGBMPredictor
from modelyard.schemas import LearningCurve
from modelyard.tables.contract import Contract

ROWS_FOR_THREADS = 5_000
"""Below this LightGBM's threads wait for each other longer than they work."""

BOOSTING = (
    Hyperparam("n_estimators", ("int",), 300, "The number of trees.", minimum=1, maximum=1_000_000),
    Hyperparam("learning_rate", ("float",), 0.05, "The step of each tree.", exclusive_minimum=0, maximum=1),
    Hyperparam("num_leaves", ("int",), 15, "The most leaves of a tree.", minimum=2, maximum=131_072),
    Hyperparam(
        "max_depth", ("int",), -1, "The most levels of a tree; -1: as many as there are.", minimum=-1, maximum=1_000
    ),
    Hyperparam("min_child_samples", ("int",), 5, "The fewest rows of a leaf.", minimum=0, maximum=1_000_000),
    Hyperparam(
        "subsample",
        ("float",),
        0.6,
        "The share of the rows that each tree is fitted to.",
        exclusive_minimum=0,
        maximum=1,
    ),
    Hyperparam(
        "colsample_bytree",
        ("float",),
        0.8,
        "The share of the columns that each tree may use.",
        exclusive_minimum=0,
        maximum=1,
    ),
    Hyperparam("reg_alpha", ("float",), 0.0, "The l1 penalty on the values of the leaves.", minimum=0, maximum=1e30),
    Hyperparam("reg_lambda", ("float",), 3.0, "The l2 penalty on the values of the leaves.", minimum=0, maximum=1e30),
    Hyperparam(
        "verbose",
        ("bool", "int"),
        False,
        "Whether LightGBM logs its progress: true: each tree, a number: every so many, false or 0: never.",
        minimum=0,
        maximum=1_000_000,
    ),
    Hyperparam("random_state", ("int",), 0, "The seed of all that is random.", minimum=0, maximum=2**31 - 1),
)
EARLY_STOPPING = Hyperparam(
    "early_stopping_rounds",
    ("int",),
    None,
    "Stop after so many trees without a better loss on the held-out rows; null: never.",
    nullable=True,
    minimum=1,
    maximum=1_000_000,
)

_OURS = ("early_stopping_rounds", "verbose")


class LightGBMModelClass(ModelClass):
    """Gradient boosting by LightGBM on the table as it is."""

    loss: ClassVar[str]
    """Our name of the loss that LightGBM minimises."""
    settings: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """More of LightGBM's own settings."""
    libraries = ("lightgbm", "scikit-learn")
    preloads = ("lightgbm",)
    framework = "LightGBM"
    reads_enums = True
    takes_weights = True

    @abstractmethod
    def library_class(self) -> type[Any]:
        """Return LightGBM's own class of estimators, which this imports."""

    def fit(self, task: FitTask) -> Fit:
        """Fit with early stopping if there are held-out rows and the hyperparams ask for it."""
        lightgbm = library()
        codes, listener = Codes(task.contract), Listener(task)
        X, y = codes.matrix(task.frame), task.labels
        sets = [(X, y)] if task.validation is None else [(X, y), (codes.matrix(task.validation[0]), task.validation[1])]
        stops_early = task.validation is not None and task.hyperparams["early_stopping_rounds"] is not None
        estimator = self._estimator(task)
        try:
            with warnings.catch_warnings():
                # What is to take its place reads no labels of classes.
                warnings.filterwarnings("ignore", "The argument 'eval_set' is deprecated")
                estimator.fit(
                    X,
                    y,
                    sample_weight=task.weights,
                    eval_set=sets,
                    eval_sample_weight=[task.weights, task.validation_weights][: len(sets)],
                    eval_names=["train", "validation"][: len(sets)],
                    feature_name=_names(task.contract),
                    categorical_feature=codes.categorical,
                    callbacks=listener.callbacks(stops_early),
                )
        except lightgbm.basic.LightGBMError as error:
            raise InvalidArgument(f"LightGBM could not fit: {error}") from error
        listener.end()
        # By this LightGBM reads data frames of pandas with columns of type category.
        estimator.booster_.pandas_categorical = [list(one.categories) for one in task.contract.categorical.values()]
        curve = self._learning_curve(estimator)
        return Fit(estimator, learning_curve=curve, iterations=estimator.best_iteration_ if stops_early else None)

    def predictor(self, estimator: Any, contract: Contract) -> Predictor:
        """Take LightGBM's own shortest way."""
        return LightGBMPredictor(estimator, contract)

    def feature_importances(self, estimator: Any, contract: Contract, frame: pl.DataFrame) -> dict[str, float] | None:
        """Return each column's share of what the splits gained: percentages that sum to 100, or 0 without any split."""
        gains = np.asarray(estimator.booster_.feature_importance("gain"), dtype=np.float64)
        shares = 100.0 * gains / (gains.sum() or 1.0)
        return dict(zip(contract.feature_names, shares.tolist(), strict=True))

    def _estimator(self, task: FitTask) -> Any:
        given = {name: value for name, value in task.hyperparams.items() if name not in _OURS}
        if task.iterations is not None:
            given["n_estimators"] = task.iterations
        return self.library_class()(
            **given,
            **self.settings,
            subsample_freq=1,  # without it LightGBM passes over subsample
            n_jobs=1 if task.frame.height < ROWS_FOR_THREADS else -1,
            deterministic=True,
            force_row_wise=True,  # otherwise it measures which way is quicker, and the sums depend on the way
            verbosity=1 if task.hyperparams["verbose"] else -1,
        )

    def _learning_curve(self, estimator: Any) -> LearningCurve:
        losses = {name: next(iter(found.values())) for name, found in estimator.evals_result_.items()}
        return LearningCurve(metric=self.loss, train=losses["train"], validation=losses.get("validation"))


def _names(contract: Contract) -> list[str]:
    """Return the names of the columns as LightGBM takes them: without blanks and marks, and no two alike."""
    plain = [re.sub(r"\W", "_", name) for name in contract.feature_names]
    return plain if all(plain) and len(set(plain)) == len(plain) else [f"Column_{at}" for at in range(len(plain))]
