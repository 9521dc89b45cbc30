"""Gradient boosting by CatBoost: categories as they are, missing numbers as NaN.

It writes no files, and what it says goes to the log and never to stdout.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import polars as pl

from modelyard.errors import InvalidArgument, InvalidTable
from modelyard.models_registry.base import Fit, FitTask, Labels, ModelClass, Predictor, Progress
from modelyard.models_registry.catboost.predictor import CatBoostPredictor
from modelyard.models_registry.hyperparams import Hyperparam
from modelyard.schemas import LearningCurve
from modelyard.tables.contract import Contract

_SOURCE_PLACE = re.compile(r"^\s*\S+\.(?:cpp|h):\d+:\s*")
DEFAULT_L2_LEAF_REG = 3.0
_ITERATION = re.compile(r"(?P<iteration>\d+):\t(?:learn: (?P<learn>\S+))?(?:\ttest: (?P<test>\S+))?")
_EXACT_INTEGERS = 2**24
_ONE_FIT = threading.Lock()
"""CatBoost's output streams belong to the process: it refuses a second fit that names its own.

It also refuses one that begins while another thread makes a Pool. So a process that fits does not predict meanwhile;
runs have processes of their own.
"""

logger = logging.getLogger(__name__)


class CatBoostClassifierClass(ModelClass):
    """CatBoost's CatBoostClassifier on the table as it is."""

    key = "catboost_classifier"
    title = "CatBoost classifier"
    description = (
        "Gradient boosted trees: usually the more accurate, slower to train. Takes categories and missing cells as "
        "they are, needs no scaling, finds interactions by itself."
    )
    import_path = "catboost.CatBoostClassifier"
    libraries = ("catboost",)
    preloads = ("catboost",)
    rehearsal: ClassVar[Mapping[str, Any]] = MappingProxyType({"iterations": 2})
    framework = "CatBoost"
    reads_enums = True
    gains_by_batching = True
    hyperparams = (
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
        Hyperparam("random_seed", ("int",), 0, "The seed of all that is random.", minimum=0, maximum=2**32 - 1),
        Hyperparam(
            "auto_class_weights",
            ("str",),
            None,
            "Weighs the rows of rare classes more: so that every class counts the same, or the square root of that.",
            nullable=True,
            choices=("Balanced", "SqrtBalanced"),
        ),
        Hyperparam(
            "early_stopping_rounds",
            ("int",),
            None,
            "Stop after so many iterations without a better loss on the held-out rows; null: never.",
            nullable=True,
            minimum=1,
            maximum=1_000_000,
        ),
    )

    def fit(self, task: FitTask) -> Fit:
        """Fit with early stopping if there are held-out rows and the hyperparams ask for it."""
        from catboost import CatBoostError

        estimator = _estimator(task)
        listener = _Listener(task)
        try:
            with _ONE_FIT:
                estimator.fit(
                    task.frame,
                    _labels(task.labels, task.contract),
                    verbose=listener.speaks,
                    log_cout=listener.take,
                    log_cerr=lambda line: _log(logging.WARNING, line),
                    **_fit_arguments(task),
                )
        except CatBoostError as error:
            raise _explained(error, task) from error
        listener.end()
        curve = _learning_curve(estimator)
        return Fit(estimator, learning_curve=curve, iterations=_keep_the_best(estimator, task))

    def predictor(self, estimator: Any, contract: Contract) -> Predictor:
        """Take CatBoost's own shortest way."""
        return CatBoostPredictor(estimator, contract)

    def feature_importances(self, estimator: Any, contract: Contract, frame: pl.DataFrame) -> dict[str, float] | None:
        """Return CatBoost's PredictionValuesChange: percentages that sum to 100."""
        values = estimator.get_feature_importance()
        return dict(zip(contract.feature_names, np.asarray(values).tolist(), strict=True))


def _end_after(iterations: int) -> SimpleNamespace:
    """Return CatBoost's callback that ends a fit after some iterations.

    That keeps the learning rate of the iterations that were asked for; to ask for fewer would raise it. Before each
    call CatBoost makes Python lists of all losses so far: from some thousand iterations on that costs seconds.
    """
    return SimpleNamespace(after_iteration=lambda info: bool(info.iteration < iterations))


class _Listener:
    """Hears a line each iteration from CatBoost: reports progress, and logs every `verbose`-th line."""

    def __init__(self, task: FitTask) -> None:
        self._total = task.iterations or task.hyperparams["iterations"]
        self._on_progress = task.on_progress
        self._log_period = int(task.hyperparams["verbose"])
        self._said = Progress(0, self._total)
        self.raised: BaseException | None = None

    @property
    def speaks(self) -> bool:
        """Whether anybody listens."""
        return self._on_progress is not None or self._log_period > 0

    def take(self, line: str) -> None:
        """Take a line."""
        found = _ITERATION.match(line)
        if found is None:
            _log(logging.INFO, line)
            return
        iteration = int(found["iteration"])
        if self._log_period and (iteration % self._log_period == 0 or iteration + 1 == self._total):
            _log(logging.INFO, line)
        loss = found["test"] or found["learn"]
        self._report(Progress(iteration + 1, self._total, None if loss is None else float(loss)))

    def end(self) -> None:
        """Report the end of the fit if its last line was lost, and raise what the listener raised."""
        if self._said.step < self._total:
            self._report(Progress(self._total, self._total, self._said.metric))
        if self.raised is not None:
            raise self.raised

    def _report(self, progress: Progress) -> None:
        self._said = progress
        if self._on_progress is not None and self.raised is None:
            try:
                self._on_progress(progress)
            except BaseException as error:  # noqa: BLE001 - CatBoost would pass over it; the fit raises it at its end
                self.raised = error


def _log(level: int, line: str) -> None:
    if line.strip():
        logger.log(level, "%s", line.rstrip())


def _estimator(task: FitTask) -> Any:
    from catboost import CatBoostClassifier

    given = {
        name: value
        for name, value in task.hyperparams.items()
        if value is not None and name not in ("early_stopping_rounds", "verbose")
    }
    if given.get("l2_leaf_reg") == DEFAULT_L2_LEAF_REG:
        del given["l2_leaf_reg"]  # CatBoost chooses a learning rate only if this is not given
    types = task.contract.feature_types
    return CatBoostClassifier(
        **given,
        verbose=False,
        cat_features=[name for name, feature_type in types.items() if feature_type == "categorical"],
        allow_writing_files=False,
    )


def _fit_arguments(task: FitTask) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if task.validation is not None:
        frame, labels = task.validation
        # use_best_model would also change the learning rate that CatBoost chooses, so the best is cut out afterwards.
        arguments |= {"eval_set": (frame, _labels(labels, task.contract)), "use_best_model": False}
        arguments["early_stopping_rounds"] = task.hyperparams["early_stopping_rounds"]
    if task.iterations is not None:
        arguments["callbacks"] = [_end_after(task.iterations)]
    return arguments


def _labels(labels: Labels, contract: Contract) -> Labels:
    """Return labels that CatBoost tells apart: it reads integers as float32, so large ones are given as texts."""
    if any(abs(label) > _EXACT_INTEGERS for label in contract.classes if isinstance(label, int)):
        return labels.astype(str).astype(object)
    return labels


def _learning_curve(estimator: Any) -> LearningCurve | None:
    losses = estimator.get_evals_result()
    if not losses.get("learn"):
        return None
    train = next(iter(losses["learn"].values()))
    validation = next(iter(losses["validation"].values())) if "validation" in losses else None
    return LearningCurve(metric="log_loss", train=train, validation=validation)


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
