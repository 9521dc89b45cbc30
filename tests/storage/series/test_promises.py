"""Series, whatever keeps them: what was appended is read in order of time, by whoever wrote it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modelyard.errors import InvalidRequest
from modelyard.storage.protocols import Series, SeriesEntry
from tests.engines import Engine
from tests.storage.series.hourly import START, Clock, numbers


@pytest.fixture
def series(engine: Engine) -> Series:
    return engine.series(Clock())


def test_entries_come_back_with_the_moment_of_their_append(series: Series) -> None:
    entries: list[dict[str, Any]] = [{"text": "é\n\0", "x": 0.1, "none": None}, {"list": [1, {"a": True}]}]
    at = series.append("outcomes", entries)
    assert at == START + timedelta(hours=1)
    assert list(series.scan("outcomes")) == [SeriesEntry(at, fields) for fields in entries]
    assert list(series.scan("others")) == []


def test_a_clock_that_goes_back_turns_no_order_round(engine: Engine) -> None:
    moments = iter([START, START - timedelta(days=3), START - timedelta(seconds=1), START + timedelta(seconds=1)])
    series = engine.series(lambda: next(moments))
    stamped = [series.append("outcomes", [{"n": n}]) for n in range(4)]
    assert stamped == [START, START, START, START + timedelta(seconds=1)]
    assert numbers(series) == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "A", "1a", ".a", "a" * 65, "a\n", "ä", "a.b"])
def test_names_that_are_no_streams_are_refused(series: Series, name: str) -> None:
    uses: list[Callable[[], object]] = [
        lambda: series.append(name, [{}]),
        lambda: series.scan(name),
        lambda: series.drop(name, START),
    ]
    for use in uses:
        with pytest.raises(InvalidRequest, match="is no name of a stream: it has lower-case letters"):
            use()


@pytest.mark.parametrize("entry", [{1: 2}, {"x": {1, 2}}, {"x": 1 << 70}])
def test_what_is_no_json_is_refused_and_harms_nothing(series: Series, entry: dict[Any, Any]) -> None:
    series.append("outcomes", [{"n": 0}])
    with pytest.raises(InvalidRequest, match="entries of 'outcomes' cannot be written as JSON"):
        series.append("outcomes", [{"n": 1}, entry])
    series.append("outcomes", [{"n": 2}])
    assert numbers(series) == [0, 2]


def test_threads_append_at_once(engine: Engine) -> None:
    series = engine.series()
    threads = [
        threading.Thread(target=lambda by=by: [series.append("busy", [{"n": by * 100 + n}]) for n in range(20)])
        for by in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers(series, "busy")) == sorted(by * 100 + n for by in range(4) for n in range(20))


def test_streams_are_read_by_time_over_writers(engine: Engine) -> None:
    clock = Clock()
    writers = [engine.series(clock) for _ in range(3)]
    moments = [writers[n % 3].append("outcomes", [{"n": n}]) for n in range(60)]
    for reader in (writers[0], engine.series()):
        assert numbers(reader) == list(range(60))
        assert numbers(reader, since=moments[7]) == list(range(7, 60))
        assert numbers(reader, until=moments[50]) == list(range(50))
        assert numbers(reader, since=moments[20], until=moments[21]) == [20]
        elsewhere = moments[20].astimezone(datetime.fromisoformat("2026-01-01T00:00+11:00").tzinfo)
        assert numbers(reader, since=elsewhere, until=moments[21]) == [20]


def test_whole_days_are_dropped(series: Series) -> None:
    moments = [series.append("outcomes", [{"n": n}]) for n in range(60)]
    midnight = datetime(2026, 3, 3, tzinfo=UTC)
    kept = [n for n, at in enumerate(moments) if at >= midnight]
    for before in (midnight, midnight + timedelta(hours=23)):
        series.drop("outcomes", before)
        assert numbers(series) == kept
    series.drop("others", midnight)
    series.append("outcomes", [{"n": 60}])
    assert numbers(series) == [*kept, 60]
