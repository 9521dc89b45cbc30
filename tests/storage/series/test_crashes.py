"""A crash at every moment: what was answered to an append is there, what was cut short is not, and appends go on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from modelyard.errors import DataLoss
from modelyard.storage.series import writer
from modelyard.storage.series.folder import SeriesFolder
from tests import disk_recorder, simulated_disk
from tests.disk_recorder import WithoutFsync
from tests.simulated_disk import Disk
from tests.storage.series.hourly import START

Step = Callable[[list[SeriesFolder]], object]
Seen = list[dict[str, Any]]


def append(by: int = 0, entries: int = 1, text: str = "") -> Step:
    return lambda all_: all_[by].append("outcomes", [{"by": by, "n": n, "text": text} for n in range(entries)])


def drop(all_: list[SeriesFolder]) -> None:
    all_[0].drop("outcomes", START + timedelta(days=1))


SCENARIOS: dict[str, list[Step]] = {
    "one writer": [append(), append(entries=3), append()],
    "two writers": [append(0), append(1), append(0, text="x" * 9000), append(1)],
    "a new day": [append() for _ in range(5)],
    "full files": [append(text="x" * 400) for _ in range(3)],
    "drop": [*(append() for _ in range(5)), drop, append()],
}


def clock() -> Callable[[], datetime]:
    moments = (START + timedelta(hours=hours) for hours in range(1, 1000))
    return lambda: next(moments)


def look(series: SeriesFolder) -> Seen:
    return [{"at": entry.at, **entry.fields} for entry in series.scan("outcomes")]


def record(steps: list[Step], root: Path) -> tuple[Disk, list[Seen]]:
    """Carry out steps; return what was done on the disk, and what was to be seen after each answer."""
    root.mkdir()
    ticks = clock()
    with disk_recorder.recording(root) as disk:
        writers = [SeriesFolder(root / "series", ticks) for _ in range(2)]
        seen: list[Seen] = [[]]
        for step in steps:
            step(writers)
            disk.acknowledge()
            seen.append(look(writers[0]))
    return disk, seen


def states(steps: list[Step], path: Path, *, power_cut: bool) -> Iterator[tuple[Path, list[Seen], str]]:
    """Yield each folder that a crash leaves, what may be seen in it, and what happened."""
    with mock.patch.object(writer, "MAX_FILE_BYTES", 500):
        disk, seen = record(steps, path / "recorded")
    for moment, what, survived in disk.states(power_cut=power_cut):
        folder = path / "crashed"
        simulated_disk.write_to(folder, survived)
        answered = disk.acknowledged(moment)
        with mock.patch("os.fsync", disk_recorder.no_fsync):
            yield folder, seen[answered : answered + 2], what
        shutil.rmtree(folder)


def check_every_state(steps: list[Step], path: Path, *, power_cut: bool) -> int:
    checked = 0
    for folder, expected, what in states(steps, path, power_cut=power_cut):
        checked += 1
        series = SeriesFolder(folder / "series", lambda: START + timedelta(days=5))
        found = look(series)
        assert found in expected, what
        assert not list(series.problems()), what
        for file in series.files():
            series.remove_empty(file)
        at = series.append("outcomes", [{"n": "new"}])
        assert look(SeriesFolder(folder / "series")) == [*found, {"at": at, "n": "new"}], what
    return checked


@pytest.mark.parametrize("power_cut", [False, True], ids=["killed", "power cut"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_crash_at_any_moment_keeps_what_was_answered(name: str, power_cut: bool, memory_path: Path) -> None:
    assert check_every_state(SCENARIOS[name], memory_path, power_cut=power_cut) > 20


@pytest.mark.parametrize("left_out", ["the lines", "the stream's folder", "the folders above"])
def test_what_is_not_fsynced_would_be_noticed(left_out: str, memory_path: Path) -> None:
    patches: dict[str, AbstractContextManager[object]] = {
        "the lines": mock.patch("modelyard.storage.line_file.os", WithoutFsync()),
        "the stream's folder": mock.patch("modelyard.storage.series.writer.sync_folder"),
        "the folders above": mock.patch("modelyard.storage.files.sync_folder"),
    }
    with patches[left_out], pytest.raises((AssertionError, DataLoss)):
        check_every_state(SCENARIOS["one writer"], memory_path, power_cut=True)
