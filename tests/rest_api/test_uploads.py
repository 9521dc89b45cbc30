"""Uploads: what a form says wrongly is said back in words, and a form that is cut short is never taken for whole."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests import doors
from tests.rest_api.test_rest_api import CSV, refusal
from tests.waiting import PATIENCE_S

FIELDS = {"model_class_key": "logistic_regression", "target": "outcome", "evaluation": '{"method": "none"}'}
PARTS = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}' for name, value in FIELDS.items()]
FILE = f'Content-Disposition: form-data; name="file"; filename="t.csv"\r\n\r\n{CSV}'


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        doors.rest_thread(tmp_path_factory.mktemp("uploads") / "models_storage") as url,
        httpx.Client(base_url=url, timeout=PATIENCE_S) as client,
    ):
        assert client.post("/train/file", data={**FIELDS, "name": "kept"}, files={"file": CSV}).status_code == 201
        yield client


def form(*parts: str, end: str = "\r\n--b--\r\n") -> bytes:
    return ("\r\n".join(f"--b\r\n{part}" for part in parts) + end).encode()


def post(http: httpx.Client, body: bytes) -> httpx.Response:
    return http.post("/train/file", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})


@pytest.mark.parametrize(
    ("given", "asked_for"),
    [("true", True), ("True", True), ("false", False), ("False", False), ("1", None), ("yes", None), ("", None)],
)
def test_a_truth_is_written_as_json_or_as_python_writes_it(
    http: httpx.Client, given: str, asked_for: bool | None
) -> None:
    answer = http.post("/predict/file", data={"model_id": "kept", "probabilities": given}, files={"file": CSV})
    if asked_for is None:
        detail = refusal(answer, 400, "INVALID_ARGUMENT")["detail"]
        assert "'probabilities'" in detail
        assert given in detail
        return
    assert (answer.json()["probabilities"] is not None) is asked_for


@pytest.mark.parametrize(
    ("field", "given", "words"),
    [
        ("hyperparams", "C=1", "field 'hyperparams' must be a JSON object, such as"),
        ("hyperparams", "", "must be a JSON object"),
        ("tags", "prod", "field 'tags' must be a JSON list, such as"),
        ("feature_types", "numeric", "must be a JSON object, such as"),
        ("evaluation", "none", "must be a JSON object"),
        ("missing_markers", "NA", "must be a JSON list"),
        ("hyper", "1x", "'hyper' is unknown"),
    ],
)
def test_a_field_says_what_it_wants(http: httpx.Client, field: str, given: str, words: str) -> None:
    answer = http.post("/train/file", data={**FIELDS, field: given}, files={"file": CSV})
    detail = refusal(answer, 400, "INVALID_ARGUMENT")["detail"]
    assert words in detail
    if field != "hyper":
        assert repr(given) in detail


def test_a_file_without_a_filename_is_refused_in_words(http: httpx.Client) -> None:
    nameless = FILE.replace('; filename="t.csv"', "")
    assert "must have a filename" in refusal(post(http, form(*PARTS, nameless)), 400, "INVALID_ARGUMENT")["detail"]
    assert post(http, form(*PARTS, FILE)).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        form(*PARTS, FILE, end=""),
        form(*PARTS, FILE, end="\r\n--b"),
        form(*PARTS, FILE, end="\r\n--b\r\n"),
        form(FILE, *PARTS, end=""),
        form(*PARTS, FILE)[:60],
        form(*PARTS, FILE)[:3],
        b"",
    ],
    ids=["no end", "half an end", "a part more", "in a field", "in a head", "at the start", "nothing"],
)
def test_a_form_that_is_cut_short_is_refused(http: httpx.Client, body: bytes) -> None:
    assert "cut short" in refusal(post(http, body), 400, "INVALID_ARGUMENT")["detail"]
