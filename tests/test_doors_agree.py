"""Any legal table gives the same model and the same predictions behind every door."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.schemas import Evaluation, ModelMetadata, PredictRequest, TrainRequest
from modelyard.verbs import Verbs
from tests import doors

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5)
NAMES = st.lists(TEXT.filter(lambda name: bool(name.strip())), min_size=1, max_size=4, unique=True)
CELLS = {
    "integers": st.integers(-1000, 1000) | st.sampled_from([-(2**63), 2**63 - 1, 2**53 + 1]),
    "numbers": st.floats(-1e6, 1e6) | st.integers(-9, 9) | st.sampled_from([-0.0, 5e-324, -1e100, 1e17]),
    "texts": st.sampled_from(["a", "b", "NA", "", "ü", "1", "1.0", "true", "x y", " a", "\U0001f600", "long " * 60]),
    "booleans": st.booleans(),
}
LABELS: st.SearchStrategy[list[Any]] = st.sampled_from([["no", "yes"], [0, 1], [False, True], [-3, 7, 11]])


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, list[Any]], list[Any]]:
    rows = draw(st.integers(8, 24))
    labels = draw(LABELS)
    columns = {}
    for name in draw(NAMES):
        cells = st.none() | CELLS[draw(st.sampled_from(sorted(CELLS)))]
        column = draw(st.lists(cells, min_size=rows, max_size=rows))
        columns[name] = column if any(cell not in (None, "NA") for cell in column) else [*column[1:], "a"]
    return columns, [labels[i % len(labels)] for i in range(rows)]


@pytest.fixture(scope="module")
def yards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Verbs]]:
    folder = tmp_path_factory.mktemp("yards")
    with ExitStack() as opened:
        yield {
            "core": opened.enter_context(doors.core(folder / "core")),
            "rest": opened.enter_context(doors.rest(folder / "rest")),
            "grpc": opened.enter_context(doors.grpc(folder / "grpc")),
        }


FORMS: dict[str, Callable[[dict[str, list[Any]]], Any]] = {
    "columns": lambda X: X,
    "records": lambda X: [dict(zip(X, row, strict=True)) for row in zip(*X.values(), strict=True)],
    "frame": lambda X: pl.DataFrame(X, strict=False),
}
OWN = {"model_id", "name", "created_at", "updated_at", "training_seconds", "message", "artifact"}


def described(model: ModelMetadata) -> dict[str, Any]:
    return model.model_dump(exclude=OWN)


@settings(max_examples=8)
@given(tables(), st.sampled_from(sorted(FORMS)))
def test_any_legal_table_gives_the_same_model_and_predictions(
    yards: dict[str, Verbs], table: tuple[dict[str, list[Any]], list[Any]], form: str
) -> None:
    columns, y = table
    X = FORMS[form](columns)
    order = TrainRequest(
        model_class_key="logistic_regression", X=X, y=y, evaluation=Evaluation(method="none"), tags=["t"]
    )
    models = {door: yard.train(order) for door, yard in yards.items()}
    found = {
        door: yard.predict(PredictRequest(model_id=models[door].model_id, X=X, probabilities=True))
        for door, yard in yards.items()
    }
    for door in ("rest", "grpc"):
        assert described(models[door]) == described(models["core"])
        assert list(models[door].feature_types) == list(models["core"].feature_types)
        assert found[door].predictions == found["core"].predictions
        assert found[door].probabilities == found["core"].probabilities
        assert found[door].warnings == found["core"].warnings
        assert [type(label) for label in found[door].predictions] == [
            type(label) for label in found["core"].predictions
        ]
