"""Logistic regression by scikit-learn, behind the columns that the linear model classes share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from modelyard.errors import FieldError
from modelyard.models_registry.base import FitTask, Predictor
from modelyard.models_registry.hyperparams import Hyperparam
from modelyard.models_registry.linear.pipeline import LinearModelClass
from modelyard.models_registry.linear.predictor import LogisticPredictor
from modelyard.models_registry.ranges import Range
from modelyard.tables.contract import Contract

PENALTIES_OF_SOLVER = {
    "lbfgs": ("l2", "none"),
    "liblinear": ("l2", "l1"),
    "newton-cg": ("l2", "none"),
    "newton-cholesky": ("l2", "none"),
    "sag": ("l2", "none"),
    "saga": ("l2", "l1", "elasticnet", "none"),
}
BINARY_SOLVERS = frozenset({"liblinear"})


class LogisticRegressionClass(LinearModelClass):
    """scikit-learn's LogisticRegression behind imputation, scaling and one-hot encoding."""

    key = "logistic_regression"
    title = "Logistic regression"
    description = (
        "A linear model: fast to train and to ask, its weights can be read. Numbers are standardised, categories "
        "one-hot encoded. A good baseline, and often all that is needed."
    )
    import_path = "sklearn.linear_model.LogisticRegression"
    step = "classifier"
    search_space = (Range("C", 0.01, 30.0, log=True),)
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

    def fit_model(self, task: FitTask, features: Any) -> Any:
        """Fit to texts by their places among the sorted classes, because scikit-learn sorts objects slowly."""
        classifier = _classifier(task.hyperparams)
        if task.labels.dtype != object:
            return classifier.fit(features, task.labels, sample_weight=task.weights)
        codes = {label: code for code, label in enumerate(task.contract.classes)}
        places = np.fromiter(map(codes.__getitem__, task.labels), dtype=np.int64, count=len(task.labels))
        classifier.fit(features, places, sample_weight=task.weights)
        classifier.classes_ = np.array(task.contract.classes, dtype=object)[classifier.classes_]
        return classifier

    def advice(self, iterations: int, hyperparams: Mapping[str, Any], said: str) -> str:
        """Name max_iter if the solver has taken them all, else what else may help."""
        max_iter = hyperparams["max_iter"]
        if iterations >= max_iter:
            return f"it reached max_iter={max_iter}; a larger max_iter may fit better"
        return f"{said}; another solver, a larger max_iter or a smaller C may fit better"

    def predictor(self, estimator: Any, contract: Contract) -> Predictor:
        """Fold the pipeline into lookups and sums."""
        return LogisticPredictor(estimator, contract)


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
