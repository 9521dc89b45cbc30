"""What the model classes of CatBoost share: categories as they are, missing numbers as NaN, early stopping.

A fit writes no files, and what CatBoost says goes to the log and never to stdout.
"""

from __future__ import annotations

import logging
import re
import threading
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import polars as pl

from modelyard.errors import InvalidArgument, InvalidTable
from modelyard.models_registry.base import Fit, FitTask, Labels, ModelClass
from modelyard.models_registry.catboost.listening import Listener, end_after, log_line
from modelyard.models_registry.contributions import Contributions
from modelyard.models_registry.hyperparams import Hyperparam
from modelyard.models_registry.ranges import Range
from modelyard.schemas import LearningCurve
from modelyard.tables.contract import Contract

DEFAULT_L2_LEAF_REG = 3.0
BOOSTING = (
    Hyperparam("iterations", ("int",), 300, "The number of trees.", minimum=1, maximum=1_000_000),
    Hyperparam(
        "learning_rate",
        ("float",),
        None,
        "The step of each tree; null: chosen by CatBoost from the number of rows and iterations.",
        nullable=True,
        exclusive_minimum=0,
        maximum=1,
    ),
    Hyperparam("depth", ("int",), 6, "The depth of each tree.", minimum=1, maximum=16),
    Hyperparam(
        "verbose",
        ("bool", "int"),
        False,
        "Whether CatBoost logs its progress: true: each iteration, a number: every so many, false or 0: never.",
        minimum=0,
        maximum=1_000_000,
    ),
    Hyperparam(
        "l2_leaf_reg",
        ("float",),
        DEFAULT_L2_LEAF_REG,
        "The l2 penalty on the values of the leaves.",
        minimum=0,
        maximum=1e30,
    ),
    Hyperparam(
        "one_hot_max_size",
        ("int",),
        10,
        "A column with at most so many categories is one-hot encoded, one with more by statistics of the target, which "
        "take longer; 2 is CatBoost's own default.",
        minimum=1,
        maximum=255,
    ),
    Hyperparam(
        "rsm",
        ("float",),
        1.0,
        "The share of the columns that each level of a tree may split by.",
        exclusive_minimum=0,
        maximum=1,
    ),
    Hyperparam("random_seed", ("int",), 0, "The seed of all that is random.", minimum=0, maximum=2**32 - 1),
)
EARLY_STOPPING = Hyperparam(
    "early_stopping_rounds",
    ("int",),
    None,
    "Stop after so many iterations without a better loss on the held-out rows; null: never.",
    nullable=True,
    minimum=1,
    maximum=1_000_000,
)

ROWS_FOR_THREADS = 5_000
"""Below this one thread is as quick, and takes a tenth less of the processor; it finds the same trees."""

_SOURCE_PLACE = re.compile(r"^\s*\S+\.(?:cpp|h):\d+:\s*")
_ONE_FIT = threading.Lock()
"""CatBoost's output streams belong to the process: it refuses a second fit that names its own.

It also refuses one that begins while another thread makes a Pool. So a process that fits does not predict meanwhile;
runs have processes of their own.
"""


