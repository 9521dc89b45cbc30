"""What the evaluation of a model showed."""

from __future__ import annotations

from typing import Any

from modelyard.schemas.base import Frozen, ModelWarning
from modelyard.schemas.decisions import ConfusionMatrix
from modelyard.schemas.searches import LeaderboardEntry


class Curve(Frozen):
    """Points of a line; `x` and `y` are of one length."""

    x: list[float | None]
    y: list[float | None]


class LearningCurve(Frozen):
    """The loss `metric` after each iteration, on the rows fitted and on those held out."""

    metric: str
    train: list[float]
    validation: list[float] | None = None


class Histogram(Frozen):
    """How many values are in each of k bins: `counts` of length k between `edges` of length k + 1, ascending."""

    edges: list[float]
    counts: list[int]


class ActualAndPredicted(Frozen):
    """The true numbers of some rows and what was predicted for them, of one length."""

    actual: list[float]
    predicted: list[float]


class Report(Frozen):
    """What the evaluation of a model showed; what does not apply is null.

    Curves are keyed by the class label's text. Rows of `per_class` hold `label`, `precision`, `recall`, `f1` and
    `support`. For regression there are `residuals` (true number minus prediction) and `predicted_against_actual` (at
    most 2,000 rows), of the rows held out. `columns` profiles each feature of the training table. `leaderboard` has the
    trials of the search that made the model, the best first.
    """

    metrics: dict[str, float | None]
    confusion_matrix: ConfusionMatrix | None = None
    roc_curves: dict[str, Curve] | None = None
    precision_recall_curves: dict[str, Curve] | None = None
    calibration_curve: dict[str, Curve] | None = None
    per_class: list[dict[str, Any]] | None = None
    residuals: Histogram | None = None
    coverage: float | None = None
    predicted_against_actual: ActualAndPredicted | None = None
    learning_curve: LearningCurve | None = None
    feature_importances: dict[str, float] | None = None
    columns: dict[str, dict[str, Any]]
    rows: dict[str, int]
    warnings: list[ModelWarning] = []
    leaderboard: list[LeaderboardEntry] | None = None
