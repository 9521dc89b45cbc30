"""A training from a checked table to a fitted estimator and its report: evaluate, then fit on all rows.

It knows no doors, storage or names, and leaves the meaning of targets and scores to the task. So it can run in any
process and for any task.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from modelyard.errors import InvalidArgument
from modelyard.ml_core.deciding.calibration import Calibration
from modelyard.ml_core.tasks.base import FALLBACK, Part, Rows, Scores, Splits
from modelyard.ml_core.training.calibrating import FOLDS, calibrated, inner_parts, not_calibrated
from modelyard.ml_core.training.counted_rows import (
    counted,
    early_stopping_rows,
    fit_weights,
    known_classes,
    narrowed,
    unseen_classes,
    widened,
)
from modelyard.ml_core.training.doubts import doubts
from modelyard.ml_core.training.evaluation import FittedPart, Validation, judge, mean_curve
from modelyard.ml_core.training.monotone import check_monotone
from modelyard.ml_core.training.plan import Trained, TrainingPlan, check_plan
from modelyard.ml_core.training.progress import OnTrainingProgress, ProgressStream
from modelyard.ml_core.training.role_splits import split_by_roles
from modelyard.ml_core.validation_predictions import ValidationPredictions
from modelyard.models_registry.base import Fit, FitTask
from modelyard.schemas import ModelWarning, Report
from modelyard.tables import profile_columns
from modelyard.tables.checks import check_table
from modelyard.tables.contract import as_text

_LookedAt = tuple[dict[str, dict[str, Any]], tuple[ModelWarning, ...]]
"""The profile of each column, and the findings of the table."""


def run_training(plan: TrainingPlan, on_progress: OnTrainingProgress | None = None) -> Trained:
    """Evaluate, then fit on all rows, and report.

    `on_progress` gets one stream over all fits, `step` of a `total` that stays the same; what it raises ends the
    training. Raises what `check_plan` raises, InvalidTable for a fit whose scores are not numbers, and
    FailedPrecondition for one that does not hold to `monotone`.
    """
    started = time.perf_counter()
    check_plan(plan)
    with ThreadPoolExecutor(1, "profile") as side:
        looked_at = side.submit(lambda: (profile_columns(plan.table), check_table(plan.table)))
        trained = _train(plan, on_progress, looked_at)
    return replace(trained, seconds=time.perf_counter() - started)


def _train(plan: TrainingPlan, on_progress: OnTrainingProgress | None, looked_at: Future[_LookedAt]) -> Trained:
    task, contract, truth, weights = plan.task, plan.table.contract, plan.table.codes, plan.table.weights
    splits = split_by_roles(plan.evaluation, plan.table) or task.split(plan.evaluation, plan.table)
    n_parts, fits_a_part = len(splits.parts), 1 if plan.calibrate is None else 1 + FOLDS
    fits = Fits(plan, ProgressStream(on_progress, (n_parts + 1) * fits_a_part, n_parts))

    parts, splits = _evaluate(fits, splits)
    validation = judge(parts, task, plan.evaluation.seed) if parts else None
    iterations = validation.iterations if validation else None
    calibration = fits.calibration(np.arange(len(truth)), iterations)
    final = fits.fit(iterations=iterations)

    metrics = {
        **task.training_metrics(truth, calibrated(fits.scores(final), calibration), weights),
        **(validation.metrics if validation else {}),
    }
    columns, checked = looked_at.result()
    warnings = (*plan.table.warnings, *checked, *_warnings(plan, splits, final, parts), *fits.doubts)
    judged: dict[str, Any] = {}
    if validation is not None:
        worries = task.warnings(validation.truth, validation.scores, contract)
        warnings = (*warnings, *worries, *doubts(plan.model_class.task, metrics, *validation.drawn))
        judged = task.judged(validation.truth, validation.scores, contract, validation.weights)
    report = Report(
        metrics=metrics,
        **judged,
        learning_curve=validation.learning_curve if validation else mean_curve([final.learning_curve]),
        feature_importances=_finite(plan.model_class.feature_importances(final.estimator, fits.contract, fits.frame)),
        columns=columns,
        rows=_row_counts(len(truth), splits.parts, validation),
        warnings=list(warnings),
    )
    kept = None
    if validation is not None:
        kept = ValidationPredictions.of(
            validation.rows, validation.truth, validation.scores, validation.weights, validation.groups
        )
    return Trained(final.estimator, metrics, report, warnings, splits.evaluation, kept, calibration)


def _evaluate(fits: Fits, splits: Splits) -> tuple[list[FittedPart], Splits]:
    """Fit the parts. If one cannot be fitted (all its columns are constant), the model is not validated.

    If the whole table cannot be fitted either, the final fit raises.
    """
    try:
        return [fits.held_out(part) for part in splits.parts], splits
    except InvalidArgument as error:
        message = f"the model is not validated, because it could not be fitted to a part of the rows: {error.detail}"
        warnings = (*splits.warnings, ModelWarning(code=FALLBACK, message=message))
        return [], Splits(splits.evaluation.model_copy(update={"method": "none"}), warnings=warnings)


class Fits:
    """The fits of one training: same model class, hyperparams and contract, different rows.

    `frame` and `contract` are as the model class sees them: expanded.
    """

    def __init__(self, plan: TrainingPlan, stream: ProgressStream) -> None:
        self._plan = plan
        self._stream = stream
        self._targets = plan.task.targets(plan.table)
        self.doubts: tuple[ModelWarning, ...] = ()
        self.contract = plan.table.contract.expanded
        frame = plan.table.contract.expand(plan.table.frame)
        self.frame = frame if plan.model_class.reads_enums else as_text(frame)

    def held_out(self, part: Part) -> FittedPart:
        """Fit a part of the rows and score the part held out; the estimator is let go."""
        fit = self.fit(part)
        table, rows, weights = self._plan.table, part.validation, self._plan.table.weights
        held_weights, fitted_weights = (None, None) if weights is None else (weights[rows], weights[part.train])
        return FittedPart(
            replace(fit, estimator=None),
            rows=rows,
            truth=table.codes[rows],
            scores=calibrated(self.scores(fit, part), self.calibration(part.train, fit.iterations)),
            baseline=self._plan.task.baseline(
                table.codes[part.train], table.codes[rows], table.contract, fitted_weights, held_weights
            ),
            weights=held_weights,
            groups=None if table.groups is None else table.groups[rows],
        )

    def calibration(self, rows: Rows, iterations: int | None) -> Calibration | None:
        """Calibrate a fit of some rows by fits of their folds; None if that was not asked for, or cannot be done."""
        method, table = self._plan.calibrate, self._plan.table
        if method is None:
            return None
        try:
            parts = inner_parts(table, rows, self._plan.evaluation.seed)
            scored = [self.scores(self.fit(part, iterations, alone=True), part) for part in parts]
        except InvalidArgument as error:
            self.doubts = not_calibrated(error.detail)
            return None
        out = np.concatenate([part.validation for part in parts])
        weights = None if table.weights is None else table.weights[out]
        return Calibration.fit(method, table.codes[out], np.concatenate(scored), weights)

    def fit(self, part: Part | None = None, iterations: int | None = None, *, alone: bool = False) -> Fit:
        """Fit the rows of a part with the others held out (with `alone` nothing is learned of those), or all rows."""
        table, frame, targets = self._plan.table, self.frame, self._targets
        if part is None:
            self._stream.begin_final()
        rows = np.arange(len(targets)) if part is None else part.train
        rows, out = counted(rows, table), None if part is None or alone else early_stopping_rows(table, part)
        is_all = len(rows) == len(targets)
        task = FitTask(
            frame=frame if is_all else frame[rows],
            labels=targets if is_all else targets[rows],
            contract=narrowed(self.contract, known_classes(table, part)),
            hyperparams=self._plan.hyperparams,
            validation=None if out is None else (frame[out], targets[out]),
            iterations=iterations,
            on_progress=self._stream.listener(held_out=out is not None),
            weights=fit_weights(rows, table),
            validation_weights=fit_weights(out, table),
            monotone=self._plan.monotone,
        )
        fit = self._plan.model_class.fit(task)
        self._stream.end_fit()
        return fit

    def scores(self, fit: Fit, part: Part | None = None) -> Scores:
        """Return a fit's scores of the rows held out, or of all rows, of which monotone is checked; shape (n, k)."""
        known = known_classes(self._plan.table, part)
        predictor = self._plan.model_class.predictor(fit.estimator, narrowed(self.contract, known))
        if part is None:
            check_monotone(predictor, self._plan.monotone, self.frame)
        scores = predictor.many(self.frame if part is None else self.frame[part.validation])
        return self._plan.task.checked(widened(scores, known, self.contract))


