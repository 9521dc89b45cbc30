"""The watch of a process: what is answered is counted once, in bulk; what is refused, and what is dropped, is not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from modelyard.errors import InvalidTable
from modelyard.ml_core.yard import Yard
from modelyard.monitoring import watching
from modelyard.monitoring.watching import Watching
from modelyard.schemas import PredictRequest, TrainRequest
from tests import doors
from tests.monitoring.told_rows import ToldRows
from tests.waiting import wait_until

ROWS: list[dict[str, Any]] = [
    {"age": float(row % 9), "job": "ab"[row % 2], "since": f"2024-0{row % 9 + 1}-01"} for row in range(120)
]
Y = ["no", "yes"] * 60


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with doors.core(tmp_path_factory.mktemp("watching") / "yard") as yard:
        yard.train(TrainRequest(model_class_key="logistic_regression", X=ROWS, y=Y, name="watched"))
        yield yard


@pytest.fixture
def told() -> ToldRows:
    return ToldRows()


@pytest.fixture
def watched(yard: Yard, told: ToldRows, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watching]:
    fresh = Watching(count_rows=told.take)
    monkeypatch.setattr(yard.calls, "take", fresh.take)
    yield fresh
    fresh.close()


def ask(yard: Yard, X: Any) -> None:
    yard.predict(PredictRequest(model_id="watched", X=X))


def counted(watching: Watching, told: ToldRows) -> tuple[int, ...]:
    watching.count()
    assert list(told) == [("watched", 1)]
    return told["watched", 1]


def hold_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let 30 cells wait at most: ten rows."""
    monkeypatch.setattr(watching, "_MANY_CELLS", 30)
    monkeypatch.setattr(watching, "_MOST_CELLS", 30)


@pytest.mark.parametrize("n", [1, 3, 64, 65, 120])
def test_rows_unknown_categories_and_missing_cells_are_counted(
    yard: Yard, watched: Watching, told: ToldRows, n: int
) -> None:
    odd: list[dict[str, Any]] = [
        {"age": None, "job": "c", "since": None},
        {"age": 1.0, "job": None, "since": "2024-02-01"},
    ]
    ask(yard, ROWS[:n])
    assert counted(watched, told) == (n, 0, 0)
    ask(yard, ROWS[:n] + odd)
    assert counted(watched, told) == (2 * n + 2, 1, 3)
    ask(yard, {name: [row[name] for row in ROWS[:n] + odd] for name in ROWS[0]})
    assert counted(watched, told) == (3 * n + 4, 2, 6)


def test_what_is_refused_is_not_counted(yard: Yard, watched: Watching, told: ToldRows) -> None:
    for wrong in ([{**ROWS[0], "age": "old"}], [{"age": 1.0}], {"age": [1.0] * 100}):
        with pytest.raises(InvalidTable):
            ask(yard, wrong)
    watched.count()
    assert told == {}


@pytest.mark.usefixtures("watched")
def test_rows_are_counted_without_anybody_asking(yard: Yard, told: ToldRows) -> None:
    ask(yard, ROWS[:5])
    wait_until(lambda: told)
    ask(yard, ROWS[:5])
    wait_until(lambda: told == {("watched", 1): (10, 0, 0)})


def test_what_cannot_be_counted_in_time_is_left_out_and_told(
    yard: Yard, watched: Watching, told: ToldRows, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hold_few(monkeypatch)
    with caplog.at_level(logging.WARNING):
        with watched._counting:  # counting is held up
            for _ in range(4):
                ask(yard, ROWS[:5])
        assert counted(watched, told)[0] == 10
    said = [record.getMessage() for record in caplog.records]
    assert said == ["10 rows were left out of what is watched, because counting fell behind"]


def test_a_table_beyond_the_bound_is_counted_if_nothing_waits(
    yard: Yard, watched: Watching, told: ToldRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_few(monkeypatch)
    ask(yard, ROWS)
    assert counted(watched, told)[0] == 120
