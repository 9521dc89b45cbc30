"""Logistic regression by scikit-learn: imputer, scaler and one-hot encoder, then the linear model, in one Pipeline.

A missing number becomes its column's median; a missing category is one more category, an unknown one weighs nothing.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.errors import FieldError, InvalidTable
from modelyard.models_registry.base import Fit, FitTask, ModelClass, OnProgress, Predictor, Progress
from modelyard.models_registry.hyperparams import Hyperparam
from modelyard.models_registry.linear.features import fit_columns
from modelyard.models_registry.linear.predictor import LinearPredictor, column_weights, fitted_categories
from modelyard.schemas import ModelWarning
from modelyard.tables.contract import Contract, as_codes

PENALTIES_OF_SOLVER = {
    "lbfgs": ("l2", "none"),
    "liblinear": ("l2", "l1"),
    "newton-cg": ("l2", "none"),
    "newton-cholesky": ("l2", "none"),
    "sag": ("l2", "none"),
    "saga": ("l2", "l1", "elasticnet", "none"),
}
BINARY_SOLVERS = frozenset({"liblinear"})
LARGEST_NUMBER = 1e150
"""Above it squares, which a deviation is made of, leave the range of a float."""

_STAGES = 3


class LogisticRegressionClass(ModelClass):
    """scikit-learn's LogisticRegression behind imputation, scaling and one-hot encoding."""

    key = "logistic_regression"
    title = "Logistic regression"
    description = (
        "A linear model: fast to train and to ask, its weights can be read. Numbers are standardised, categories "
        "one-hot encoded. A good baseline, and often all that is needed."
    )
    import_path = "sklearn.linear_model.LogisticRegression"
    libraries = ("scikit-learn",)
    preloads = (
        "sklearn.compose",
        "sklearn.exceptions",
        "sklearn.impute",
        "sklearn.linear_model",
        "sklearn.pipeline",
        "sklearn.preprocessing",
    )
    rehearsal: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    framework = "ScikitLearn"
    reads_enums = True
    hyperparams = (
        Hyperparam(
            "C",
            ("float",),
            1.0,
            "Inverse strength of the penalty: smaller values penalise more. Without a penalty it has no effect.",
            exclusive_minimum=0,
        ),
        Hyperparam(
            "max_iter", ("int",), 1000, "The most iterations the solver may take.", minimum=1, maximum=1_000_000
        ),
        Hyperparam(
            "penalty",
            ("str",),
            "l2",
            "The norm of the weights that is penalised; not every solver knows every one.",
            choices=("l2", "l1", "elasticnet", "none"),
        ),
        Hyperparam(
            "solver",
            ("str",),
            "lbfgs",
            "The algorithm that finds the weights. 'liblinear' is for two classes only; 'saga' knows every penalty.",
            choices=tuple(PENALTIES_OF_SOLVER),
        ),
        Hyperparam(
            "l1_ratio",
            ("float",),
            None,
            "The share of l1 in the penalty 'elasticnet' (0: all l2, 1: all l1); needed there, and only there.",
            nullable=True,
            minimum=0,
            maximum=1,
        ),
        Hyperparam(
            "class_weight",
            ("str",),
            None,
            "'balanced' weighs the rows of rare classes more, so that every class counts the same.",
            nullable=True,
            choices=("balanced",),
        ),
        Hyperparam(
            "random_state",
            ("int",),
            0,
            "The seed of the solvers that shuffle (liblinear, sag, saga).",
            minimum=0,
            maximum=2**32 - 1,
        ),
    )

    def rules(self, hyperparams: Mapping[str, Any], n_classes: int | None) -> list[FieldError]:
        """Refuse pairs of solver and penalty, and of solver and number of classes, that cannot work."""
        return list(_conflicts(hyperparams, n_classes))

    def fit(self, task: FitTask) -> Fit:
        """Fit the pipeline; what the libraries warn of becomes the fit's warnings."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pipeline = _fit_pipeline(task)
        return Fit(pipeline, warnings=_model_warnings(caught, pipeline, task.hyperparams))

    def predictor(self, estimator: Any, contract: Contract) -> Predictor:
        """Fold the pipeline into lookups and sums."""
        return LinearPredictor(estimator, contract)

    def feature_importances(self, estimator: Any, contract: Contract, frame: pl.DataFrame) -> dict[str, float] | None:
        """Return each column's absolute standardised weights: summed over its categories, averaged over the classes.

        Numbers are standardised in the pipeline. A category is a column of zeros and ones, whose weight still has to be
        multiplied by its deviation: a rare category hardly counts, whatever its weight.
        """
        weights, categories = column_weights(estimator), fitted_categories(estimator)
        for name, found in categories.items():
            weights[name] = weights[name] * _deviations(frame[name], found)
        return {name: float(np.abs(weights[name]).sum(axis=1).mean()) for name in contract.feature_names}


def _deviations(column: pl.Series, categories: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return the standard deviation of each category's zeros and ones over the rows of a column."""
    coded = as_codes(column)
    assert isinstance(coded.dtype, pl.Enum)
    counts = dict(zip(coded.dtype.categories, np.bincount(coded.to_physical()), strict=False))
    shares = np.array([counts.get(category, 0) for category in categories]) / len(column)
    return np.sqrt(shares * (1 - shares))


