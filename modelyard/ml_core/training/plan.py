"""A training as it is ordered, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelyard.errors import FieldError, InvalidHyperparams
from modelyard.ml_core.tasks import TASKS, Task
from modelyard.ml_core.validation_predictions import ValidationPredictions
from modelyard.models_registry.base import ModelClass
from modelyard.schemas import Evaluation, ModelWarning, Report
from modelyard.tables.contract import TrainingTable


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """All that a training needs; `hyperparams` are checked one by one and complete."""

    model_class: ModelClass
    hyperparams: dict[str, Any]
    evaluation: Evaluation
    table: TrainingTable

    @property
    def task(self) -> Task:
        """The task of the model class."""
        return TASKS[self.model_class.task]

    @property
    def stops_early(self) -> bool:
        """Whether the hyperparams ask for early stopping."""
        return self.hyperparams.get(self.model_class.early_stopping) is not None


@dataclass(frozen=True, slots=True)
class Trained:
    """A fitted estimator and how good it is.

    `warnings` are the table's, the evaluation's and the fits'; `evaluation` is what was really done; `seconds` is the
    wall time of it all. `validation` is None if no rows were held out.
    """

    estimator: Any
    metrics: dict[str, float | None]
    report: Report
    warnings: tuple[ModelWarning, ...]
    evaluation: Evaluation
    validation: ValidationPredictions | None = None
    seconds: float = 0.0


def check_plan(plan: TrainingPlan) -> None:
    """Refuse, before anything is fitted, what cannot work.

    Raises InvalidHyperparams for hyperparams that do not go with each other or with the number of classes, and for
    early stopping without a validation to stop by.
    """
    errors = plan.model_class.rules(plan.hyperparams, len(plan.table.contract.classes))
    if plan.evaluation.method == "none" and plan.stops_early:
        name = plan.model_class.early_stopping
        value = plan.hyperparams[name]
        message = (
            f"hyperparam {name!r} must be null with evaluation method 'none', got {value!r}: "
            "early stopping needs held-out rows; choose 'holdout' or 'cv'"
        )
        errors = [*errors, FieldError(("hyperparams", name), message, value)]
    if errors:
        raise InvalidHyperparams.of(errors)
