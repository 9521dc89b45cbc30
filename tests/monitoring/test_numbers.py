"""Memory in which workers count: each in its own part, and everybody reads all."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from modelyard.monitoring import numbers as numbers_module
from modelyard.monitoring.numbers import Key, Numbers, Part, Place, shared_memory

COUNT = """
import sys
from modelyard.monitoring.numbers import Numbers, Place
numbers = Numbers(Place(int(sys.argv[1]), 1))
numbers.values[numbers.at(("calls", "\\u00e9"), 2) + 1] += 7
"""


@pytest.fixture
def descriptor() -> Iterator[int]:
    descriptor = shared_memory(2)
    yield descriptor
    os.close(descriptor)


def contents(part: Part) -> dict[Key, list[float]]:
    return {key: list(part.values[at : at + count]) for key, at, count in part.places()}


def test_a_key_has_its_place_and_begins_with_zeros() -> None:
    numbers = Numbers()
    first = numbers.at(("calls", "rest"), 3)
    second = numbers.at(("rows",))
    numbers.values[first + 2] = 1.5
    numbers.values[second] = 9
    assert numbers.at(("calls", "rest"), 3) == first
    assert contents(numbers.parts[0]) == {("calls", "rest"): [0, 0, 1.5], ("rows",): [9]}


def test_all_processes_see_what_each_has_counted_and_a_dead_ones_counts_stay(descriptor: int) -> None:
    numbers = Numbers(Place(descriptor, 0))
    numbers.values[numbers.at(("calls",))] = 3
    subprocess.run([sys.executable, "-c", COUNT, str(descriptor)], pass_fds=[descriptor], check=True)
    mine, others = numbers.parts
    assert contents(mine) == {("calls",): [3]}
    assert contents(others) == {("calls", "é"): [0, 7]}
    assert mine.pid == os.getpid()
    assert others.pid is None


def test_who_takes_a_dead_ones_place_goes_on_with_its_counts(descriptor: int) -> None:
    for _ in range(2):
        subprocess.run([sys.executable, "-c", COUNT, str(descriptor)], pass_fds=[descriptor], check=True)
    assert contents(Numbers(Place(descriptor, 0)).parts[1]) == {("calls", "é"): [0, 14]}


def test_full_memory_is_told_of_once_and_harms_no_count(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(numbers_module, "PART_BYTES", 2048)
    numbers = Numbers()
    kept = numbers.at(("kept",))
    with caplog.at_level(logging.WARNING):
        places = {numbers.at((f"key {i}",), 20) for i in range(50)}
    for place in places:
        numbers.values[place : place + 20] = memoryview(bytes(160)).cast("d")
        numbers.values[place + 19] += 1
    assert [record.message for record in caplog.records] == ["the memory for metrics is full: new ones are not shown"]
    found = contents(numbers)
    assert found.pop(("kept",)) == [numbers.values[kept]] == [0]
    assert 1 < len(found) < 50
    assert all(values == [0] * 19 + [1] for values in found.values())