def _conflicts(hyperparams: Mapping[str, Any], n_classes: int | None) -> Iterator[FieldError]:
    solver, penalty, l1_ratio = (hyperparams[name] for name in ("solver", "penalty", "l1_ratio"))
    if penalty not in PENALTIES_OF_SOLVER[solver]:
        solvers = _quoted(name for name, penalties in PENALTIES_OF_SOLVER.items() if penalty in penalties)
        message = (
            f"hyperparam 'penalty' cannot be {penalty!r} with solver {solver!r}, which can have "
            f"{_quoted(PENALTIES_OF_SOLVER[solver])}; {penalty!r} goes with solver {solvers}"
        )
        yield FieldError(("hyperparams", "penalty"), message, penalty)
    if l1_ratio is None and penalty == "elasticnet":
        message = "hyperparam 'l1_ratio' must be a number from 0 to 1 with penalty 'elasticnet', got null"
        yield FieldError(("hyperparams", "l1_ratio"), message, l1_ratio)
    if l1_ratio is not None and penalty != "elasticnet":
        message = f"hyperparam 'l1_ratio' goes with penalty 'elasticnet' only; with {penalty!r} it must be null"
        yield FieldError(("hyperparams", "l1_ratio"), f"{message}, got {l1_ratio!r}", l1_ratio)
    if n_classes is not None and n_classes > 2 and solver in BINARY_SOLVERS:
        others = _quoted(name for name in PENALTIES_OF_SOLVER if name not in BINARY_SOLVERS)
        message = f"hyperparam 'solver' cannot be {solver!r} with {n_classes} classes, only with 2; use {others}"
        yield FieldError(("hyperparams", "solver"), message, solver)


def _quoted(names: Iterable[str]) -> str:
    *others, last = map(repr, names)
    return f"{', '.join(others)} or {last}" if others else last


def _fit_pipeline(task: FitTask) -> Any:
    from sklearn.pipeline import Pipeline

    _report(task.on_progress, 0)
    _check_scale(task)
    columns = _columns(task.contract)
    features = fit_columns(columns, task.frame)
    _report(task.on_progress, 1)
    classifier = _fit_classifier(task, features)
    _report(task.on_progress, 2)
    pipeline = Pipeline([("columns", columns), ("classifier", classifier)])
    _report(task.on_progress, _STAGES)
    return pipeline


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


def _fit_classifier(task: FitTask, features: Any) -> Any:
    """Fit the linear model; to texts by their places among the sorted classes, as scikit-learn sorts objects slowly."""
    classifier = _classifier(task.hyperparams)
    if task.labels.dtype != object:
        return classifier.fit(features, task.labels)
    codes = {label: code for code, label in enumerate(task.contract.classes)}
    classifier.fit(features, np.fromiter(map(codes.__getitem__, task.labels), dtype=np.int64, count=len(task.labels)))
    classifier.classes_ = np.array(task.contract.classes, dtype=object)[classifier.classes_]
    return classifier


def _classifier(hyperparams: Mapping[str, Any]) -> Any:
    """Build the linear model. scikit-learn 1.8 deprecated `penalty`: `l1_ratio` and an infinite C say the same."""
    from sklearn.linear_model import LogisticRegression

    penalty = hyperparams["penalty"]
    return LogisticRegression(
        C=math.inf if penalty == "none" else hyperparams["C"],
        l1_ratio={"l2": 0.0, "l1": 1.0, "none": 0.0}.get(penalty, hyperparams["l1_ratio"]),
        solver=hyperparams["solver"],
        max_iter=hyperparams["max_iter"],
        class_weight=hyperparams["class_weight"],
        random_state=hyperparams["random_state"],
    )


def _model_warnings(
    caught: list[warnings.WarningMessage], pipeline: Any, hyperparams: Mapping[str, Any]
) -> tuple[ModelWarning, ...]:
    from sklearn.exceptions import ConvergenceWarning

    found: dict[ModelWarning, None] = {}  # a dict, since a solver may say the same thing often
    for warning in caught:
        text = str(warning.message).strip().split("\n")[0].rstrip(":")
        if issubclass(warning.category, ConvergenceWarning):
            found[_not_converged(text, pipeline, hyperparams)] = None
        else:
            found[ModelWarning(code="library_warning", message=f"{warning.category.__name__}: {text}")] = None
    return tuple(found)


def _not_converged(text: str, pipeline: Any, hyperparams: Mapping[str, Any]) -> ModelWarning:
    solver, max_iter = hyperparams["solver"], hyperparams["max_iter"]
    iterations = int(np.max(pipeline.named_steps["classifier"].n_iter_))
    if iterations >= max_iter:
        why = f"it reached max_iter={max_iter}; a larger max_iter may fit better"
    else:
        why = f"{text}; another solver, a larger max_iter or a smaller C may fit better"
    message = f"solver {solver!r} stopped after {iterations} iterations before it had converged: {why}"
    return ModelWarning(code="not_converged", message=message)
