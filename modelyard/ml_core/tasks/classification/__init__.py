"""Classification: labels of two or more classes, judged by the probability of each.

The truth of a row is its code, an index into the contract's k classes; scores are class probabilities, shape (n, k).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from modelyard.errors import InvalidTable
from modelyard.ml_core.deciding.confusion import confusion
from modelyard.ml_core.deciding.deciders import Decider
from modelyard.ml_core.tasks.base import (
    MAX_NAMED,
    KeysOfTask,
    Metrics,
    Scores,
    Splits,
    TableJudgement,
    Truth,
    Weights,
    changed,
)
from modelyard.ml_core.tasks.classification import curves, metrics, unknown_labels
from modelyard.ml_core.tasks.classification.splits import split_rows
from modelyard.schemas import Evaluation, FeatureType, Label, ModelWarning, Prediction
from modelyard.tables.contract import Contract, TrainingTable
from modelyard.tables.inference import ColumnPlan, ReadingOptions
from modelyard.tables.labels import TargetReader, read_known_labels, read_labels
from modelyard.tables.sources import Cells


def labels_of(codes: metrics.Codes, classes: Sequence[Label]) -> Truth:
    """Return the labels themselves: int64, bool, or an object array of str."""
    kind = {bool: np.bool_, int: np.int64}.get(type(classes[0]), np.object_)
    return np.array(classes, dtype=kind)[codes]


class Classification:
    """The task of model classes that predict a label. It satisfies `tasks.base.Task`, which describes the methods."""

    preloads: tuple[str, ...] = ("sklearn.metrics", "sklearn.model_selection")
    target_type: FeatureType | None = None
    metrics_of = staticmethod(metrics.metrics_of)
    measure = staticmethod(metrics.measure)

    def read_target(self, keys_of_task: KeysOfTask) -> TargetReader:
        """Read labels; the errors and warnings name the model classes of regression for targets that are numbers."""
        return partial(read_labels, for_numbers=keys_of_task("regression"))

    def targets(self, table: TrainingTable) -> Truth:
        """Return the labels themselves: int64, bool, or an object array of str."""
        return labels_of(table.codes, table.contract.classes)

    def split(self, evaluation: Evaluation, table: TrainingTable) -> Splits:
        """Split by the class, so that every class is in every fitted part."""
        return split_rows(evaluation, table.codes, table.contract.classes)

    def checked(self, scores: Scores) -> Scores:
        """Return probabilities within 0 and 1."""
        if not np.isfinite(scores).all():
            raise InvalidTable(
                "the fit broke down: its probabilities are not numbers; "
                "scale the numeric columns or use other hyperparams"
            )
        return np.clip(scores, 0.0, 1.0)

    def training_metrics(self, truth: Truth, scores: Scores, weights: Weights | None = None) -> Metrics:
        """Return the accuracy alone."""
        return {"train_accuracy": metrics.accuracy(truth, scores, weights)}

    def baseline(
        self,
        fitted: Truth,
        truth: Truth,
        contract: Contract,
        fitted_weights: Weights | None = None,
        weights: Weights | None = None,
    ) -> Metrics:
        """Measure always answering the most frequent class, and the classes' shares as probabilities."""
        return metrics.baseline(fitted, truth, len(contract.classes), fitted_weights, weights)

    def read_known_target(
        self,
        column: Cells,
        label: str,
        contract: Contract,
        options: ReadingOptions,
        plan: ColumnPlan | None,
        *,
        text_cells: bool,
    ) -> Truth:
        """Return the code of each label, k for one that is none of the k classes."""
        markers = options.missing_markers
        return read_known_labels(column, label, contract.classes, markers, text_cells=text_cells)

    def judge_table(self, truth: Truth, scores: Scores, contract: Contract) -> TableJudgement:
        """Count rows of labels that are no class as wrong; show the others."""
        known = truth < len(contract.classes)
        warnings = unknown_labels.warn_of_unknown(known, contract.classes)
        found, measure = unknown_labels.metrics_and_measure(truth, scores)
        return TableJudgement(found, measure, self.judged(truth[known], scores[known], contract), warnings)

    def judged(
        self, truth: Truth, scores: Scores, contract: Contract, weights: Weights | None = None
    ) -> dict[str, Any]:
        """Return confusion matrix, curves and per-class table; curves are null if no class has one."""
        classes = contract.classes
        return {
            "confusion_matrix": confusion(truth, metrics.predicted_codes(scores), classes, weights),
            "roc_curves": curves.roc_curves(truth, scores, classes, weights) or None,
            "precision_recall_curves": curves.precision_recall_curves(truth, scores, classes, weights) or None,
            "calibration_curve": curves.calibration_curves(truth, scores, classes, weights) or None,
            "per_class": metrics.per_class(truth, scores, classes, weights),
        }

    def warnings(self, truth: Truth, scores: Scores, contract: Contract) -> tuple[ModelWarning, ...]:
        """Warn of classes that rows held out have, and that are predicted for none of them."""
        predicted = np.bincount(metrics.predicted_codes(scores), minlength=len(contract.classes))
        held_out = np.bincount(truth, minlength=len(contract.classes))
        missed = [
            f"{label!r} ({rows} rows)"
            for label, rows, hits in zip(contract.classes, held_out.tolist(), predicted, strict=True)
            if rows and not hits
        ]
        if not missed:
            return ()
        told = ", ".join(missed[:MAX_NAMED]) + (", ..." if len(missed) > MAX_NAMED else "")
        message = f"held-out rows of these classes were all taken for others; the model may never predict them: {told}"
        return (ModelWarning(code="class_never_predicted", message=message, count=len(missed)),)

    def changes(self, before: Sequence[Label], contract: Contract) -> tuple[ModelWarning, ...]:
        """Warn of classes that are new or gone: all of them if their type has changed."""
        now = contract.classes
        new_type = type(now[0]) is not type(before[0])
        new = [label for label in now if label not in before or new_type]
        return changed("classes", new, [label for label in before if label not in now or new_type])

    def answers(
        self, scores: list[list[float]], contract: Contract, decider: Decider | None = None
    ) -> list[Prediction]:
        """Return the classes decided on; without a decider those of the highest probability, the first of equals."""
        classes = contract.classes
        if decider is None:
            return [classes[row.index(max(row))] for row in scores]
        return [classes[code] for code in decider.few(scores)]

    def many_answers(self, scores: Scores, contract: Contract, decider: Decider | None = None) -> list[Prediction]:
        """Return what `answers` returns."""
        codes = metrics.predicted_codes(scores) if decider is None else decider.many(scores)
        found: list[Prediction] = np.array(contract.classes, dtype=object)[codes].tolist()
        return found
