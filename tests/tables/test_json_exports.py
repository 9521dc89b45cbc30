"""JSON as other programs export it: what is no JSON, or no table, is named in words that say what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from modelyard.errors import InvalidRequest, InvalidTable
from modelyard.rest_api.bodies import parse_json
from modelyard.schemas import PredictRequest
from modelyard.settings import DEFAULT_MISSING_MARKERS
from modelyard.tables import JsonTable, ReadingOptions, TrainingTable, read_file, read_training

pandas: Any = pytest.importorskip("pandas", reason="needs pandas")

FRAME = pandas.DataFrame({"age": [39.0, 40.5], "y": ["no", "yes"]})
NAMED = FRAME.set_index(pandas.Index(["p", "q"]))


def train(X: Any) -> TrainingTable:
    options = ReadingOptions(DEFAULT_MISSING_MARKERS)
    return read_training(X, None, target="y", feature_types=None, feature_names=None, options=options)


@pytest.mark.parametrize(
    ("frame", "orient", "said"),
    [
        (FRAME, "columns", "orient='columns', its default"),
        (NAMED, "columns", "orient='columns' or 'index'"),
        (FRAME, "index", "orient='index'"),
        (NAMED, "index", "orient='columns' or 'index'"),
        (FRAME, "split", "orient='split'"),
        (FRAME, "table", "orient='table'"),
    ],
)
def test_a_frame_that_pandas_wrote_in_another_form_is_named(frame: Any, orient: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    frame.to_json(path, orient=orient)
    message = f"X is what pandas writes with {said}; write it with orient='records'; X must be rows "
    for X in (path, orjson.loads(path.read_bytes())):
        with pytest.raises(InvalidTable) as caught:
            train(X)
        assert caught.value.detail.startswith(message)


def test_a_frame_as_dict_is_named() -> None:
    with pytest.raises(InvalidTable, match="X is what pandas writes with orient='columns', its default"):
        train(FRAME.to_dict())


@pytest.mark.parametrize("lines", [False, True])
def test_what_is_said_to_be_written_instead_is_read(lines: bool, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    FRAME.to_json(path, orient="records", lines=lines)
    assert train(path).frame.rows() == [(39.0,), (40.5,)]


@pytest.mark.parametrize(
    "columns",
    [
        {"columns": [1, 2], "index": [1, 2], "data": [3, 4], "y": [0, 1]},
        {"schema": ["x", "z"], "data": [1, 2], "y": [0, 1]},
        {"data": [1, 2], "y": [0, 1]},
    ],
)
def test_columns_may_have_the_names_that_pandas_uses(columns: dict[str, Any]) -> None:
    assert train(columns).frame.columns == [name for name in columns if name != "y"]


WORDS = {
    "NaN": "JSON has no NaN, write null for a missing cell",
    "nan": "JSON has no nan, write null for a missing cell",
    "Infinity": "JSON has no Infinity, write null for a missing cell",
    "-Infinity": "JSON has no -Infinity, write null for a missing cell",
    "None": "JSON has no None, write null for a missing cell",
    "NA": "JSON has no NA, write null for a missing cell",
    "Nano": "unexpected character, expected a JSON value",
    "-": "no digit after sign",
}


@pytest.mark.parametrize(("word", "said"), WORDS.items())
def test_what_json_has_no_word_for_is_named(word: str, said: str, tmp_path: Path) -> None:
    document = f'[{{"a": 1}},\n {{"a": {word}}}]'
    path = tmp_path / "t.json"
    path.write_text(document)
    with pytest.raises(InvalidTable) as in_a_file:
        read_file(path)
    assert in_a_file.value.detail.startswith(f"file 't.json' is not JSON: {said}: line 2 column ")
    path = tmp_path / "t.jsonl"
    path.write_text(f'{{"a": 1}}\n{{"a": {word}}}\n')
    with pytest.raises(InvalidTable) as in_a_line:
        read_file(path)
    assert in_a_line.value.detail.startswith(f"file 't.jsonl', line 2 is not JSON: {said} (column ")
    with pytest.raises(InvalidTable) as cut_out:
        JsonTable(document.encode()).document()
    assert cut_out.value.detail.startswith(f"X is not valid JSON: {said}: line 2 column ")
    with pytest.raises(InvalidRequest) as in_a_body:
        parse_json(b'{"model_id": "m", "X": %b}' % document.encode(), PredictRequest)
    assert in_a_body.value.detail.startswith(f"the body is not valid JSON: {said}: line 2 column ")
