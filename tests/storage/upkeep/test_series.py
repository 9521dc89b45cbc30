"""The upkeep of series: doctor names what is damaged, a repair keeps the rest, backups and gc know them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import DataLoss
from modelyard.storage.folder import Folder
from modelyard.storage.series.folder import SeriesFolder
from modelyard.storage.upkeep import archive, backup
from modelyard.storage.upkeep.doctor import examine
from modelyard.storage.upkeep.garbage import collect
from modelyard.storage.upkeep.repair import repair
from tests.storage_drafts import add_model, new_model, open_store


@pytest.fixture
def series(storage_dir: Path) -> SeriesFolder:
    """A stream of three entries by one writer, in a yard with a model."""
    store = open_store(storage_dir)
    add_model(store, new_model(name="churn"))
    store.close()
    series = Folder(storage_dir).series()
    for n in range(3):
        series.append("outcomes", [{"n": n}])
    return series


def numbers(series: SeriesFolder) -> list[Any]:
    return [entry.fields["n"] for entry in series.scan("outcomes")]


def file_of(root: Path) -> Path:
    (file,) = root.glob("series/outcomes/*.jsonl")
    return file


def damage_second(content: bytes) -> bytes:
    return content.replace(b'"n":1}', b'"n":7}')


def join_first_lines(content: bytes) -> bytes:
    return content.replace(b"\n", b" ", 1)


def leave_out_second(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    return lines[0] + lines[2]


@pytest.mark.parametrize(
    ("spoil", "problem", "left"),
    [
        (damage_second, "line 2 is damaged: its checksum does not hold", [0, 2]),
        (join_first_lines, "line 1 is damaged: its checksum does not hold", [0, 1, 2]),
        (leave_out_second, "line 2 is line 3: others are missing or doubled", [0, 2]),
    ],
)
def test_a_damaged_file_is_written_anew_of_its_whole_lines(
    storage_dir: Path, series: SeriesFolder, spoil: Callable[[bytes], bytes], problem: str, left: list[int]
) -> None:
    file = file_of(storage_dir)
    damaged = spoil(file.read_bytes())
    file.write_bytes(damaged)
    examination = examine(Folder(storage_dir))
    what = str(file.relative_to(storage_dir))
    assert [(found.kind, found.what, found.problem) for found in examination.findings] == [("series", what, problem)]
    assert not examination.is_sound
    mended = repair(Folder(storage_dir))
    assert mended.is_sound
    damaged_lines = int(spoil is damage_second)
    assert f"written anew of its whole lines ({damaged_lines} were damaged)" in (mended.findings[0].done or "")
    (aside,) = storage_dir.glob(f"quarantine/*/{what}")
    assert aside.read_bytes() == damaged
    assert numbers(series) == left
    assert examine(Folder(storage_dir)).findings == []
    series.append("outcomes", [{"n": 9}])  # by the writer whose file was mended
    assert numbers(series) == [*left, 9]


def test_a_sound_series_is_left_as_it_is(storage_dir: Path, series: SeriesFolder) -> None:
    before = file_of(storage_dir).read_bytes()
    assert examine(Folder(storage_dir)).findings == repair(Folder(storage_dir)).findings == []
    assert collect(Folder(storage_dir)) == []
    assert file_of(storage_dir).read_bytes() == before


def test_a_torn_end_is_no_damage(storage_dir: Path, series: SeriesFolder) -> None:
    file = file_of(storage_dir)
    file.write_bytes(file.read_bytes() + b'{"n":4,"at"')
    assert examine(Folder(storage_dir)).findings == []
    assert numbers(series) == [0, 1, 2]


def test_gc_removes_files_without_an_entry(storage_dir: Path, series: SeriesFolder) -> None:
    file = file_of(storage_dir)
    for number, content in enumerate((b"", b'{"n":1,"at"')):
        file.with_name(f"2026-01-01-{number:016x}.jsonl").write_bytes(content)
    for dry_run in (True, False):
        garbage = collect(Folder(storage_dir), dry_run=dry_run)
        assert [(found.kind, found.bytes) for found in garbage] == [("leftover", 0), ("leftover", 11)]
        assert len(list(storage_dir.glob("series/outcomes/*"))) == (3 if dry_run else 1)
    assert numbers(series) == [0, 1, 2]


def test_a_backup_holds_the_series_as_they_were(storage_dir: Path, series: SeriesFolder, tmp_path: Path) -> None:
    file = file_of(storage_dir)
    file.write_bytes(file.read_bytes() + b'{"n":4,"at"')  # torn, or in the making
    backup.create(Folder(storage_dir), tmp_path / "yard.tar.gz")
    series.append("outcomes", [{"n": 4}])
    backup.load(tmp_path / "yard.tar.gz", Folder(tmp_path / "new"))
    loaded = Folder(tmp_path / "new").series()
    assert [*loaded.scan("outcomes")] == [*series.scan("outcomes")][:3]
    assert examine(Folder(tmp_path / "new")).findings == []
    loaded.append("outcomes", [{"n": 5}])
    assert numbers(loaded) == [0, 1, 2, 5]


def test_a_damaged_series_is_not_backed_up_silently(storage_dir: Path, series: SeriesFolder, tmp_path: Path) -> None:
    file = file_of(storage_dir)
    file.write_bytes(damage_second(file.read_bytes()))
    with pytest.raises(DataLoss, match=r"the series cannot be copied: .* line 2 is damaged.*see `modelyard doctor`"):
        backup.create(Folder(storage_dir), tmp_path / "yard.tar")
    assert not list(tmp_path.glob("*yard.tar*"))


def test_a_backup_of_the_first_format_is_loaded(
    storage_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(storage_dir)
    add_model(store, new_model(name="churn"))
    store.close()
    monkeypatch.setattr(archive, "FORMAT", 1)
    backup.create(Folder(storage_dir), tmp_path / "yard.tar")
    monkeypatch.undo()
    assert backup.load(tmp_path / "yard.tar", Folder(tmp_path / "new")).models == 1
    assert open_store(tmp_path / "new").get("churn").metadata.version == 1


def test_a_yard_with_a_series_is_in_use(tmp_path: Path) -> None:
    root = tmp_path / "yard"
    open_store(root).close()
    folder = Folder(root)
    folder.series().append("outcomes", [{"n": 1}])
    assert not folder.remove_unused()
    assert (root / "db.jsonl").exists()
