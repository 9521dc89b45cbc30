"""A model's page tells whether it is asked what it was trained on."""

from __future__ import annotations

import random
from typing import Any

import pytest

from modelyard.schemas import PredictRequest, TrainRequest
from tests.dashboard.test_pages import Yard, texts, yard
from tests.waiting import wait_until

__all__ = ["yard"]

pytestmark = pytest.mark.filterwarnings("default")  # Streamlit's own


@pytest.mark.parametrize("language", ["en", "ru"])
def test_drift_is_shown_column_by_column(yard: Yard, language: str) -> None:
    draw = random.Random(1)
    X: list[dict[str, Any]] = [{"age": draw.gauss(40, 10), "job_*": draw.choice("ab")} for _ in range(400)]
    name = f"drifting-{language}"
    order = TrainRequest(
        model_class_key="logistic_regression", X=X, y=["yes" if row["age"] > 40 else "no" for row in X], name=name
    )
    model = yard.client.train(order)
    app = yard.open("model", id=model.model_id, lang=language, tab="drift")
    assert not app.exception
    assert ("0 rows in 24 hours. Too few" if language == "en" else "0 строк за 24 часа. Этого мало") in texts(app)
    yard.client.predict(PredictRequest(model_id=name, X=[{**row, "age": row["age"] + 30} for row in X]))
    wait_until(lambda: yard.client.get_drift(name).rows == 400)
    app = yard.open("model", id=model.model_id, lang=language, tab="drift")
    assert not app.exception
    assert not app.error
    shown = next(table.value for table in app.table if "PSI" in table.value.columns)
    told = shown.to_string().replace("\\", "")
    assert ("drifted" if language == "en" else "дрейф") in told
    assert ("from 5" if language == "en" else "от 5") in told  # the greatest ages
    assert "job_*" in told
    assert "*predictions*" in told or "*предсказания*" in told
