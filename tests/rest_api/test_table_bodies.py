"""Tables as bodies of their own: CSV, JSON lines, Parquet, Arrow and Excel, the other fields in the query."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import polars as pl
import pytest

from tests.rest_api.test_rest_api import CSV, http, refusal, server
from tests.tables.workbooks import write_workbook

__all__ = ["http", "server"]

FRAME = pl.read_csv(CSV.encode())
TRAIN = {"model_class_key": "logistic_regression", "target": "outcome", "evaluation": '{"method": "none"}'}


def written(how: str) -> bytes:
    out = io.BytesIO()
    getattr(FRAME, how)(out)
    return out.getvalue()


def send(http: httpx.Client, path: str, kind: str, body: bytes, **query: Any) -> httpx.Response:
    return http.post(path, params=query, content=body, headers={"Content-Type": kind})


BODIES = {
    "text/csv": CSV.encode(),
    "Text/CSV; charset=utf-8": CSV.encode(),
    "application/x-ndjson": FRAME.write_ndjson().encode(),
    "application/vnd.apache.parquet": written("write_parquet"),
    "application/vnd.apache.arrow.stream": written("write_ipc_stream"),
    "application/vnd.apache.arrow.file": written("write_ipc"),
}


@pytest.mark.parametrize("kind", BODIES)
def test_every_verb_with_a_file_takes_the_table_as_its_body(http: httpx.Client, kind: str) -> None:
    name = f"body-{uuid4().hex[:8]}"
    made = send(http, "/train/file", kind, BODIES[kind], **TRAIN, name=name)
    assert made.status_code == 201, made.text
    assert made.json()["feature_types"] == {"age": "numeric", "kind": "categorical"}
    again = send(http, "/retrain/file", kind, BODIES[kind], model_id=name)
    assert (again.status_code, again.json()["version"]) == (201, 2)
    by_body = send(http, "/predict/file", kind, BODIES[kind], model_id=name, probabilities="true")
    by_form = http.post("/predict/file", data={"model_id": name, "probabilities": "true"}, files={"file": CSV})
    assert by_body.json() == by_form.json()


def test_a_workbook_may_be_the_body(http: httpx.Client, tmp_path: Path) -> None:
    book = write_workbook(tmp_path / "t.xlsx", {"s": [FRAME.columns, *map(list, FRAME.rows())]})
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    made = send(http, "/train/file", kind, book.read_bytes(), **TRAIN)
    assert (made.status_code, made.json()["n_rows"]) == (201, 30)


def test_the_charset_of_a_csv_is_its_encoding_unless_a_field_says_otherwise(http: httpx.Client) -> None:
    body = CSV.replace("b", "ß").encode("cp1252")
    made = send(http, "/train/file", "text/csv; charset=cp1252", body, **TRAIN)
    assert (made.status_code, made.json()["reading"]["encoding"]) == (201, "cp1252")
    named = send(http, "/train/file", "text/csv; charset=utf-8", body, **TRAIN, encoding="latin-1")
    assert (named.status_code, named.json()["reading"]["encoding"]) == (201, "latin-1")
    problem = refusal(send(http, "/train/file", "text/csv", body, **TRAIN), 400, "INVALID_ARGUMENT")
    assert "is not UTF-8: byte 0xdf in line 3; say its encoding" in problem["detail"]


def test_fields_of_reading_stand_in_query_form_and_json_alike(http: httpx.Client) -> None:
    body = CSV.replace(",", "~").encode()
    said = {"delimiter": "~", "header": "false", "names": '["a", "b", "outcome"]', "skip_rows": "1", "exclude": '["b"]'}
    made = send(http, "/train/file", "text/csv", body, **TRAIN, **said).json()
    assert (made["feature_names"], made["reading"]["names"]) == (["a"], ["a", "b", "outcome"])
    by_form = http.post("/train/file", data={**TRAIN, **said}, files={"file": body}).json()
    assert by_form["reading"] == made["reading"]
    fields = {"model_class_key": "logistic_regression", "X": FRAME.to_dict(as_series=False), "target": "outcome"}
    assert http.post("/train", json={**fields, "exclude": ["kind"]}).json()["feature_names"] == ["age"]


def test_an_answer_at_once_is_asked_for_beside_the_fields(http: httpx.Client) -> None:
    ordered = send(http, "/train/file", "text/csv", CSV.encode(), **TRAIN, wait="false")
    assert ordered.status_code == 202
    assert ordered.headers["location"] == f"/jobs/{ordered.json()['job_id']}"


@pytest.mark.parametrize(
    ("kind", "body", "more", "words"),
    [
        ("text/csv", b"", {}, "is empty"),
        ("text/csv", CSV.encode(), {"depth": "1"}, "field 'depth' is unknown"),
        ("text/csv", CSV.encode(), {"X": "1"}, "field 'X' does not go with an upload"),
        ("text/csv; charset=klingon", CSV.encode(), {}, "encoding must be one that Python knows"),
        ("application/vnd.apache.parquet", b"PAR1", {}, "not a readable Parquet file"),
    ],
)
def test_a_body_that_is_no_table_is_refused_in_words(
    http: httpx.Client, kind: str, body: bytes, more: dict[str, str], words: str
) -> None:
    refused = refusal(send(http, "/train/file", kind, body, **TRAIN, **more), 400, "INVALID_ARGUMENT")
    assert words in refused["detail"]


def test_a_body_of_another_type_names_those_of_tables(http: httpx.Client) -> None:
    refused = refusal(send(http, "/train/file", "application/pdf", CSV.encode(), **TRAIN), 415, "INVALID_ARGUMENT")
    assert "multipart/form-data or text/csv or application/vnd.apache.parquet" in refused["detail"]


def test_what_comes_out_of_a_packed_body_is_bounded_like_a_body(http: httpx.Client) -> None:
    bomb = gzip.compress(CSV.encode() + b"1,a,low\n" * 2**18)
    assert len(bomb) < 2**14
    for answer in (
        send(http, "/train/file", "text/csv", bomb, **TRAIN),
        http.post("/train/file", data=TRAIN, files={"file": ("t.csv.gz", bomb)}),
    ):
        assert "more than 1 MB" in refusal(answer, 413, "RESOURCE_EXHAUSTED")["detail"]
    packed = send(http, "/train/file", "text/csv", gzip.compress(CSV.encode()), **TRAIN)
    assert packed.status_code == 201