def _warnings(plan: TrainingPlan, splits: Splits, final: Fit, parts: Sequence[FittedPart]) -> tuple[ModelWarning, ...]:
    """Return the warnings of evaluation and fits; what only the evaluation's fits said is marked so, and said once."""
    said = {(warning.code, warning.column) for warning in final.warnings}
    in_evaluation: dict[tuple[str, str | None], ModelWarning] = {}
    for part in parts:
        for warning in part.fit.warnings:
            key = (warning.code, warning.column)
            if key not in said and key not in in_evaluation:
                in_evaluation[key] = warning.model_copy(update={"message": f"in the evaluation: {warning.message}"})
    stops_late: tuple[ModelWarning, ...] = ()
    if plan.evaluation.method != splits.evaluation.method and plan.stops_early:
        stops_late = (ModelWarning(code=FALLBACK, message="without a validation there was no early stopping"),)
    unseen = unseen_classes(splits.parts, plan.table)
    return (*splits.warnings, *unseen, *stops_late, *final.warnings, *in_evaluation.values())


def _row_counts(total: int, parts: Sequence[Part], validation: Validation | None) -> dict[str, int]:
    """Count rows: in all, fitted and held out; cross-validation fits every row and holds each out once."""
    train = len(parts[0].train) if len(parts) == 1 else total
    return {"total": total, "train": train, "validation": len(validation.truth) if validation else 0}


def _finite(importances: Mapping[str, float] | None) -> dict[str, float] | None:
    """Return importances as plain floats; None if they broke down, because a ranking with holes says nothing."""
    if importances is None or not all(map(math.isfinite, importances.values())):
        return None
    return {name: float(value) for name, value in importances.items()}
