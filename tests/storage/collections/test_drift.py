"""The counts of drift: each counts once, whatever dies, stands twice or happens at once."""

from __future__ import annotations

import logging
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import Unavailable
from modelyard.storage.collections import drift
from modelyard.storage.collections.drift import DriftCollection
from modelyard.storage.folder import Folder
from modelyard.storage.upkeep import backup, doctor, garbage
from tests.storage_drafts import add_model, new_model, open_store

MODEL, OTHER = "0190a000-0000-7000-8000-000000000001", "0190a000-0000-7000-8000-000000000002"
A, B = "a" * 16, "b" * 16
HOUR = int(datetime.now(UTC).timestamp()) // 3600


@pytest.fixture
def kept(tmp_path: Path) -> DriftCollection:
    return Folder(tmp_path).drift()


def counts(rows: int, **more: Any) -> dict[str, Any]:
    return {"rows": rows, **more}


def rows(kept: DriftCollection, model: str = MODEL, since: int = HOUR - 48) -> list[int]:
    return sorted(found["rows"] for _, found in kept.read(model, since))


def test_a_snapshot_takes_the_place_of_the_last_one_of_its_process_and_hour(kept: DriftCollection) -> None:
    assert rows(kept) == []
    kept.keep(HOUR, A, {MODEL: counts(3, columns={"age": [1, 2]})})
    kept.keep(HOUR, A, {MODEL: counts(5), OTHER: counts(7)})
    kept.keep(HOUR, B, {MODEL: counts(11)})
    kept.keep(HOUR - 1, A, {MODEL: counts(100)})
    assert rows(kept) == [5, 11, 100]
    assert rows(kept, since=HOUR) == [5, 11]
    assert rows(kept, OTHER) == [7]


def test_hours_that_are_over_go_into_the_models_own_stream(kept: DriftCollection, tmp_path: Path) -> None:
    for hour in (HOUR - 2, HOUR - 1, HOUR):
        for process in (A, B):
            kept.keep(hour, process, {MODEL: counts(HOUR - hour + 1), OTHER: counts(9)})
    before = rows(kept)
    kept.tidy(HOUR)
    assert rows(kept) == before == [1, 1, 2, 2, 3, 3]
    assert rows(kept, OTHER) == [9] * 6
    assert sorted(path.name for path in (tmp_path / "drift").iterdir()) == [f"{HOUR}-{A}.json", f"{HOUR}-{B}.json"]
    assert len(list((tmp_path / "series" / f"drift-{MODEL}").iterdir())) == 1
    kept.tidy(HOUR + 1)
    assert rows(kept) == before
    assert list((tmp_path / "drift").iterdir()) == []