class CatBoostModelClass(ModelClass):
    """Gradient boosting by CatBoost on the table as it is."""

    loss: ClassVar[str]
    """Our name of the loss that CatBoost minimises."""
    libraries = ("catboost",)
    preloads = ("catboost",)
    rehearsal: ClassVar[Mapping[str, Any] | None] = MappingProxyType({"iterations": 2})
    framework = "CatBoost"
    search_space = (
        Range("depth", 3, 6),
        Range("learning_rate", 0.04, 0.2, log=True),
        Range("l2_leaf_reg", 1.0, 20.0, log=True),
        Range("rsm", 0.3, 1.0),
    )
    reads_enums = True
    takes_weights = True
    takes_monotone = True
    gains_by_batching = True

    @abstractmethod
    def library_class(self) -> type[Any]:
        """Return CatBoost's own class of estimators, which this imports."""

    def labels(self, labels: Labels, contract: Contract) -> Labels:
        """Return the targets as CatBoost has to be given them."""
        return labels

    def fit(self, task: FitTask) -> Fit:
        """Fit with early stopping if there are held-out rows and the hyperparams ask for it."""
        from catboost import CatBoostError

        estimator = self._estimator(task)
        listener = Listener(task)
        try:
            with _ONE_FIT:
                estimator.fit(
                    task.frame,
                    self.labels(task.labels, task.contract),
                    sample_weight=task.weights,
                    verbose=listener.speaks,
                    log_cout=listener.take,
                    log_cerr=lambda line: log_line(logging.WARNING, line),
                    **self._fit_arguments(task),
                )
        except CatBoostError as error:
            raise _explained(error, task) from error
        listener.end()
        curve = self._learning_curve(estimator)
        return Fit(estimator, learning_curve=curve, iterations=_keep_the_best(estimator, task))

    def feature_importances(self, estimator: Any, contract: Contract, frame: pl.DataFrame) -> dict[str, float] | None:
        """Return CatBoost's PredictionValuesChange: percentages that sum to 100."""
        values = estimator.get_feature_importance()
        return dict(zip(contract.feature_names, np.asarray(values).tolist(), strict=True))

    def contributions(self, predictor: Any, frame: pl.DataFrame) -> Contributions | None:
        """Return CatBoost's own TreeSHAP."""
        found: Contributions = predictor.contributions(frame)
        return found

    def monotone_arguments(self, task: FitTask) -> dict[str, Any]:
        """Return CatBoost's own arguments for the monotone columns of a task."""
        return {"monotone_constraints": [task.monotone.get(name, 0) for name in task.contract.feature_names]}

    def _estimator(self, task: FitTask) -> Any:
        given = {
            name: value
            for name, value in task.hyperparams.items()
            if value is not None and name not in ("early_stopping_rounds", "verbose")
        }
        if given.get("l2_leaf_reg") == DEFAULT_L2_LEAF_REG:
            del given["l2_leaf_reg"]  # CatBoost chooses a learning rate only if this is not given
        types = task.contract.feature_types
        if task.monotone:
            given |= self.monotone_arguments(task)
        return self.library_class()(
            **given,
            verbose=False,
            thread_count=1 if task.frame.height < ROWS_FOR_THREADS else -1,
            cat_features=[name for name, feature_type in types.items() if feature_type == "categorical"],
            allow_writing_files=False,
        )

    def _fit_arguments(self, task: FitTask) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        if task.validation is not None:
            frame, labels = task.validation
            held_out = self._held_out(frame, self.labels(labels, task.contract), task)
            # use_best_model would also change the learning rate that CatBoost chooses, so the best is cut out later.
            arguments |= {"eval_set": held_out, "use_best_model": False}
            arguments["early_stopping_rounds"] = task.hyperparams["early_stopping_rounds"]
        if task.iterations is not None:
            arguments["callbacks"] = [end_after(task.iterations)]
        return arguments

    def _held_out(self, frame: pl.DataFrame, labels: Labels, task: FitTask) -> Any:
        """Return the rows held out as CatBoost takes them; weights go into a Pool alone."""
        if task.validation_weights is None:
            return frame, labels
        from catboost import Pool

        types = task.contract.feature_types
        categorical = [name for name, feature_type in types.items() if feature_type == "categorical"]
        return Pool(frame, labels, cat_features=categorical, weight=task.validation_weights)

    def _learning_curve(self, estimator: Any) -> LearningCurve | None:
        losses = estimator.get_evals_result()
        if not losses.get("learn"):
            return None
        train = next(iter(losses["learn"].values()))
        validation = next(iter(losses["validation"].values())) if "validation" in losses else None
        return LearningCurve(metric=self.loss, train=train, validation=validation)


def _keep_the_best(estimator: Any, task: FitTask) -> int | None:
    """Cut the trees after the best iteration off and return its number, if early stopping was asked for."""
    if task.validation is None or task.hyperparams["early_stopping_rounds"] is None:
        return None
    from catboost import CatBoostError

    best_iteration = estimator.get_best_iteration()
    if best_iteration is None:  # no iteration could be judged
        return None
    best = int(best_iteration) + 1
    if best < estimator.tree_count_:
        with suppress(CatBoostError):  # trees that split nothing are counted, but not kept: none is left to cut off
            estimator.shrink(best)
    return best


def _explained(error: Exception, task: FitTask) -> InvalidArgument:
    message = _SOURCE_PLACE.sub("", str(error)).strip()
    if "constant or ignored" not in message:
        return InvalidArgument(f"CatBoost could not fit: {message}")
    names = ", ".join(repr(name) for name in task.frame.columns[:20])
    return InvalidTable(
        "X must have a column whose values differ (numbers by more than one part in ten million); in the rows to be "
        f"fitted these are constant: {names}"
    )
