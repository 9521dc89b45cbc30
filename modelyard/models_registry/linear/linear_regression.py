"""Linear regression by scikit-learn's Ridge, behind the columns that the linear model classes share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelyard.models_registry.base import FitTask, Predictor
from modelyard.models_registry.hyperparams import Hyperparam
from modelyard.models_registry.linear.pipeline import LinearModelClass
from modelyard.models_registry.linear.predictor import RidgePredictor
from modelyard.models_registry.ranges import Range
from modelyard.tables.contract import Contract

SOLVERS = ("auto", "sparse_cg", "sag")
"""Those that take every table: the others refuse the sparse features that many categories make."""

SMALL_ALPHA = 1e-3
"""Below it the direct solvers break down: the one-hot columns of a category add up to 1, so weights are not unique."""


class LinearRegressionClass(LinearModelClass):
    """scikit-learn's Ridge behind imputation, scaling and one-hot encoding."""

    key = "linear_regression"
    title = "Linear regression"
    description = (
        "A linear model for numbers: fast to train and to ask, its weights can be read. Numbers are standardised, "
        "categories one-hot encoded, large weights penalised (ridge). A good baseline, and often all that is needed."
    )
    import_path = "sklearn.linear_model.Ridge"
    task = "regression"
    step = "regressor"
    rehearsal = None  # logistic regression's has made nearly all that is made at the first use
    search_space = (Range("alpha", 1e-2, 1e4, log=True),)
    hyperparams = (
        Hyperparam(
            "alpha",
            ("float",),
            1.0,
            "Strength of the l2 penalty on the weights: larger values penalise more, 0 not at all.",
            minimum=0,
            maximum=1e100,
        ),
        Hyperparam(
            "solver",
            ("str",),
            "auto",
            "The algorithm that finds the weights; 'auto' takes the one that suits the table.",
            choices=SOLVERS,
        ),
        Hyperparam(
            "max_iter",
            ("int",),
            None,
            "The most iterations that 'sparse_cg' and 'sag' may take; null: as many as they allow themselves.",
            nullable=True,
            minimum=1,
            maximum=1_000_000,
        ),
        Hyperparam(
            "tol",
            ("float",),
            1e-6,
            "How exactly 'sparse_cg' and 'sag' find the weights: smaller is more exact and slower.",
            exclusive_minimum=0,
            maximum=1,
        ),
        Hyperparam(
            "random_state", ("int",), 0, "The seed of the solver 'sag', which shuffles.", minimum=0, maximum=2**32 - 1
        ),
    )

    def fit_model(self, task: FitTask, features: Any) -> Any:
        """Fit Ridge with its own hyperparams; 'auto' is 'sparse_cg' if Ridge's own choice would break down."""
        from sklearn.linear_model import Ridge

        given = dict(task.hyperparams)
        if given["solver"] == "auto" and given["alpha"] < SMALL_ALPHA:
            given["solver"] = "sparse_cg"
        return Ridge(**given).fit(features, task.labels, sample_weight=task.weights)

    def advice(self, iterations: int, hyperparams: Mapping[str, Any], said: str) -> str:
        """Name what makes the iterations enough."""
        return "a larger max_iter, a larger tol or solver 'auto' may fit better"

    def predictor(self, estimator: Any, contract: Contract) -> Predictor:
        """Fold the pipeline into lookups and sums."""
        return RidgePredictor(estimator, contract)
