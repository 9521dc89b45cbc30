"""Records that leave keys out: an absent key is a missing cell, in training and in prediction, by every way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import InvalidTable
from modelyard.settings import DEFAULT_MISSING_MARKERS
from modelyard.tables import FEW_ROWS, FewRows, JsonTable, Reader, ReadingOptions, TrainingTable, read_training

FULL: dict[str, Any] = {"age": 39.5, "job": "clerk", "member": True}
TRAINED: list[dict[str, Any]] = [
    {"age": 1, "y": "no"},
    {"job": "clerk", "age": 2.5, "y": "yes"},
    {"y": "no", "member": True},
    {"age": 4, "job": "smith", "member": False, "y": "yes"},
]


def train(X: Any) -> TrainingTable:
    options = ReadingOptions(DEFAULT_MISSING_MARKERS)
    return read_training(X, None, target="y", feature_types=None, feature_names=None, options=options)


def filled(records: list[dict[str, Any]], names: list[str]) -> list[dict[str, Any]]:
    return [{name: record.get(name) for name in names} for record in records]


READER = Reader(train(TRAINED).contract)


@pytest.mark.parametrize("form", ["records", "json", "jsonl", "columns"])
def test_a_training_takes_all_keys_in_the_order_in_which_they_come(form: str, tmp_path: Path) -> None:
    names = ["age", "y", "job", "member"]
    path = tmp_path / f"t.{form}"
    path.write_text(json.dumps(TRAINED) if form == "json" else "\n".join(map(json.dumps, TRAINED)))
    columns = {name: [record.get(name) for record in TRAINED] for name in names}
    table = train({"records": TRAINED, "columns": columns}.get(form, path))
    expected = train(filled(TRAINED, names))
    assert table.frame.columns == ["age", "job", "member"]
    assert table.frame.equals(expected.frame)
    assert (table.contract, table.warnings) == (expected.contract, expected.warnings)
    assert table.frame["age"].to_list() == [1, 2.5, None, 4]


def test_a_record_without_the_label_is_a_missing_label() -> None:
    with pytest.raises(InvalidTable, match="target 'y', row 1: must not be missing, got null"):
        train([{"a": 1, "y": 0}, {"a": 2}])


SOME = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "age": st.sampled_from([1, 2.5, None]),
            "job": st.sampled_from(["clerk", "new", None]),
            "member": st.booleans(),
            "agee": st.just(1),
        },
    ),
    max_size=5,
)


@given(SOME, st.sampled_from([1, FEW_ROWS + 1]), st.booleans())
def test_every_way_reads_an_absent_key_as_null(some: list[dict[str, Any]], full: int, last: bool) -> None:
    records = [*some, *[FULL] * full] if last else [*[FULL] * full, *some]
    names = ["age", "job", "member", *(["agee"] if any("agee" in record for record in some) else [])]
    expected = READER.read_table({name: [record.get(name) for record in records] for name in names})
    for X in (records, JsonTable(orjson.dumps(records))):
        read = READER.read(X)
        if isinstance(read, FewRows):
            assert repr(read.rows) == repr(FewRows.of(expected).rows)
        else:
            assert read.frame.rows() == expected.frame.rows()
        assert read.warnings == expected.warnings


@pytest.mark.parametrize("rows", [1, 2, FEW_ROWS + 1])
def test_a_column_that_no_record_has_is_missing_as_a_whole(rows: int) -> None:
    records = [{"agee": 1, "job": "clerk", "member": True}] * rows
    for X in (records, JsonTable(orjson.dumps(records))):
        with pytest.raises(InvalidTable) as caught:
            READER.read(X)
        assert caught.value.detail == (
            "column 'age' is missing; X has the columns 'agee', 'job', 'member'; a missing cell is written as null"
        )


def test_a_misspelt_key_among_others_is_named_as_unknown() -> None:
    (warning,) = READER.read([FULL, {**FULL, "agee": 1}, {"job": "clerk", "agee": 2}]).warnings
    assert (warning.code, warning.count) == ("extra_columns", 1)
    assert "'agee'" in warning.message
