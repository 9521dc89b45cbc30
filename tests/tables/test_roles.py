"""Columns with a role in a training table: apart from the features, whatever the form, and checked for their role."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelyard.errors import InvalidTable
from modelyard.tables import MISSING_CATEGORY, Reader, ReadingOptions, TrainingTable, read_training
from modelyard.tables.reading import ids

Y = ["n", "j", "n", "j"]


def train(X: Any, roles: Mapping[str, str], y: Any = Y, **fields: Any) -> TrainingTable:
    told: dict[str, Any] = {"target": None, "feature_types": None, "feature_names": None, **fields}
    return read_training(X, y, options=ReadingOptions(("", "NA"), roles=roles), **told)


def csv(folder: Path, text: str) -> Path:
    path = folder / "t.csv"
    path.write_text(text)
    return path


def test_columns_with_roles_stand_beside_the_features() -> None:
    X = {
        "a": [1, 2, 3, 4],
        "when": [date(2024, 1, 1), "2024-01-01T06:00:00Z", datetime.fromisoformat("2023-05-01T01:00"), "2025-01-01"],
        "who": ["007", 7, None, True],
        "where": ["x", "y", "x", "z"],
        "w": [0, 0.5, 2, 1],
        "note": [[1], None, {}, 5],
    }
    table = train(X, {"who": "id", "when": "time", "where": "group", "w": "weight", "note": "ignore", "a": "feature"})
    assert (table.frame.columns, list(table.contract.feature_types)) == (["a"], ["a"])
    assert table.column_roles == {"who": "id", "when": "time", "where": "group", "w": "weight", "note": "ignore"}
    assert table.times is not None
    assert table.times.to_list() == [
        datetime.fromisoformat("2024-01-01"),
        datetime.fromisoformat("2024-01-01T06:00"),
        datetime.fromisoformat("2023-05-01T01:00"),
        datetime.fromisoformat("2025-01-01"),
    ]
    assert table.groups is not None
    assert table.groups.tolist() == [0, 1, 0, 2]
    assert table.weights is not None
    assert table.weights.tolist() == [0, 0.5, 2, 1]
    assert table.roles["id"].to_list()[:2] == ["007", "7"]


def test_times_may_be_numbers() -> None:
    table = train({"a": [1, 2, 3, 4], "year": [2020, 2021, 2019.5, 2020]}, {"year": "time"})
    assert table.times is not None
    assert table.times.to_list() == [2020, 2021, 2019.5, 2020]


def test_a_csv_writes_weights_and_times_as_its_other_numbers(tmp_path: Path) -> None:
    text = "a;w;y;t\n1,5;0,25;n;2024-01-01\n2,5;1.000,5;j;2024-01-02\n"
    table = train(csv(tmp_path, text), {"w": "weight", "t": "time"}, y=None, target="y")
    assert table.weights is not None
    assert table.weights.tolist() == [0.25, 1000.5]
    assert [(warning.code, warning.column) for warning in table.warnings] == [("numbers_read_as", "w")]


@pytest.mark.parametrize(
    ("role", "cells", "words"),
    [
        ("weight", [1, -0.5, 2, 3], "column 'c', row 1: must be at least 0, because the column has the role 'weight'"),
        ("weight", [0, 0.0, 0, 0], "column 'c' has the role 'weight', so at least one of its cells must be larger"),
        ("weight", [1e308, 1e308, 1, 1], "column 'c' has the role 'weight', so its cells must not add up to infinity"),
        ("weight", [1, "NA", 2, 3], "row 1: must not be missing, because the column has the role 'weight'"),
        ("weight", [1, float("inf"), 2, 3], "row 1: must be a finite number"),
        ("weight", [1, "x", 2, 3], "row 1: must be a number, got 'x'"),
        ("weight", [True, False, True, True], "row 0: must be a number"),
        ("time", ["2024-01-01", None, "2024-01-03", "2024-01-04"], "row 1: must not be missing, because the column"),
        ("time", ["2024-01-01", "5.1.2024", "2024-01-03", "2024-01-04"], "row 1: must be a date"),
        ("time", [1, None, 3, 4], "row 1: must not be missing, because the column has the role 'time'"),
        ("group", ["x", None, "x", "NA"], "row 1: must not be missing, because the column has the role 'group'"),
        ("group", ["x", [1], "x", "y"], "row 1: must be text, a number or a boolean"),
        ("id", ["x", [1], "x", "y"], "row 1: must be text, a number or a boolean"),
    ],
)
def test_cells_that_their_role_cannot_have_are_refused_by_row(role: str, cells: list[Any], words: str) -> None:
    with pytest.raises(InvalidTable, match=words):
        train({"a": [1, 2, 3, 4], "c": cells}, {"c": role})


def test_all_wrong_roles_are_named_at_once() -> None:
    with pytest.raises(InvalidTable) as caught:
        train({"a": [1, 2, 3, 4], "b": Y, "c": Y}, {"a": "x", "z": "ignore", "b": "id", "c": "id"})
    assert [error.loc for error in caught.value.errors] == [("column_roles", name) for name in "azc"]


def test_an_index_of_pandas_can_have_a_role() -> None:
    frame = pl.DataFrame({"a": [1, 2, 3, 4], "key": ["p", "q", "r", "s"]})
    table = train(frame, {"key": "id"})
    assert (table.frame.columns, table.roles["id"].to_list()) == (["a"], ["p", "q", "r", "s"])


def test_ids_are_no_news_to_a_reader_and_keep_their_types() -> None:
    contract = train({"a": [1, 2, 3, 4]}, {}).contract
    reader = Reader(contract, roles={"id": "id", "old": "ignore"})
    for rows in (1, 100):
        found = reader.read([{"a": 1, "old": 2, "id": 5}] * rows)
        assert (found.ids, found.warnings) == ([5] * rows, ())
        assert reader.read([{"a": 1, "new": 2}] * rows).ids is None
        assert [warning.code for warning in reader.read([{"a": 1, "new": 2}] * rows).warnings] == ["extra_columns"]
    assert Reader(contract).read([{"a": 1, "id": 5}]).ids is None


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (pl.Series(["00123", None]), ["00123", None]),
        (pl.Series(["x", "y"], dtype=pl.Categorical), ["x", "y"]),
        (pl.Series([1, 2], dtype=pl.UInt8), [1, 2]),
        (pl.Series([1.5, float("nan")]), [1.5, None]),
        (pl.Series([date(2024, 1, 5), None]), ["2024-01-05", None]),
        ([np.int64(3), np.str_("x")], [3, "x"]),
        ([datetime.fromisoformat("2024-01-05T10:00"), np.datetime64("NaT")], ["2024-01-05T10:00:00", None]),
    ],
)
def test_ids_of_any_source_become_what_every_answer_can_carry(column: Any, told: list[Any]) -> None:
    found = ids.ids_of_column(column, "id")
    assert (found, list(map(type, found))) == (told, list(map(type, told)))


@pytest.mark.parametrize("cell", [float("inf"), 2**63, [1], b"x"])
def test_an_id_that_no_answer_can_carry_is_refused_by_row(cell: Any) -> None:
    with pytest.raises(InvalidTable, match="column 'id', row 1: must be"):
        ids.ids_of_column(["x", cell], "id")


def test_the_contract_counts_the_rows_of_each_category_but_those_of_weight_0() -> None:
    X = {"job": ["smith", "clerk", None, "pilot"], "w": [1, 0.5, 2, 0]}
    column = train(X, {"w": "weight"}).contract.categorical["job"]
    assert dict(zip(column.categories, column.counts or (), strict=True)) == {
        MISSING_CATEGORY: 1,
        "clerk": 1,
        "pilot": 0,
        "smith": 1,
    }
    assert train({"job": ["a", "b", "a", "a"]}, {}).contract.categorical["job"].counts == (3, 1)
