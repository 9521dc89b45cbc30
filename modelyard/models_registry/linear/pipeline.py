"""What the linear model classes share: imputer, scaler and one-hot encoder before the model, in one Pipeline.

A missing number becomes its column's median; a missing category is one more category, an unknown one weighs nothing.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.errors import FieldError, InvalidTable
from modelyard.models_registry.base import Fit, FitTask, ModelClass, OnProgress, Progress
from modelyard.models_registry.contributions import Contributions
from modelyard.models_registry.linear.decisions import column_weights, fitted_categories
from modelyard.models_registry.linear.features import fit_columns
from modelyard.schemas import ModelWarning
from modelyard.tables.contract import Contract, as_codes

LARGEST_NUMBER = 1e150
"""Above it squares, which a deviation is made of, leave the range of a float."""

ROWS_FOR_THREADS = 100_000
"""Below this one thread of linear algebra is as quick; two take twice the time and CPU if the machine is busy."""

_STAGES = 3


class LinearModelClass(ModelClass):
    """A linear model of scikit-learn behind imputation, scaling and one-hot encoding."""

    step: ClassVar[str]
    """The linear model's name in the pipeline."""
    libraries = ("scikit-learn",)
    preloads = (
        "sklearn.compose",
        "sklearn.exceptions",
        "sklearn.impute",
        "sklearn.linear_model",
        "sklearn.pipeline",
        "sklearn.preprocessing",
        "modelyard.models_registry.linear.thread_pools",
    )
    rehearsal: ClassVar[Mapping[str, Any] | None] = MappingProxyType({})
    framework = "ScikitLearn"
    reads_enums = True
    takes_weights = True

    @abstractmethod
    def fit_model(self, task: FitTask, features: Any) -> Any:
        """Fit the linear model to the features of a task's n rows, by their weights.

        The features were made without the weights: medians, means and deviations are those of the rows.
        """

    @abstractmethod
    def advice(self, iterations: int, hyperparams: Mapping[str, Any], said: str) -> str:
        """Return why a solver stopped before it had converged, and what may help; `said` are the library's words."""

    def fit(self, task: FitTask) -> Fit:
        """Fit the pipeline; what the libraries warn of becomes the fit's warnings."""
        from modelyard.models_registry.linear.thread_pools import POOLS

        threads = 1 if task.frame.height < ROWS_FOR_THREADS else None
        with POOLS.limit(limits=threads, user_api="blas"), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pipeline = self._fit_pipeline(task)
        return Fit(pipeline, warnings=self._warnings(caught, pipeline[-1], task.hyperparams))

    def feature_importances(self, estimator: Any, contract: Contract, frame: pl.DataFrame) -> dict[str, float] | None:
        """Return each column's absolute standardised weights: summed over its categories, averaged over the classes.

        Numbers are standardised in the pipeline. A category is a column of zeros and ones, whose weight still has to be
        multiplied by its deviation: a rare category hardly counts, whatever its weight.
        """
        weights, categories = column_weights(estimator), fitted_categories(estimator)
        for name, found in categories.items():
            weights[name] = weights[name] * _deviations(frame[name], found)
        return {name: float(np.abs(weights[name]).sum(axis=1).mean()) for name in contract.feature_names}

    def contributions(self, predictor: Any, frame: pl.DataFrame) -> Contributions | None:
        """Return each column's share beyond the one it has at the mean of training, exactly."""
        found: Contributions = predictor.contributions(frame)
        return found

    def _fit_pipeline(self, task: FitTask) -> Any:
        from sklearn.pipeline import Pipeline

        _report(task.on_progress, 0)
        _check_scale(task)
        columns = _columns(task.contract)
        features = fit_columns(columns, task.frame)
        _report(task.on_progress, 1)
        model = self.fit_model(task, features)
        _report(task.on_progress, 2)
        pipeline = Pipeline([("columns", columns), (self.step, model)])
        _report(task.on_progress, _STAGES)
        return pipeline

    def _warnings(
        self, caught: list[warnings.WarningMessage], model: Any, hyperparams: Mapping[str, Any]
    ) -> tuple[ModelWarning, ...]:
        from sklearn.exceptions import ConvergenceWarning

        found: dict[ModelWarning, None] = {}  # a dict, since a solver may say the same thing often
        for warning in caught:
            text = str(warning.message).strip().split("\n")[0].rstrip(":")
            if issubclass(warning.category, ConvergenceWarning):
                iterations = int(np.max(model.n_iter_))
                message = (
                    f"solver {hyperparams['solver']!r} stopped after {iterations} iterations before it had converged: "
                    f"{self.advice(iterations, hyperparams, text)}"
                )
                found[ModelWarning(code="not_converged", message=message)] = None
            else:
                found[ModelWarning(code="library_warning", message=f"{warning.category.__name__}: {text}")] = None
        return tuple(found)


def _report(on_progress: OnProgress | None, stage: int) -> None:
    if on_progress is not None:
        on_progress(Progress(stage, _STAGES))


def _columns(contract: Contract) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    of_type: dict[str, list[str]] = {"numeric": [], "categorical": []}
    for name, feature_type in contract.feature_types.items():
        of_type[feature_type].append(name)
    # Without keep_empty_features a column that is missing throughout a fold would drop out and shift the others.
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    steps = {
        "numeric": Pipeline([("imputer", imputer), ("scaler", StandardScaler())]),
        "categorical": OneHotEncoder(handle_unknown="ignore"),
    }
    return ColumnTransformer([(kind, steps[kind], names) for kind, names in of_type.items() if names])


def _check_scale(task: FitTask) -> None:
    """Refuse columns whose numbers are so large that their median, mean or deviation would not be a number."""
    errors = []
    for series in task.frame.select(pl.col(pl.Float64).abs().max()):
        name, largest = series.name, series[0]
        if largest is not None and largest > LARGEST_NUMBER:
            message = f"column {name!r} has numbers too large to be standardised; scale it down to {LARGEST_NUMBER:g}"
            errors.append(FieldError(("X", name), f"{message}, got {largest:g}", largest))
    if errors:
        raise InvalidTable.of(errors)


def _deviations(column: pl.Series, categories: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return the standard deviation of each category's zeros and ones over the rows of a column."""
    coded = as_codes(column)
    assert isinstance(coded.dtype, pl.Enum)
    counts = dict(zip(coded.dtype.categories, np.bincount(coded.to_physical()), strict=False))
    shares = np.array([counts.get(category, 0) for category in categories]) / len(column)
    return np.sqrt(shares * (1 - shares))
