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
def watched(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watching]:
    fresh = Watching()
    monkeypatch.setattr(yard.calls, "take", fresh.take)
    yield fresh
    fresh.close()


def ask(yard: Yard, X: Any) -> None:
    yard.predict(PredictRequest(model_id="watched", X=X))


def counted(watching: Watching) -> tuple[int, int, int]:
    [totals] = watching.totals()
    assert (totals.name, totals.version) == ("watched", 1)
    return totals.rows, totals.unknown_categories, totals.missing_cells


def hold_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let 30 cells wait at most: ten rows."""
    monkeypatch.setattr(watching, "_MANY_CELLS", 30)
    monkeypatch.setattr(watching, "_MOST_CELLS", 30)


@pytest.mark.parametrize("n", [1, 3, 64, 65, 120])
def test_rows_unknown_categories_and_missing_cells_are_counted(yard: Yard, watched: Watching, n: int) -> None:
    odd: list[dict[str, Any]] = [
        {"age": None, "job": "c", "since": None},
        {"age": 1.0, "job": None, "since": "2024-02-01"},
    ]
    ask(yard, ROWS[:n])
    assert counted(watched) == (n, 0, 0)
    ask(yard, ROWS[:n] + odd)
    assert counted(watched) == (2 * n + 2, 1, 3)
    ask(yard, {name: [row[name] for row in ROWS[:n] + odd] for name in ROWS[0]})
    assert counted(watched) == (3 * n + 4, 2, 6)


def test_what_is_refused_is_not_counted(yard: Yard, watched: Watching) -> None:
    for wrong in ([{**ROWS[0], "age": "old"}], [{"age": 1.0}], {"age": [1.0] * 100}):
        with pytest.raises(InvalidTable):
            ask(yard, wrong)
    assert watched.totals() == []


def test_rows_are_counted_without_anybody_asking(yard: Yard, watched: Watching) -> None:
    ask(yard, ROWS[:5])
    wait_until(lambda: watched._totals)
    ask(yard, ROWS[:5])
    wait_until(lambda: [one.rows for one in watched._totals.values()] == [10])


def test_what_cannot_be_counted_in_time_is_left_out_and_told(
    yard: Yard, watched: Watching, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hold_few(monkeypatch)
    with caplog.at_level(logging.WARNING):
        with watched._counting:  # counting is held up
            for _ in range(4):
                ask(yard, ROWS[:5])
        assert counted(watched)[0] == 10
    told = [record.getMessage() for record in caplog.records]
    assert told == ["10 rows were left out of what is watched, because counting fell behind"]


def test_a_table_beyond_the_bound_is_counted_if_nothing_waits(
    yard: Yard, watched: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_few(monkeypatch)
    ask(yard, ROWS)
    assert counted(watched)[0] == 120
