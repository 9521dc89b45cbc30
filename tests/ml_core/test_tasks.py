"""The seam that a task stands behind: another task trains, evaluates and answers, and nothing around it knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from modelyard import models_registry
from modelyard.errors import InvalidTable
from modelyard.ml_core.deciding import Decider
from modelyard.ml_core.resampling import Measure, means
from modelyard.ml_core.sentences import say_trained
from modelyard.ml_core.serving import loaded, predicting
from modelyard.ml_core.serving.margins import Margins
from modelyard.ml_core.tasks import TASKS
from modelyard.ml_core.tasks.base import KeysOfTask, Metrics, Part, Scores, Splits, TableJudgement, Truth, Weights
from modelyard.ml_core.training import orders, plan, runs
from modelyard.ml_core.training.orders import order_training
from modelyard.ml_core.training.trainings import run_training
from modelyard.models_registry.base import Fit, FitTask, ModelClass
from modelyard.monitoring.watch import Watch
from modelyard.schemas import (
    MEASURES,
    Evaluation,
    FeatureType,
    Label,
    ModelMetadata,
    ModelWarning,
    Prediction,
    PredictRequest,
    TrainRequest,
)
from modelyard.tables import Reader, ReadingOptions
from modelyard.tables.contract import Contract, TrainingTable
from modelyard.tables.inference import ColumnPlan
from modelyard.tables.labels import Target, TargetReader
from modelyard.tables.sources import Cells


class Values:
    """A task whose targets are numbers: as little of a regression as there can be."""

    preloads: tuple[str, ...] = ("sklearn.linear_model",)
    target_type: FeatureType | None = "numeric"

    def read_target(self, keys_of_task: KeysOfTask) -> TargetReader:
        return lambda column, *_, text_cells: Target(np.array(column, dtype=np.float64))

    def targets(self, table: TrainingTable) -> Truth:
        return table.codes

    def split(self, evaluation: Evaluation, table: TrainingTable) -> Splits:
        rows = np.arange(len(table.codes))
        return Splits(evaluation, (Part(rows[rows % 5 > 0], rows[rows % 5 == 0]),))

    def checked(self, scores: Scores) -> Scores:
        if not np.isfinite(scores).all():
            raise InvalidTable("the fit broke down")
        return scores

    def training_metrics(self, truth: Truth, scores: Scores, weights: Weights | None = None) -> Metrics:
        return {"train_rmse": self._rmse(truth, scores)}

    def metrics_of(self, truth: Truth, scores: Scores, weights: Weights | None = None) -> Metrics:
        return {"rmse": self._rmse(truth, scores)}

    def _rmse(self, truth: Truth, scores: Scores) -> float:
        return float(np.sqrt(np.mean((truth - scores[:, 0]) ** 2)))

    def measure(self, truth: Truth, scores: Scores, only: str | None = None) -> Measure:
        squared = means((truth[:, None] - scores) ** 2)
        return lambda weights: {"rmse": np.sqrt(squared(weights)[:, 0])}

    def baseline(
        self,
        fitted: Truth,
        truth: Truth,
        contract: Contract,
        fitted_weights: Weights | None = None,
        weights: Weights | None = None,
    ) -> Metrics:
        return {"baseline_rmse": self._rmse(truth, np.full((len(truth), 1), fitted.mean()))}

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
        return np.array(column, dtype=np.float64)

    def judge_table(self, truth: Truth, scores: Scores, contract: Contract) -> TableJudgement:
        return TableJudgement({"rmse": self._rmse(truth, scores)}, self.measure(truth, scores), {})

    def judged(
        self, truth: Truth, scores: Scores, contract: Contract, weights: Weights | None = None
    ) -> dict[str, Any]:
        return {}

    def warnings(self, truth: Truth, scores: Scores, contract: Contract) -> tuple[ModelWarning, ...]:
        return (ModelWarning(code="held_out", message="held out", count=len(truth)),)

    def changes(self, before: Sequence[Label], contract: Contract) -> tuple[ModelWarning, ...]:
        return ()

    def answers(
        self, scores: list[list[float]], contract: Contract, decider: Decider | None = None
    ) -> list[Prediction]:
        return [round(row[0]) for row in scores]

    def many_answers(self, scores: Scores, contract: Contract, decider: Decider | None = None) -> list[Prediction]:
        return self.answers(scores.tolist(), contract)


class Line(ModelClass):
    """A straight line through numbers, asked by the predictor that every estimator can have."""

    key = "line"
    title = "Line"
    description = "A straight line."
    import_path = "sklearn.linear_model.LinearRegression"
    libraries = ("scikit-learn",)
    hyperparams = ()
    task = "values"

    def fit(self, task: FitTask) -> Fit:
        return Fit(LinearRegression().fit(task.frame, task.labels))


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    for module in (orders, plan, loaded, runs):
        monkeypatch.setattr(module, "TASKS", {**TASKS, "values": Values()})
    monkeypatch.setattr(models_registry, "BUILT_IN", {**models_registry.BUILT_IN, "line": Line()})
    return Line()


def test_another_task_trains_and_answers(line: Line, tmp_path: Path) -> None:
    x = [float(row % 13) for row in range(60)]
    y = [3 * value + 0.5 for value in x]
    order = order_training(TrainRequest(model_class_key="line", X={"x": x}, y=y), ())
    runs.write_order(tmp_path, order)
    read = runs.read_order(tmp_path)
    assert read.digest() == order.digest()
    trained = run_training(read.plan)
    ends = {"validation_rmse_low", "validation_rmse_high"}
    assert set(trained.metrics) == {"train_rmse", "validation_rmse", "baseline_rmse", *ends}
    assert trained.metrics["validation_rmse"] == pytest.approx(0, abs=1e-9)
    assert trained.report.confusion_matrix is None
    assert trained.report.rows == {"total": 60, "train": 48, "validation": 12}
    assert [(warning.code, warning.count) for warning in trained.warnings] == [
        ("held_out", 12),
        ("few_rows_held_out", 12),
    ]
    contract = read.plan.table.contract
    model = loaded.LoadedModel(
        model_id="id",
        version=1,
        model_class=line,
        contract=contract,
        reader=Reader(contract),
        predictor=line.predictor(trained.estimator, contract),
        task=Values(),
        margins=Margins("line:1", lambda: np.zeros(0)),
        n_rows=60,
        features_fingerprint=None,
        size_bytes=0,
        watch=Watch.of("id", "line", 1, contract, None),
        deciding=loaded.Deciding(None),
    )
    few = predicting.predict(model, PredictRequest(model_id="id", X=[[2.5], [4.5]], probabilities=True))
    many = predicting.predict(model, PredictRequest(model_id="id", X=[[2.5]] * 500))
    assert (few.predictions, few.classes, few.probabilities) == ([8, 14], None, None)
    assert many.predictions == [8] * 500


@pytest.mark.parametrize(
    ("task", "metrics", "ending"),
    [
        ("classification", {"train_accuracy": 1.0, "validation_accuracy": 0.75}, "with validation accuracy 0.750"),
        ("classification", {"train_accuracy": 1.0}, "with train accuracy 1.000"),
        ("regression", {"train_rmse": 25.0, "validation_rmse": 51234.567}, "with validation rmse 51234.6"),
        ("regression", {"train_rmse": 0.25}, "with train rmse 0.25"),
        ("regression", {"train_rmse": 0.25, "validation_rmse": None}, "version 1"),
        ("values", {"train_size": 1.0}, "version 1"),
    ],
)
def test_the_sentence_of_a_training_tells_the_headline_of_the_task(
    task: str, metrics: dict[str, float | None], ending: str
) -> None:
    fields: dict[str, Any] = {"name": "n", "version": 1, "task": task, "metrics": metrics}
    assert say_trained(ModelMetadata.model_construct(**fields)).message.endswith(ending)


@pytest.mark.parametrize("task", TASKS)
def test_the_measures_that_requests_may_name_are_those_of_the_task(task: str) -> None:
    truth = np.array([0, 1] * 10)
    scores = np.full((20, 2), 0.5) if task == "classification" else np.ones((20, 1))
    assert tuple(TASKS[task].metrics_of(truth, scores)) == MEASURES[task]
