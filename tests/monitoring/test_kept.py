"""What a process has counted, kept for all processes: by the hour, through refusals of the disk, past kill -9."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelyard.errors import Unavailable
from modelyard.ml_core.serving import predicting
from modelyard.ml_core.yard import Yard
from modelyard.monitoring import watching
from modelyard.monitoring.counts import ModelCounts
from modelyard.monitoring.watch import Watch
from modelyard.monitoring.watching import HOUR_S, SETTLED_S, Watching
from modelyard.schemas import Decision, PredictRequest, TrainRequest
from modelyard.storage import DriftCollection
from modelyard.storage.folder import Folder
from tests import doors
from tests.monitoring.told_rows import ToldRows
from tests.waiting import PATIENCE_S, wait_until

ROWS: list[dict[str, Any]] = [{"age": float(row % 30), "job": "abc"[row % 3]} for row in range(200)]
Y = ["yes" if row["age"] > 14 else "no" for row in ROWS]
NOW = 1_800_000_000.0
HOUR = int(NOW // HOUR_S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept") / "yard"


@pytest.fixture(scope="module")
def yard(folder: Path) -> Iterator[Yard]:
    with doors.core(folder) as yard:
        for name in ("one", "two"):
            yard.train(TrainRequest(model_class_key="logistic_regression", X=ROWS, y=Y, name=name))
        yield yard


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(tmp_path: Path) -> DriftCollection:
    return Folder(tmp_path).drift()


@pytest.fixture
def told() -> ToldRows:
    return ToldRows()


@pytest.fixture
def watched(
    yard: Yard, kept: DriftCollection, clock: Clock, told: ToldRows, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Watching]:
    monkeypatch.setattr(watching, "EVERY_S", PATIENCE_S)  # nothing is counted but when the test says so
    fresh = Watching(kept, clock, told.take)
    monkeypatch.setattr(yard.calls, "take", fresh.take)
    yield fresh
    fresh.close()


def ask(yard: Yard, name: str, rows: int, **fields: Any) -> None:
    yard.predict(PredictRequest(model_id=name, X=ROWS[:rows], **fields))


def counts(yard: Yard, kept: DriftCollection, name: str = "one", since: int = 0) -> ModelCounts:
    found = ModelCounts()
    for _, one in kept.read(yard.get_model(name).model_id, since):
        found.add(ModelCounts.from_json(one))
    return found


def test_cells_and_answers_are_kept_by_bin(yard: Yard, watched: Watching, kept: DriftCollection) -> None:
    ask(yard, "one", 5)
    ask(yard, "one", 100)
    ask(yard, "two", 7)
    watched.keep()
    found = counts(yard, kept)
    assert (found.rows, counts(yard, kept, "two").rows) == (105, 7)
    assert {name: int(cells.sum()) for name, cells in found.columns.items()} == {"age": 105, "job": 105}
    assert found.columns["job"].tolist() == [36, 35, 34, 0, 0, 0]
    answered = yard.predict(PredictRequest(model_id="one", X=ROWS[:105])).predictions
    assert [cells.tolist() for cells in found.answers.values()] == [
        [answered[:5].count(label) + answered[:100].count(label) for label in ("no", "yes")]
    ]


def test_answers_are_told_apart_by_the_decision_that_they_obey(
    yard: Yard, watched: Watching, kept: DriftCollection
) -> None:
    for threshold in range(1, 30):
        decision = Decision(rule="threshold", threshold=threshold / 100)
        ask(yard, "one", 3, decision=decision)  # a caller's own
        yard.set_decision("one", decision)
        ask(yard, "one", threshold)
    yard.set_decision("one", Decision(rule="most_probable"))
    ask(yard, "one", 100)
    watched.keep()
    found = counts(yard, kept)
    assert found.rows == 29 * 3 + sum(range(30)) + 100
    assert sorted(int(cells.sum()) for cells in found.answers.values()) == [*range(1, 30), 100]


def test_an_hour_goes_into_the_stream_when_all_have_kept_its_last_counts(
    yard: Yard, watched: Watching, kept: DriftCollection, clock: Clock, tmp_path: Path
) -> None:
    def snapshots() -> list[int]:
        return sorted(int(path.name.partition("-")[0]) for path in (tmp_path / "drift").iterdir())

    ask(yard, "one", 5)
    watched.keep()
    clock.now += HOUR_S
    ask(yard, "one", 3)
    watched.keep()
    assert snapshots() == [HOUR, HOUR + 1]
    clock.now = (HOUR + 1) * HOUR_S + SETTLED_S
    ask(yard, "one", 4)
    watched.keep()
    assert snapshots() == [HOUR + 1]
    assert counts(yard, kept).rows == 12
    assert counts(yard, kept, since=HOUR + 1).rows == 7


def test_a_clock_that_is_set_back_costs_no_counts(
    yard: Yard, watched: Watching, kept: DriftCollection, clock: Clock
) -> None:
    for hours, rows in ((0, 20), (-1, 30), (1, 3), (-1, 7), (0, 5)):  # each hour comes twice
        clock.now += hours * HOUR_S
        ask(yard, "one", rows)
        watched.keep()
    assert counts(yard, kept).rows == 20 + 30 + 3 + 7 + 5
    assert counts(yard, kept, since=HOUR).rows == 20 + 3


def test_what_the_disk_refuses_is_kept_later(
    yard: Yard, watched: Watching, kept: DriftCollection, clock: Clock, tmp_path: Path
) -> None:
    (tmp_path / "drift").write_bytes(b"")
    for rows in (5, 3):
        ask(yard, "one", rows)
        with pytest.raises(Unavailable):
            watched.keep()
        clock.now += HOUR_S
    (tmp_path / "drift").unlink()
    watched.keep()
    assert (counts(yard, kept).rows, counts(yard, kept, since=HOUR + 1).rows) == (8, 3)


def test_a_disk_that_refuses_for_days_costs_the_oldest_hours(
    yard: Yard, watched: Watching, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "drift").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        for _ in range(26):
            ask(yard, "one", 1)
            watched.count()
            clock.now += HOUR_S
    (tmp_path / "drift").unlink()
    watched.keep()
    assert counts(yard, Folder(tmp_path).drift()).rows == 24
    assert [record.getMessage() for record in caplog.records] == [
        "the counts of an hour are lost, because they could not be kept for a day"
    ] * 2


def test_a_model_without_a_reference_is_counted_in_total_alone(
    yard: Yard, watched: Watching, kept: DriftCollection, told: ToldRows
) -> None:
    model = yard.loaded.get("one")
    bare = Watch.of(model.model_id, "one", 1, model.contract, None)
    found = predicting.predict(model, PredictRequest(model_id="one", X=ROWS[:2]))
    watched.take(
        (bare, model.reader.read([{"age": None, "job": "new"}, ROWS[0]]), found.predictions, found.decision, False)
    )
    watched.keep()
    assert told == {("one", 1): (2, 1, 1)}
    assert counts(yard, kept).rows == 0


def test_what_other_processes_count_is_seen_and_outlives_them(yard: Yard, folder: Path) -> None:
    before = yard.get_drift("one").rows
    port = doors.free_port()
    command = [sys.executable, "-m", "modelyard", "rest"]
    with doors.serving(command, folder, MODELYARD_REST_PORT=str(port)) as process:
        url = f"http://127.0.0.1:{port}"
        doors.wait_until_healthy(url)
        for _ in range(3):
            answer = httpx.post(f"{url}/predict", json={"model_id": "one", "X": ROWS[:10]}, timeout=PATIENCE_S)
            assert answer.status_code == 200
        wait_until(lambda: yard.get_drift("one").rows == before + 30)
        process.kill()
        process.wait(PATIENCE_S)
        assert yard.get_drift("one").rows == before + 30
