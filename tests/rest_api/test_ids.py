"""Ids in the answers of REST: in JSON beside the predictions, in tables as the first column under its own name."""

from __future__ import annotations

import io
from typing import Any

import httpx
import polars as pl
import pytest

from tests.rest_api.test_rest_api import CSV, Y, http, server

__all__ = ["http", "server"]

IDS = [f"{row:03d}" for row in range(30)]
LINES = CSV.splitlines()
WITH_IDS = "\n".join([f"prediction,{LINES[0]}", *(f"{key},{line}" for key, line in zip(IDS, LINES[1:], strict=True))])
READERS: dict[str, Any] = {
    "text/csv": lambda content: pl.read_csv(content, infer_schema=False),
    "application/vnd.apache.parquet": pl.read_parquet,
    "application/vnd.apache.arrow.stream": pl.read_ipc_stream,
    "application/vnd.apache.arrow.file": pl.read_ipc,
}


@pytest.fixture(scope="module")
def model(server: str) -> str:
    """A model whose ids are called like the column of predictions."""
    form = {
        "model_class_key": "logistic_regression",
        "target": "outcome",
        "column_roles": '{"prediction": "id"}',
        "evaluation": '{"method": "none"}',
    }
    answer = httpx.post(f"{server}/train/file", data=form, files={"file": ("t.csv", WITH_IDS)})
    assert answer.status_code == 201, answer.text
    assert answer.json()["column_roles"] == {"prediction": "id"}
    return str(answer.json()["model_id"])


@pytest.mark.parametrize("kind", READERS)
def test_a_table_of_predictions_begins_with_the_ids(http: httpx.Client, model: str, kind: str) -> None:
    fields = {"model_id": model, "probabilities": "true"}
    answer = http.post("/predict/file", data=fields, files={"file": ("t.csv", WITH_IDS)}, headers={"Accept": kind})
    found = READERS[kind](io.BytesIO(answer.content))
    assert found.columns == ["prediction_", "prediction", "probability_high", "probability_low"]
    assert found["prediction_"].to_list() == IDS
    assert found["prediction"].to_list() == Y


@pytest.mark.parametrize(
    ("ids", "column"),
    [([7, None], [7, None]), ([7, "x"], ["7", "x"]), ([True, 1], ["true", "1"]), ([None, None], [None] * 2)],
)
def test_mixed_ids_are_texts_in_a_table_and_what_they_are_in_json(
    http: httpx.Client, model: str, ids: list[Any], column: list[Any]
) -> None:
    records = [{"prediction": key, "age": 3, "kind": "a"} for key in ids]
    by_json = http.post("/predict", json={"model_id": model, "X": records}).json()
    assert (by_json["ids"], by_json["id_column"], by_json["warnings"]) == (ids, "prediction", [])
    file = {"file": ("t.json", httpx.Response(200, json=records).content)}
    accept = {"Accept": "application/vnd.apache.parquet"}
    table = http.post("/predict/file", data={"model_id": model}, files=file, headers=accept)
    assert pl.read_parquet(io.BytesIO(table.content))["prediction_"].to_list() == column


def test_without_ids_an_answer_has_none(http: httpx.Client, model: str) -> None:
    answer = http.post("/predict", json={"model_id": model, "X": [[3, "a"]]}).json()
    assert (answer["ids"], answer["id_column"]) == (None, None)
