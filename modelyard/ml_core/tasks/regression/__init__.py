"""Regression: numbers, judged by how far the predictions are from them.

The truth of a row is the number itself; scores are the predicted numbers, shape (n, 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from modelyard.errors import InvalidTable
from modelyard.ml_core.deciding.deciders import Decider
from modelyard.ml_core.tasks.base import KeysOfTask, Metrics, Scores, Splits, TableJudgement, Truth, Weights
from modelyard.ml_core.tasks.regression import metrics, residuals
from modelyard.ml_core.tasks.regression.splits import split_rows
from modelyard.ml_core.tasks.regression.targets import read_known_numbers, read_numbers
from modelyard.schemas import Evaluation, FeatureType, Label, ModelWarning, Prediction
from modelyard.tables.contract import Contract, TrainingTable
from modelyard.tables.inference import ColumnPlan, ReadingOptions
from modelyard.tables.labels import TargetReader
from modelyard.tables.sources import Cells


class Regression:
    """The task of model classes that predict a number. It satisfies `tasks.base.Task`, which describes the methods."""

    preloads: tuple[str, ...] = ("sklearn.model_selection",)
    target_type: FeatureType | None = "numeric"
    metrics_of = staticmethod(metrics.metrics_of)
    measure = staticmethod(metrics.measure)

    def read_target(self, keys_of_task: KeysOfTask) -> TargetReader:
        """Read finite numbers; the errors and warnings name the classifiers for targets that are labels."""
        return partial(read_numbers, for_labels=keys_of_task("classification"))

    def targets(self, table: TrainingTable) -> Truth:
        """Return the numbers themselves, float64."""
        return table.codes

    def split(self, evaluation: Evaluation, table: TrainingTable) -> Splits:
        """Split at random."""
        return split_rows(evaluation, len(table.codes))

    def checked(self, scores: Scores) -> Scores:
        """Return the scores as they are."""
        if not np.isfinite(scores).all():
            raise InvalidTable(
                "the fit broke down: its predictions are not numbers; "
                "scale the numeric columns or use other hyperparams"
            )
        return scores

    def training_metrics(self, truth: Truth, scores: Scores, weights: Weights | None = None) -> Metrics:
        """Return the root of the mean squared error alone."""
        return {"train_rmse": metrics.rmse(truth, scores, weights)}

    def baseline(
        self,
        fitted: Truth,
        truth: Truth,
        contract: Contract,
        fitted_weights: Weights | None = None,
        weights: Weights | None = None,
    ) -> Metrics:
        """Measure always answering the mean."""
        mean = np.full((len(truth), 1), np.average(fitted, weights=fitted_weights))
        return {"baseline_rmse": metrics.rmse(truth, mean, weights)}

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
        """Return the numbers themselves, float64."""
        return read_known_numbers(column, label, options, plan, text_cells=text_cells)

    def judge_table(self, truth: Truth, scores: Scores, contract: Contract) -> TableJudgement:
        """Measure and show all rows."""
        found = metrics.metrics_of(truth, scores)
        return TableJudgement(found, metrics.measure(truth, scores), self.judged(truth, scores, contract))

    def judged(
        self, truth: Truth, scores: Scores, contract: Contract, weights: Weights | None = None
    ) -> dict[str, Any]:
        """Return the residuals, and the true numbers beside the predicted ones; both show rows, whatever they weigh."""
        return {
            "residuals": residuals.residuals(truth, scores),
            "coverage": residuals.coverage(truth, scores),
            "predicted_against_actual": residuals.actual_and_predicted(truth, scores),
        }

    def warnings(self, truth: Truth, scores: Scores, contract: Contract) -> tuple[ModelWarning, ...]:
        """Return none."""
        return ()

    def changes(self, before: Sequence[Label], contract: Contract) -> tuple[ModelWarning, ...]:
        """Return none, because there are no classes that could change."""
        return ()

    def answers(
        self, scores: list[list[float]], contract: Contract, decider: Decider | None = None
    ) -> list[Prediction]:
        """Return the numbers; there is nothing to decide."""
        return [value for (value,) in scores]

    def many_answers(self, scores: Scores, contract: Contract, decider: Decider | None = None) -> list[Prediction]:
        """Return the numbers."""
        found: list[Prediction] = scores[:, 0].tolist()
        return found
