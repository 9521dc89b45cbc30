"""Any legal table gives the same model and the same predictions behind every door."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.grpc_server.client import GrpcClient
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.rest_api.client import RestClient
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
NUMBERS: st.SearchStrategy[list[Any]] = st.lists(
    st.floats(-1e9, 1e9) | st.sampled_from([-0.0, 1e40, 1.7e9]), min_size=5, max_size=5, unique=True
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, list[Any]], list[Any]]:
    rows = draw(st.integers(8, 24))
    labels = draw(LABELS | NUMBERS)
    columns = {}
    for name in draw(NAMES):
        cells = st.none() | CELLS[draw(st.sampled_from(sorted(CELLS)))]
        column = draw(st.lists(cells, min_size=rows, max_size=rows))
        columns[name] = column if any(cell not in (None, "NA", "") for cell in column) else [*column[1:], "a"]
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
    "records without nulls": lambda X: [
        {name: cell for name, cell in zip(X, row, strict=True) if cell is not None}
        for row in zip(*X.values(), strict=True)
    ],
    "frame": lambda X: pl.DataFrame(X, strict=False),
}
OWN = {"model_id", "name", "created_at", "created_by", "updated_at", "training_seconds", "message", "artifact"}


def described(model: ModelMetadata) -> dict[str, Any]:
    return model.model_dump(exclude=OWN)


@settings(max_examples=10)
@given(tables(), st.sampled_from(sorted(FORMS)))
def test_any_legal_table_gives_the_same_model_and_predictions(
    yards: dict[str, Verbs], table: tuple[dict[str, list[Any]], list[Any]], form: str
) -> None:
    columns, y = table
    X = FORMS[form](columns)
    key = "linear_regression" if isinstance(y[0], float) else "logistic_regression"
    order = TrainRequest(model_class_key=key, X=X, y=y, evaluation=Evaluation(method="none"), tags=["t"])
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


def test_an_index_is_left_out_behind_every_door(yards: dict[str, Verbs], tmp_path: Path) -> None:
    """A Parquet file goes as it is; Arrow is sent to REST and gRPC as the bytes that it is."""
    pyarrow: Any = pytest.importorskip("pyarrow", reason="needs pyarrow")
    said = {"pandas": json.dumps({"index_columns": ["when"]})}
    frame = pl.DataFrame({"a": [1, 2, 3, 4] * 3, "y": ["no", "no", "yes", "yes"] * 3, "when": [*range(12)]})
    path = tmp_path / "indexed.parquet"
    frame.write_parquet(path, metadata=said)
    out, table = pyarrow.BufferOutputStream(), frame.drop("y").to_arrow().replace_schema_metadata(said)
    with pyarrow.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    arrow = out.getvalue().to_pybytes()

    order = TrainRequest(
        model_class_key="logistic_regression", X=path, target="y", evaluation=Evaluation(method="none")
    )
    models = {door: yard.train(order) for door, yard in yards.items()}
    told = "pandas' index is no feature and was left out: 'when'; to train on it, name it in feature_types"
    for model in models.values():
        assert model.feature_names == ["a"]
        assert (model.warnings[0].code, model.warnings[0].message) == ("index_columns", told)
        assert model.warnings == models["core"].warnings
    rest, grpc = yards["rest"], yards["grpc"]
    assert isinstance(rest, RestClient)
    assert isinstance(grpc, GrpcClient)
    answer = rest._http.post(
        "/predict/file",
        params={"model_id": models["rest"].model_id},
        content=arrow,
        headers={"Content-Type": "application/vnd.apache.arrow.stream"},
    ).json()
    assert len(answer["predictions"]) == 12
    assert [warning["code"] for warning in answer["warnings"]] == ["training_table"]
    message = pb.TrainRequest(model_class_key="logistic_regression", X=pb.Table(arrow=arrow))
    message.y.extend(pb.Value(string_value=label) for label in frame["y"])
    trained = grpc._read(ModelMetadata, grpc._stub.Train(message))
    assert trained.feature_names == ["a"]
    assert [found.message for found in trained.warnings if found.code == "index_columns"] == [told]


@pytest.mark.parametrize("key", ["logistic_regression", "catboost_classifier"])
def test_a_moment_means_the_same_behind_every_door_and_in_every_format(
    yards: dict[str, Verbs], key: str, tmp_path: Path
) -> None:
    """Trained on typed columns; asked as few and as many rows, in JSON, gRPC's values, Arrow and files."""
    moments = [datetime(2024, 1 + row % 12, 1 + row % 28, row % 24, 30, 0, row) for row in range(80)]  # noqa: DTZ001
    X: dict[str, list[Any]] = {
        "when": [None if row == 3 else moment for row, moment in enumerate(moments)],
        "size": [*map(float, range(80))],
    }
    hyperparams = {"iterations": 5} if key == "catboost_classifier" else {}
    order = TrainRequest(
        model_class_key=key, X=pl.DataFrame(X), y=["no" if moment.month < 7 else "yes" for moment in moments],
        evaluation=Evaluation(method="none"), hyperparams=hyperparams,
    )  # fmt: skip
    models = {door: yard.train(order) for door, yard in yards.items()}
    report = yards["core"].get_report(models["core"].model_id)
    parts = [f"when.{part}" for part in ("year", "month", "day", "weekday", "hour", "days")]
    assert list(report.feature_importances or {}) == [*parts, "size"]
    for door in ("rest", "grpc"):
        assert described(models[door]) == described(models["core"])
        assert models[door].feature_types == {"when": "datetime", "size": "numeric"}
        assert yards[door].get_report(models[door].model_id).columns == report.columns

    texts: dict[str, list[Any]] = {
        "when": [moment and f"{moment.isoformat(' ')}+00:00" for moment in X["when"]],
        "size": X["size"],
    }
    frame = pl.DataFrame(X)
    frame.write_csv(tmp_path / "t.csv")
    pl.DataFrame(texts).write_ndjson(tmp_path / "t.jsonl")
    frame.with_columns(pl.col("when").dt.replace_time_zone("Asia/Tokyo").dt.offset_by("9h")).write_parquet(
        tmp_path / "t.parquet"
    )
    asked = (X, texts, frame, FORMS["records"](X), FORMS["records"](texts), *sorted(tmp_path.iterdir()))
    answers = {
        (door, at): yard.predict(PredictRequest(model_id=models[door].model_id, X=table, probabilities=True))
        for door, yard in yards.items()
        for at, table in enumerate(asked)
    }
    expected = answers["core", 0]
    assert len(set(expected.predictions)) == 2
    assert [warning.code for warning in expected.warnings] == ["training_table"]
    for answer in answers.values():
        assert (answer.predictions, answer.probabilities, answer.warnings) == (
            expected.predictions, expected.probabilities, expected.warnings,
        )  # fmt: skip
    for door, yard in yards.items():
        for table in (
            FORMS["records"](X)[:4],
            FORMS["records"](texts)[:4],
            list(zip(*texts.values(), strict=True))[:4],
        ):
            few = yard.predict(PredictRequest(model_id=models[door].model_id, X=table, probabilities=True))
            assert few.predictions == expected.predictions[:4]
            few_core = yards["core"].predict(
                PredictRequest(model_id=models["core"].model_id, X=table, probabilities=True)
            )
            assert few.probabilities == few_core.probabilities
