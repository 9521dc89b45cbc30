"""A training from a checked table to a fitted estimator and its report: evaluate, then fit on all rows.

It knows neither doors, storage nor names, so it can run in any process. Where it stores what it made is not its affair.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from modelyard.errors import FieldError, InvalidArgument, InvalidHyperparams, InvalidTable
from modelyard.ml_core.tasks.classification.metrics import Codes, Probabilities, accuracy
from modelyard.ml_core.tasks.classification.report import build_report
from modelyard.ml_core.tasks.classification.splits import FALLBACK, Part, Splits, split_rows
from modelyard.ml_core.training.evaluation import FittedPart, Validation, judge, mean_curve
from modelyard.models_registry.base import Fit, FitTask, Labels, ModelClass, OnProgress, Progress
from modelyard.schemas import Evaluation, Label, ModelWarning, Report
from modelyard.tables import profile_columns
from modelyard.tables.contract import Contract, TrainingTable, as_text


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """All that a training needs; `hyperparams` are checked one by one and complete."""

    model_class: ModelClass
    hyperparams: dict[str, Any]
    evaluation: Evaluation
    table: TrainingTable


@dataclass(frozen=True, slots=True)
class Trained:
    """A fitted estimator and how good it is.

    `warnings` are the table's, the evaluation's and the fits'; `evaluation` is what was really done; `seconds` is the
    wall time of it all.
    """

    estimator: Any
    metrics: dict[str, float | None]
    report: Report
    warnings: tuple[ModelWarning, ...]
    evaluation: Evaluation
    seconds: float = 0.0


def run_training(plan: TrainingPlan, on_progress: OnProgress | None = None) -> Trained:
    """Evaluate, then fit on all rows, and report.

    `on_progress` gets one stream over all fits, `step` of a `total` that stays the same; what it raises ends the
    training. Raises what `check_plan` raises, and InvalidTable for a fit whose probabilities are not numbers.
    """
    started = time.perf_counter()
    check_plan(plan)
    with ThreadPoolExecutor(1, "profile") as side:
        trained = _train(plan, on_progress, side.submit(profile_columns, plan.table))
    return replace(trained, seconds=time.perf_counter() - started)


def _train(plan: TrainingPlan, on_progress: OnProgress | None, columns: Future[dict[str, dict[str, Any]]]) -> Trained:
    contract = plan.table.contract
    splits = split_rows(plan.evaluation, plan.table.codes, contract.classes)
    fits = _Fits(plan, contract, _Stream(on_progress, len(splits.parts) + 1))

    parts, splits = _evaluate(fits, splits)
    validation = judge(parts) if parts else None
    final = fits.fit(iterations=validation.iterations if validation else None)
    train_accuracy = accuracy(plan.table.codes, fits.probabilities(final))

    metrics = {"train_accuracy": train_accuracy, **(validation.metrics if validation else {})}
    warnings = (*_warnings(plan, splits, final, parts), *_never_predicted(validation, contract.classes))
    report = build_report(
        metrics=metrics,
        validation=validation,
        classes=contract.classes,
        learning_curve=validation.learning_curve if validation else mean_curve([final.learning_curve]),
        feature_importances=plan.model_class.feature_importances(final.estimator, contract, fits.frame),
        columns=columns.result(),
        rows=_row_counts(plan.table.frame.height, splits.parts, validation),
        warnings=warnings,
    )
    return Trained(final.estimator, metrics, report, warnings, splits.evaluation)


def check_plan(plan: TrainingPlan) -> None:
    """Refuse, before anything is fitted, what cannot work.

    Raises InvalidHyperparams for hyperparams that do not go with each other or with the number of classes, and for
    early stopping without a validation to stop by.
    """
    errors = plan.model_class.rules(plan.hyperparams, len(plan.table.contract.classes))
    if plan.evaluation.method == "none" and _stops_early(plan):
        value = plan.hyperparams["early_stopping_rounds"]
        message = (
            f"hyperparam 'early_stopping_rounds' must be null with evaluation method 'none', got {value!r}: "
            "early stopping needs held-out rows; choose 'holdout' or 'cv'"
        )
        errors = [*errors, FieldError(("hyperparams", "early_stopping_rounds"), message, value)]
    if errors:
        raise InvalidHyperparams.of(errors)


def _evaluate(fits: _Fits, splits: Splits) -> tuple[list[FittedPart], Splits]:
    """Fit the parts. A part that no model can be made of (all its columns constant) need not stop the training.

    If the whole table is no better, the final fit says so.
    """
    try:
        return [fits.held_out(part) for part in splits.parts], splits
    except InvalidArgument as error:
        message = f"the model is not validated, for it could not be fitted to a part of the rows: {error.detail}"
        warnings = (*splits.warnings, ModelWarning(code=FALLBACK, message=message))
        return [], Splits(splits.evaluation.model_copy(update={"method": "none"}), warnings=warnings)


class _Stream:
    """One progress over several fits, each an equal share.

    The first fit's first word says how many steps a fit has; a later fit with more or fewer is scaled to that.
    """

    def __init__(self, on_progress: OnProgress | None, n_fits: int) -> None:
        self._on_progress = on_progress
        self._n_fits = n_fits
        self._steps_per_fit: int | None = None
        self._done = 0
        self._last = 0
        self._metric: float | None = None

    def listener(self) -> OnProgress | None:
        """Return what the running fit shall call, None if nobody listens."""
        return self._advance if self._on_progress else None

    def end_fit(self) -> None:
        """Count the running fit as done, also one that stopped early or said nothing."""
        self._advance(Progress(1, 1, self._metric))
        self._done += 1

    def begin_final(self) -> None:
        """Count all fits but the last as done, also those that an evaluation given up has left out."""
        self._done = self._n_fits - 1

    def _advance(self, progress: Progress) -> None:
        total = max(progress.total, 1)
        if self._steps_per_fit is None:
            self._steps_per_fit = total
        share = min(progress.step, total) * self._steps_per_fit // total
        step = self._done * self._steps_per_fit + share
        self._metric = progress.metric
        if step > self._last and self._on_progress:
            self._last = step
            self._on_progress(Progress(step, self._n_fits * self._steps_per_fit, progress.metric))


class _Fits:
    """The fits of one training: same model class, hyperparams and contract, different rows."""

    def __init__(self, plan: TrainingPlan, contract: Contract, stream: _Stream) -> None:
        self._plan = plan
        self._contract = contract
        self._stream = stream
        self._labels = labels_of(plan.table.codes, contract.classes)
        self.frame = plan.table.frame if plan.model_class.reads_enums else plan.table.text_frame

    def held_out(self, part: Part) -> FittedPart:
        """Fit a part of the rows and predict the part held out; the estimator is let go."""
        fit = self.fit(part)
        probabilities = self.probabilities(fit, part)
        without_estimator = Fit(None, fit.warnings, fit.learning_curve, fit.iterations)
        return FittedPart(without_estimator, self._plan.table.codes[part.validation], probabilities)

    def fit(self, part: Part | None = None, iterations: int | None = None) -> Fit:
        """Fit the rows of a part with the others held out, or all rows."""
        frame, labels = self.frame, self._labels
        if part is None:
            self._stream.begin_final()
        task = FitTask(
            frame=frame if part is None else frame[part.train],
            labels=labels if part is None else labels[part.train],
            contract=self._contract,
            hyperparams=self._plan.hyperparams,
            validation=None if part is None else (frame[part.validation], labels[part.validation]),
            iterations=iterations,
            on_progress=self._stream.listener(),
        )
        fit = self._plan.model_class.fit(task)
        self._stream.end_fit()
        return fit

    def probabilities(self, fit: Fit, part: Part | None = None) -> Probabilities:
        """Return a fit's probabilities for the rows held out, or for all rows; shape (n, k)."""
        predictor = self._plan.model_class.predictor(fit.estimator, self._contract)
        frame = self._plan.table.frame if part is None else self._plan.table.frame[part.validation]
        found = predictor.many(frame if getattr(predictor, "reads_enums", False) else as_text(frame))
        if not np.isfinite(found).all():
            raise InvalidTable(
                "the fit broke down: its probabilities are not numbers; "
                "scale the numeric columns or use other hyperparams"
            )
        return np.clip(found, 0.0, 1.0)


