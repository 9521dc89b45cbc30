"""A small training, and a prediction by its first version: what tests of several servers ask for."""

from __future__ import annotations

from modelyard.schemas import Evaluation, PredictRequest, TrainRequest

ROWS = [{"age": 20 + i % 40} for i in range(40)]
ORDER = TrainRequest(
    model_class_key="logistic_regression",
    X=ROWS,
    y=["yes" if row["age"] > 40 else "no" for row in ROWS],
    name="churn",
    evaluation=Evaluation(method="none"),
)
ASKED = PredictRequest(model_id="churn:1", X=ROWS[:1])
