"""A training as it is ordered, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelyard.errors import FieldError, InvalidHyperparams, InvalidRequest, InvalidTable
from modelyard.ml_core.deciding.calibration import Calibration
from modelyard.ml_core.tasks import TASKS, Task
from modelyard.ml_core.validation_predictions import ValidationPredictions
from modelyard.models_registry.base import ModelClass
from modelyard.schemas import CalibrationMethod, Evaluation, ModelWarning, Report
from modelyard.schemas.showing import shown
from modelyard.tables.contract import TrainingTable


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """All that a training needs; `hyperparams` are checked one by one and complete, `monotone` is checked."""

    model_class: ModelClass
    hyperparams: dict[str, Any]
    evaluation: Evaluation
    table: TrainingTable
    monotone: dict[str, int] = field(default_factory=dict)
    calibrate: CalibrationMethod | None = None

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
    wall time of it all. `validation` is None if no rows were held out, `calibration` if it was not asked for.
    """

    estimator: Any
    metrics: dict[str, float | None]
    report: Report
    warnings: tuple[ModelWarning, ...]
    evaluation: Evaluation
    validation: ValidationPredictions | None = None
    calibration: Calibration | None = None
    seconds: float = 0.0


def check_plan(plan: TrainingPlan) -> None:
    """Refuse, before anything is fitted, what cannot work.

    Raises InvalidHyperparams for hyperparams that do not go with each other or with the number of classes, and for
    early stopping without a validation to stop by; InvalidRequest for roles that the evaluation or the model class
    needs or does not know.
    """
    check_roles(plan.table, plan.evaluation, plan.model_class)
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


def check_roles(table: TrainingTable, evaluation: Evaluation, model_class: ModelClass | None) -> None:
    """Refuse roles that the evaluation or the model class (None: any) needs or does not know.

    Raises InvalidRequest, and InvalidTable for a class whose rows all have the weight 0.
    """
    errors = []
    if evaluation.method == "time" and table.times is None:
        message = (
            "evaluation method 'time' needs a column with the role 'time' to tell which rows are the latest: "
            "say which, such as column_roles {\"visited\": \"time\"}, or choose 'holdout' or 'cv'"
        )
        errors.append(FieldError(("evaluation", "method"), message, "time"))
    name = table.named_for("weight")
    if name is not None and model_class is not None and not model_class.takes_weights:
        message = (
            f"column {name!r} cannot have the role 'weight' with model class {model_class.key!r}, which does not "
            "heed weights; choose another model class, or 'ignore'"
        )
        errors.append(FieldError(("column_roles", name), message, "weight"))
    if errors:
        raise InvalidRequest.of(errors)
    _check_weights_of_classes(table)


def _check_weights_of_classes(table: TrainingTable) -> None:
    """Refuse a class that is in the table, but has no row that counts. Raises InvalidTable."""
    if table.weights is None or not table.contract.classes:
        return
    sums = np.bincount(table.codes, weights=table.weights, minlength=len(table.contract.classes))
    if not sums.all():
        name, label = table.named_for("weight") or "", table.contract.classes[int(sums.argmin())]
        message = f"column {name!r} gives all rows of the class {shown(label)} the weight 0; leave these rows out"
        raise InvalidTable.of([FieldError(("X", name), message)])