def labels_of(codes: Codes, classes: Sequence[Label]) -> Labels:
    """Return the labels themselves: int64, bool, or an object array of str."""
    kind = {bool: np.bool_, int: np.int64}.get(type(classes[0]), np.object_)
    return np.array(classes, dtype=kind)[codes]


def _stops_early(plan: TrainingPlan) -> bool:
    return plan.hyperparams.get("early_stopping_rounds") is not None


def _warnings(plan: TrainingPlan, splits: Splits, final: Fit, parts: Sequence[FittedPart]) -> tuple[ModelWarning, ...]:
    """Return all warnings; what only the evaluation's fits said is marked as theirs, and said once."""
    said = {(warning.code, warning.column) for warning in final.warnings}
    in_evaluation: dict[tuple[str, str | None], ModelWarning] = {}
    for part in parts:
        for warning in part.fit.warnings:
            key = (warning.code, warning.column)
            if key not in said and key not in in_evaluation:
                in_evaluation[key] = warning.model_copy(update={"message": f"in the evaluation: {warning.message}"})
    stops_late: tuple[ModelWarning, ...] = ()
    if plan.evaluation.method != splits.evaluation.method and _stops_early(plan):
        stops_late = (ModelWarning(code=FALLBACK, message="without a validation there was no early stopping"),)
    return (*plan.table.warnings, *splits.warnings, *stops_late, *final.warnings, *in_evaluation.values())


def _never_predicted(validation: Validation | None, classes: Sequence[Label]) -> tuple[ModelWarning, ...]:
    """Warn of classes that the held-out rows have, and that are predicted for none of them."""
    if validation is None:
        return ()
    predicted = np.bincount(validation.probabilities.argmax(axis=1), minlength=len(classes))
    held_out = np.bincount(validation.codes, minlength=len(classes))
    missed = [
        (label, int(rows)) for label, rows, hits in zip(classes, held_out, predicted, strict=True) if rows and not hits
    ]
    if not missed:
        return ()
    told = ", ".join(f"{label!r} ({rows} rows)" for label, rows in missed[:20]) + (", ..." if len(missed) > 20 else "")
    message = f"held-out rows of these classes were all taken for others; the model may never predict them: {told}"
    return (ModelWarning(code="class_never_predicted", message=message, count=len(missed)),)


def _row_counts(total: int, parts: Sequence[Part], validation: Validation | None) -> dict[str, int]:
    """Count rows: in all, fitted and held out; cross-validation fits every row and holds each out once."""
    train = len(parts[0].train) if len(parts) == 1 else total
    return {"total": total, "train": train, "validation": len(validation.codes) if validation else 0}
