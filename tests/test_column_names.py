"""A column may have any name, also one that the code gives to columns of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from modelyard.dashboard.links import link
from modelyard.dashboard.profiles import look_at
from modelyard.ml_core.yard import Yard
from modelyard.schemas import CheckRequest, EvaluateRequest, ExplainRequest, PredictRequest, TrainRequest
from tests import doors

NAMES = [
    *("actual", "answer", "cell", "code", "codes", "count", "decision", "group", "hour", "id", "index", "label", "len"),
    *("literal", "name", "prediction", "predicted", "probability", "row", "rows", "score", "share", "size", "sure"),
    *("target", "text", "time", "truth", "value", "values", "weight", "when", "x", "y_true"),
]
CELLS = {
    "numbers": lambda n: f"{n * 37 % 101}.5",
    "spelled": lambda n: f"1 {n * 37 % 101:03}",
    "texts": lambda n: "abcd"[n * 7 % 4],
    "dates": lambda n: f"2025-01-{1 + n * 11 % 28:02}",
}


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with doors.core(tmp_path_factory.mktemp("yard") / "models_storage") as opened:
        yield opened


@pytest.mark.parametrize("kind", CELLS)
def test_every_verb_takes_names_that_the_code_uses_itself(yard: Yard, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "table.csv"
    columns = {name: [CELLS[kind](n + place) for n in range(60)] for place, name in enumerate(NAMES)}
    pl.DataFrame(columns | {"y": ["x", "len", "y"] * 20}).write_csv(path)
    assert yard.check_table(CheckRequest(X=path, target="y")).n_rows == 60
    model = yard.train(TrainRequest(model_class_key="lightgbm_classifier", X=path, target="y", name=kind))
    assert model.target == "y"
    assert set(NAMES) == set(model.feature_names)
    answered = yard.predict(PredictRequest(model_id=kind, X=path, probabilities=True))
    assert len(answered.predictions) == 60
    assert len(yard.explain(ExplainRequest(model_id=kind, X=path)).predictions) == 60
    judged = yard.evaluate(EvaluateRequest(model_ids=[kind], X=path, target="y", weaknesses=True))
    assert judged.n_rows == 12  # those held out: it is the table of the training
    assert set(NAMES) <= set(yard.get_drift(kind).columns)


@pytest.mark.parametrize("kind", CELLS)
def test_the_dashboard_takes_them_too(kind: str) -> None:
    labels = pl.Series("y", ["x", "len", "y"] * 20)
    for name in NAMES:
        column = pl.Series(name, [CELLS[kind](n) for n in range(60)])
        assert look_at(column).name == name
        assert link(column, labels) is not None
        assert link(labels, column.alias("x")) is not None
