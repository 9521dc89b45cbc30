"""A file without a header is found out: by a warning, or in the error that its names lead to. Real headers are not."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import InvalidTable
from modelyard.settings import DEFAULT_MISSING_MARKERS
from modelyard.tables import Reader, ReadingOptions, TrainingTable, read_training
from tests.conftest import RealTable

HINT = "if the file has no header, say header=false"


def train(X: Any, target: str | None = "y", y: Any = None, feature_names: Any = None) -> TrainingTable:
    options = ReadingOptions(DEFAULT_MISSING_MARKERS)
    return read_training(X, y, target=target, feature_types=None, feature_names=feature_names, options=options)


def written(tmp_path: Path, rows: Sequence[Sequence[Any]]) -> Path:
    path = tmp_path / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def is_doubted(path: Path, height: int) -> bool:
    """Whether a training with labels of its own warns that the file has no header, or is refused with that hint."""
    try:
        warnings = train(path, None, [row % 2 for row in range(height)]).warnings
    except InvalidTable as error:
        return error.detail.endswith(HINT)
    return "header_like_data" in [warning.code for warning in warnings]


def test_a_real_table_is_doubted_without_its_header_alone(real_table: RealTable, tmp_path: Path) -> None:
    with real_table.path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert not is_doubted(real_table.path, len(rows))
    whole = [row for row in rows if "" not in row and "NA" not in row]
    for seed in range(5):
        chosen = random.Random(seed).sample(whole, 100)
        assert not is_doubted(written(tmp_path, [header, *chosen]), 100)
        assert is_doubted(written(tmp_path, chosen), 99), chosen[0]


CHANCE = random.Random("cells")
CELLS: dict[str, Callable[[], Any]] = {
    "share": lambda: round(CHANCE.random(), 3),
    "sales": lambda: CHANCE.randrange(500, 5000),
    "letter": lambda: CHANCE.choice("xyz"),
    "text": lambda: f"{CHANCE.random():.6f} n",
    "day": lambda: f"2024-01-{CHANCE.randrange(10, 29)}",
    "comma": lambda: f"{CHANCE.randrange(10)},{CHANCE.randrange(10)}",
}


@pytest.mark.parametrize(
    ("names", "kinds", "doubted"),
    [
        (["land", "2019", "2020"], ["letter", "share", "share"], False),
        (["land", "2019", "2020"], ["text", "sales", "sales"], False),
        (["2019", "2020"], ["sales", "sales"], False),
        (["2000", "2005", "2019"], ["sales", "sales", "sales"], False),
        (["0", "1", "2"], ["share", "share", "share"], False),
        (["400", "402.5", "405"], ["share", "share", "share"], False),
        (["a", "b"], ["letter", "letter"], False),
        (["x", "when"], ["letter", "day"], False),
        (["name", "city"], ["text", "text"], False),
        (["rare", "400", "900", "800"], ["letter", "sales", "sales", "sales"], False),
        (["rare", "400", "900", "800", "1000"], ["letter", "sales", "sales", "sales", "sales"], True),
        (["0.31", "0.7"], ["share", "share"], True),
        (["2019", "777"], ["sales", "sales"], True),
        (["x", "0.5"], ["letter", "share"], True),
        (["x", "2024-01-15"], ["letter", "day"], True),
        (["4,4", "0.5"], ["comma", "share"], True),
        (["?", "0.5", "x"], ["letter", "share", "letter"], True),
    ],
)
def test_names_are_doubted_if_they_look_like_cells(
    names: list[str], kinds: list[str], doubted: bool, tmp_path: Path
) -> None:
    rows = [[CELLS[kind]() for kind in kinds] for _ in range(200)]
    assert is_doubted(written(tmp_path, [names, *rows]), 200) is doubted


def test_the_way_out_stands_wherever_such_names_lead(tmp_path: Path) -> None:
    rows = [[CELLS["share"](), CELLS["letter"](), CELLS["sales"]()] for _ in range(30)]
    path = written(tmp_path, rows)
    calls: dict[str, Callable[[], object]] = {
        "target 'y' is not a column of X; it has ": lambda: train(path),
        "column 'a' is missing; X has the columns ": lambda: train(path, feature_names=["a", "b", "y"]),
        "column 'b' is missing; X has the columns ": lambda: Reader(
            train({"b": [1, 2], "y": [0, 1]}).contract
        ).read_table(path),
    }
    for beginning, call in calls.items():
        with pytest.raises(InvalidTable) as caught:
            call()
        assert caught.value.errors[0].message.startswith(beginning)
        assert caught.value.errors[0].message.endswith(f"; {HINT}")


@pytest.mark.parametrize("first", [[0, "x", 0], [0, "", "x"], [0.5, 0.5, "x"]])
def test_names_that_a_header_cannot_have_name_the_way_out(first: list[Any], tmp_path: Path) -> None:
    with pytest.raises(InvalidTable) as caught:
        train(written(tmp_path, [first, [1, "z", 2]]))
    assert caught.value.detail.startswith("CSV header: ")
    assert caught.value.detail.endswith(f"; {HINT}")


def test_columns_that_are_no_csv_are_not_doubted() -> None:
    table = train({"0.5": [0.1, 0.9, 0.4], "0.7": [0.2, 0.8, 0.5]}, None, [0, 1, 0])
    assert table.warnings == ()