def test_a_crash_before_the_snapshots_go_counts_nothing_twice(
    kept: DriftCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.keep(HOUR - 1, A, {MODEL: counts(5)})

    def dies(name: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(kept._snapshots, "remove", dies)
        with pytest.raises(KeyboardInterrupt):
            kept.tidy(HOUR)
    assert rows(kept) == [5]
    kept.tidy(HOUR)
    assert rows(kept) == [5]


def test_what_a_process_that_was_held_up_keeps_late_counts_once(kept: DriftCollection) -> None:
    kept.keep(HOUR - 1, A, {MODEL: counts(5)})
    kept.tidy(HOUR)
    kept.keep(HOUR - 1, A, {MODEL: counts(8)})
    assert rows(kept) == [8]
    kept.tidy(HOUR)
    assert rows(kept) == [8]


def test_many_who_tidy_at_once_count_nothing_twice(kept: DriftCollection, tmp_path: Path) -> None:
    for process in range(20):
        kept.keep(HOUR - 1, f"{process:016x}", {MODEL: counts(1)})
    others = [Folder(tmp_path).drift() for _ in range(4)]
    threads = [threading.Thread(target=one.tidy, args=(HOUR,)) for one in others]
    for thread in threads:
        thread.start()
    for _ in range(20):
        assert rows(kept) == [1] * 20
    for thread in threads:
        thread.join()
    assert rows(kept) == [1] * 20


@pytest.mark.parametrize("content", [b'{"0190', b"", b"[]", b"7", b'{"0190": [3]}', b'{"0190": {"rows": "3"}}'])
def test_a_snapshot_that_is_damaged_is_left_out_and_told(
    kept: DriftCollection, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    kept.keep(HOUR - 1, A, {MODEL: counts(5)})
    kept.keep(HOUR - 1, B, {MODEL: counts(6)})
    (tmp_path / "drift" / f"{HOUR - 1}-{A}.json").write_bytes(content)
    (tmp_path / "drift" / "notes.json").write_bytes(b"{}")
    with caplog.at_level(logging.WARNING):
        assert rows(kept) == [6]
        kept.tidy(HOUR)
        assert rows(kept) == [6]
    assert {record.getMessage() for record in caplog.records} == {
        f"snapshot {HOUR - 1}-{A} is damaged: its counts are lost"
    }
    assert [path.name for path in (tmp_path / "drift").iterdir()] == ["notes.json"]


def test_counts_are_kept_for_ninety_days(kept: DriftCollection, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = datetime.fromtimestamp(HOUR * 3600, UTC) - timedelta(days=drift.KEPT_DAYS + 2)
    monkeypatch.setattr(kept._series, "_clock", lambda: clock)
    for day in range(4):
        hour = int(clock.timestamp()) // 3600
        kept.keep(hour, f"{day:016x}", {MODEL: counts(day + 1)})
        kept.tidy(hour + 1)
        clock += timedelta(days=1)
    assert rows(kept, since=0) == [1, 2, 3, 4]
    kept.tidy(HOUR)
    assert rows(kept, since=0) == [3, 4]


def test_a_folder_that_refuses_is_unavailable(kept: DriftCollection, tmp_path: Path) -> None:
    (tmp_path / "drift").write_bytes(b"")
    with pytest.raises(Unavailable, match="cannot write"):
        kept.keep(HOUR, A, {MODEL: counts(5)})


def test_doctor_and_gc_know_what_a_crash_leaves(tmp_path: Path) -> None:
    yard = tmp_path / "yard"
    add_model(open_store(yard), new_model())
    Folder(yard).drift().keep(HOUR, A, {MODEL: counts(4)})
    (yard / "drift" / f"{HOUR}-{B}.json").write_bytes(b"{")
    (yard / "drift" / f"{HOUR}-{A}.new").write_bytes(b"")
    os.utime(yard / "drift" / f"{HOUR}-{A}.new", (0, 0))
    [finding] = doctor.examine(Folder(yard)).findings
    assert (finding.what, finding.problem, finding.harmless) == (f"drift/{HOUR}-{B}.json", doctor.LOST_COUNTS, True)
    assert {found.what for found in garbage.collect(Folder(yard))} == {
        f"drift/{HOUR}-{A}.new",
        f"drift/{HOUR}-{B}.json",
    }
    assert [path.name for path in (yard / "drift").iterdir()] == [f"{HOUR}-{A}.json"]
    assert doctor.examine(Folder(yard)).findings == []


def test_a_backup_has_what_was_counted_up_to_now(tmp_path: Path) -> None:
    yard = tmp_path / "yard"
    add_model(open_store(yard), new_model())
    kept = Folder(yard).drift()
    kept.keep(HOUR - 1, A, {MODEL: counts(4)})
    kept.keep(HOUR, B, {MODEL: counts(5)})
    backup.create(Folder(yard), tmp_path / "yard.tar")
    kept.keep(HOUR, B, {MODEL: counts(6)})
    assert rows(kept) == [4, 6]
    backup.load(tmp_path / "yard.tar", Folder(tmp_path / "copy"))
    assert rows(Folder(tmp_path / "copy").drift()) == [4, 5]
    assert doctor.examine(Folder(tmp_path / "copy")).is_sound
