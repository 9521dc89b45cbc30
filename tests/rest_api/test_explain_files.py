"""`POST /explain/file` answers in every format; as a table it has a line a row and output."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import orjson
import polars as pl
import pytest

from modelyard.schemas import TrainRequest
from tests import doors
from tests.waiting import PATIENCE_S

ROWS: list[dict[str, Any]] = [{"age": 20 + i % 30, "base": float(i % 7), "job": "ab"[i % 2]} for i in range(60)]
ASKED = ROWS[:50]
LABELS: dict[str, list[Any]] = {
    "two": ["yes" if row["age"] > 34 else "no" for row in ROWS],
    "three": [i % 3 == 0 for i in range(60)],
}
LABELS["colours"] = [["red", "green", "blue"][row["age"] % 3] for row in ROWS]
READERS: dict[str, Callable[[io.BytesIO], pl.DataFrame]] = {
    "text/csv": pl.read_csv,
    "application/vnd.apache.parquet": pl.read_parquet,
    "application/vnd.apache.arrow.stream": pl.read_ipc_stream,
    "application/vnd.apache.arrow.file": pl.read_ipc,
}
CSV = {"Content-Type": "text/csv"}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("yard") / "models_storage"
    with doors.core(folder) as yard:
        for name, y in LABELS.items():
            yard.train(TrainRequest(model_class_key="logistic_regression", X=ROWS, y=y, name=name))
        people = [{"base": f"p{i}", "age": row["age"], "output": row["job"]} for i, row in enumerate(ROWS)]
        order = {"X": people, "y": LABELS["colours"], "name": "people", "column_roles": {"base": "id"}}
        yard.train(TrainRequest(model_class_key="logistic_regression", **order))
    with doors.rest_thread(folder) as url, httpx.Client(base_url=url, timeout=PATIENCE_S) as opened:
        yield opened


@pytest.fixture(scope="module")
def table() -> bytes:
    return pl.DataFrame(ASKED).with_columns(extra=pl.lit(1)).write_csv().encode()


@pytest.mark.parametrize("accept", READERS)
def test_one_output_is_a_line_a_row(http: httpx.Client, table: bytes, accept: str) -> None:
    query = {"model_id": "two"}
    as_json = http.post("/explain/file", params=query, content=table, headers=CSV).json()
    answer = http.post("/explain/file", params=query, content=table, headers={**CSV, "Accept": accept})
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, accept)
    found = READERS[accept](io.BytesIO(answer.content))
    assert found.columns == ["prediction", "base", "age", "base_", "job"]  # the table's own `base` gives way
    assert found["prediction"].to_list() == as_json["predictions"] == LABELS["two"][:50]
    assert found["base"].to_list() == pytest.approx(as_json["base"] * 50)
    assert [list(row) for row in found.select("age", "base_", "job").rows()] == [
        pytest.approx(row[0]) for row in as_json["contributions"]
    ]
    assert answer.headers["x-model-id"] == as_json["model_id"]
    assert [warning["code"] for warning in orjson.loads(answer.headers["x-warnings"])] == ["extra_columns"]
    assert "predict;dur=" in answer.headers["server-timing"]


def test_several_outputs_are_lines_that_name_them(http: httpx.Client, table: bytes) -> None:
    query = {"model_id": "colours", "top": "1"}
    as_json = http.post("/explain/file", params=query, content=table, headers=CSV).json()
    answer = http.post("/explain/file", params=query, content=table, headers={**CSV, "Accept": "text/csv"})
    found = pl.read_csv(answer.content)
    (strongest,) = as_json["feature_names"]
    assert found.columns == ["output", "prediction", "base", strongest, "other"]
    assert found["output"].to_list() == ["blue", "green", "red"] * 50
    assert found["prediction"].to_list()[::3] == as_json["predictions"]
    assert found[strongest].to_list() == pytest.approx([one for row in as_json["contributions"] for (one,) in row])
    assert found["other"].to_list() == pytest.approx([one for row in as_json["other"] for one in row])


def test_ids_come_first_once_an_output(http: httpx.Client) -> None:
    people = [{"base": f"p{i}", "age": row["age"], "output": row["job"]} for i, row in enumerate(ASKED)]
    answer = http.post(
        "/explain/file",
        params={"model_id": "people"},
        content=pl.DataFrame(people).write_csv(),
        headers={**CSV, "Accept": "text/csv"},
    )
    found = pl.read_csv(answer.content)
    assert found.columns == ["base_", "output", "prediction", "base", "age", "output_"]
    assert found["base_"].to_list() == [f"p{i}" for i in range(50) for _ in range(3)]


def test_an_upload_in_a_form_is_explained_like_the_body_itself(http: httpx.Client, table: bytes) -> None:
    form = http.post("/explain/file", data={"model_id": "three", "top": "2"}, files={"file": ("t.csv", table)}).json()
    body = http.post("/explain/file", params={"model_id": "three", "top": 2}, content=table, headers=CSV).json()
    assert form == body
    assert form["outputs"] == [True]


def test_json_has_the_fields_of_the_contract_and_no_others(http: httpx.Client) -> None:
    answer = http.post("/explain", json={"model_id": "two", "X": ROWS[:2]})
    fields = ["model_id", "unit", "outputs", "feature_names", "base", "contributions", "predictions"]
    assert list(answer.json()) == [*fields, "other", "probabilities", "warnings", "ids", "id_column"]
    assert (answer.json()["other"], answer.json()["probabilities"]) == (None, None)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"model_id": "two", "X": ROWS, "top": 0}, 400, "top"),
        ({"model_id": "two", "X": ROWS, "interval": 0.9}, 400, "interval"),
        ({"model_id": "two", "X": ROWS, "probabilities": "yes"}, 400, "probabilities"),
        ({"model_id": "nobody", "X": ROWS}, 404, "nobody"),
        ({"model_id": "two", "X": [{"age": 1}]}, 400, "base"),
    ],
)
def test_a_wrong_request_is_refused_in_words(http: httpx.Client, body: dict[str, Any], status: int, words: str) -> None:
    answer = http.post("/explain", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert words in answer.json()["detail"]
