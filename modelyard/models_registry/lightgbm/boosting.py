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

from modelyard.errors import InvalidArgument, InvalidTable
from modelyard.models_registry.base import Fit, FitTask, ModelClass, Predictor
from modelyard.models_registry.contributions import Contributions
from modelyard.models_registry.lightgbm.codes import Codes
from modelyard.models_registry.lightgbm.defaults import SETTINGS, in_full
from modelyard.models_registry.lightgbm.listening import Listener
from modelyard.models_registry.lightgbm.predictor import LightGBMPredictor
from modelyard.models_registry.ranges import Range
from modelyard.schemas import LearningCurve
from modelyard.tables.contract import Contract

ROWS_FOR_THREADS = 100_000
"""Below this one thread is quick enough, and leaves the other cores to whoever is served meanwhile."""

_OURS = ("early_stopping_rounds", "verbose")


class LightGBMModelClass(ModelClass):
    """Gradient boosting by LightGBM on the table as it is."""

    loss: ClassVar[str]
    """Our name of the loss that LightGBM minimises."""
    settings: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """More of LightGBM's own settings."""
    libraries = ("lightgbm", "scikit-learn")
    preloads = ("modelyard.models_registry.lightgbm.library",)
    framework = "LightGBM"
    search_space = (
        Range("learning_rate", 0.01, 0.08, log=True),
        Range("num_leaves", 4, 48, log=True),
        Range("min_child_samples", 1, 50, log=True),
        Range("subsample", 0.4, 1.0),
        Range("colsample_bytree", 0.4, 1.0),
        Range("reg_lambda", 1e-3, 30.0, log=True),
    )
    search_turns = 3
    reads_enums = True
    takes_weights = True
    takes_monotone = True

    @abstractmethod
    def library_class(self) -> type[Any]:
        """Return LightGBM's own class of estimators, which this imports."""

    def rows_that_tell(self, labels: Any) -> float:
        """Return by how many rows the steps and the leaves of trees are chosen: all of them."""
        return len(labels)

    def fit(self, task: FitTask) -> Fit:
        """Fit with early stopping if there are held-out rows and the hyperparams ask for it."""
        from modelyard.models_registry.lightgbm.library import lightgbm, log_here

        log_here()
        if task.frame.height < 2:
            raise InvalidTable("X must have at least two rows for LightGBM to be fitted to, got 1")
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
        categorical, names = task.contract.categorical, task.contract.feature_names
        estimator.booster_.pandas_categorical = [list(categorical[names[at]].categories) for at in codes.categorical]
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

    def contributions(self, predictor: Any, frame: pl.DataFrame) -> Contributions | None:
        """Return LightGBM's own TreeSHAP."""
        found: Contributions = predictor.contributions(frame)
        return found

    def _estimator(self, task: FitTask) -> Any:
        full = in_full(task.hyperparams, self.rows_that_tell(task.labels))
        given = {name: value for name, value in full.items() if name not in _OURS}
        if task.iterations is not None:
            given["n_estimators"] = task.iterations
        if task.monotone:
            given["monotone_constraints"] = [task.monotone.get(name, 0) for name in task.contract.feature_names]
        return self.library_class()(
            **given,
            **SETTINGS,
            **self.settings,
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
