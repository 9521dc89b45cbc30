"""What a model class is: its hyperparams, how it is fitted, and how a fitted one predicts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from modelyard.errors import FieldError
from modelyard.models_registry.contributions import Contributions
from modelyard.models_registry.hyperparams import Hyperparam
from modelyard.models_registry.predictors import EstimatorPredictor
from modelyard.models_registry.ranges import Range
from modelyard.schemas import LearningCurve, ModelWarning
from modelyard.tables.contract import Contract

Labels = npt.NDArray[Any]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fit is: `step` of `total`, and the loss there if the model class knows one."""

    step: int
    total: int
    metric: float | None = None


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class FitTask:
    """All that a fit needs. Its contract is expanded: every column is numeric or categorical.

    `frame` is a Table's frame (n rows, the contract's columns; its categorical columns are Enum for a model class that
    `reads_enums`, else String). `labels` are the n targets themselves: numbers (float64) for regression, else labels
    (int64, bool or object array of str), every class of the contract among them. `validation` is a held-out frame and
    its targets, for learning curves and early stopping; without it there is no early stopping.

    `weights` say how much each of the n rows counts, positive and 1 on average; None: all count alike.
    `validation_weights` are those of the held-out rows, there if `weights` and `validation` are.

    `monotone` has numeric columns by which the answer must only rise (1) or only fall (-1): the probability of the
    second of two classes, or for regression the number. Only a model class that `takes_monotone` is given any.
    """

    frame: pl.DataFrame
    labels: Labels
    contract: Contract
    hyperparams: Mapping[str, Any]
    validation: tuple[pl.DataFrame, Labels] | None = None
    iterations: int | None = None
    on_progress: OnProgress | None = None
    weights: Numbers | None = None
    validation_weights: Numbers | None = None
    monotone: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted estimator of the library's own class, and what its fit had to say.

    `iterations` is the best number found by early stopping, if there was any: the final fit takes it
    (as FitTask.iterations).
    """

    estimator: Any
    warnings: tuple[ModelWarning, ...] = ()
    learning_curve: LearningCurve | None = None
    iterations: int | None = None


class Predictor(Protocol):
    """A fitted estimator made ready to answer with k numbers a row.

    They are probabilities in the order of the contract's k classes, or for regression the one value.
    """

    size_bytes: int

    def few(self, rows: Sequence[Sequence[float | str]]) -> list[list[float]]:
        """Return the k numbers of each of a few checked rows.

        A row has the contract's columns in order: floats (NaN if missing) and category texts as in Table.
        """
        ...

    def many(self, frame: pl.DataFrame) -> Numbers:
        """Return the numbers of a checked frame's n rows, shape (n, k)."""
        ...


class ModelClass(ABC):
    """An algorithm of the registry. One instance each; it holds no state.

    All that others must know of it is declared here; what has a default may be left out.
    """

    key: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    import_path: ClassVar[str]
    libraries: tuple[str, ...]
    """The distributions whose version a fitted estimator depends on."""
    hyperparams: tuple[Hyperparam, ...]
    search_space: ClassVar[tuple[Range, ...]] = ()
    """What a search tries; without any it tries the defaults alone."""
    search_turns: ClassVar[int] = 1
    """How many of a search's trials the class has to one of another: more if it is quick and has many ranges."""
    task: str = "classification"
    """What it predicts: a key of `ml_core.tasks.TASKS`."""
    preloads: ClassVar[tuple[str, ...]] = ()
    """The modules that fitting, unpickling and predicting import when they come to it; servers import them before."""
    rehearsal: ClassVar[Mapping[str, Any] | None] = None
    """The hyperparams of a quick fit by which a process gets ready for a run; None: the class is not rehearsed."""
    framework: ClassVar[str | None] = None
    """ClearML's name of the library; None: as other model classes of the same library declare it."""
    early_stopping: ClassVar[str] = "early_stopping_rounds"
    """The hyperparam that asks for early stopping, by rows held out, unless it is null; a class need not have it."""
    reads_enums: bool = False
    """Whether fits and predictors take categorical columns as Enum, too."""
    takes_weights: bool = False
    """Whether fits heed the weights of rows; a class that does not is refused for a table with weights."""
    takes_monotone: bool = False
    """Whether fits heed `FitTask.monotone`."""
    gains_by_batching: bool = False
    """Whether rows of several callers are better scored in one call.

    That is so if the library takes longer to be called than to score a row, and gives a row the same bits alone and
    among others.
    """

    def rules(self, hyperparams: Mapping[str, Any], n_classes: int | None) -> list[FieldError]:
        """Return the errors between hyperparams that are each right alone.

        `n_classes` is None before the labels are known, and 0 for regression.
        """
        return []

    @abstractmethod
    def fit(self, task: FitTask) -> Fit:
        """Fit a new estimator."""

    def predictor(self, estimator: Any, contract: Contract) -> Predictor:
        """Make a fitted estimator ready to answer; by default through its own `predict_proba` or `predict`."""
        return EstimatorPredictor(estimator, contract)

    def feature_importances(self, estimator: Any, contract: Contract, frame: pl.DataFrame) -> dict[str, float] | None:
        """Return one non-negative importance a column, or None if the algorithm has none.

        `frame` is what the estimator was fitted to.
        """
        return None

    def contributions(self, predictor: Any, frame: pl.DataFrame) -> Contributions | None:
        """Take the raw scores of a checked frame's n rows apart, n at least 1; None: the class cannot explain.

        `predictor` is what `predictor` returned. A class that brings this method is named among those that explain.
        """
        return None
