"""What is a folder's own: files that people move away, and disks that refuse."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from modelyard.errors import DataLoss, Unavailable
from modelyard.storage import ModelStore
from tests.storage_drafts import add_model, new_model, open_store


@pytest.fixture
def store(storage_dir: Path) -> ModelStore:
    return open_store(storage_dir)


def test_a_database_that_is_gone_from_its_models_is_not_made_anew(store: ModelStore, storage_dir: Path) -> None:
    add_model(store, new_model())
    store.close()
    (storage_dir / "db.jsonl").unlink()
    with pytest.raises(DataLoss, match="restore it from a backup"):
        open_store(storage_dir)


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match=r"cannot make .*: File exists"):
        open_store(tmp_path / "file" / "folder")


def test_check_says_why_the_folder_cannot_be_used_and_recovers(store: ModelStore, storage_dir: Path) -> None:
    store.check()
    storage_dir.rename(storage_dir.with_name("aside"))
    with pytest.raises(Unavailable, match="No such file or directory"):
        store.check()
    storage_dir.with_name("aside").rename(storage_dir)
    store.check()
    content = (storage_dir / "db.jsonl").read_bytes()
    (storage_dir / "db.jsonl").write_bytes(content + b"damage\n")
    with pytest.raises(Unavailable, match="line 2 is damaged"):
        store.check()
    (storage_dir / "db.jsonl").write_bytes(content)
    store.check()
    assert sorted(entry.name for entry in storage_dir.rglob("*")) == ["artifacts", "db.jsonl", "db.lock"]


def test_a_change_that_fails_is_not_told(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    add_model(store, new_model(name="churn"))

    def refuse(file: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(Unavailable):
        store.set_status("churn", "deleted")
    monkeypatch.undo()
    assert [event.verb for event in store.history("churn").events] == ["train"]


def test_a_commit_that_fails_leaves_no_files(
    store: ModelStore, storage_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_model(store, new_model(name="churn"))
    fsync = os.fsync
    database = (storage_dir / "db.jsonl").stat().st_ino
    left = [1]

    def refuse(file: int) -> None:
        if left[0] and os.fstat(file).st_ino == database:
            left[0] -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(file)

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(Unavailable, match="Input/output error"):
        add_model(store, new_model(name="churn"))
    assert len(list((storage_dir / "artifacts").iterdir())) == 1
    assert add_model(store, new_model(name="churn")).metadata.version == 2


def test_files_that_cannot_be_written_leave_nothing(
    store: ModelStore, storage_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = (storage_dir / "db.jsonl").read_bytes()
    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(Unavailable, match=r"cannot write .*jobs.*No space left on device"):
        add_model(store, new_model())
    assert list((storage_dir / "artifacts").iterdir()) == []
    assert (storage_dir / "db.jsonl").read_bytes() == before


def test_too_many_open_files_are_unavailable(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    record = add_model(store, new_model())

    def refuse(self: Path) -> bytes:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(Unavailable, match="Too many open files"):
        store.read_file(record, "report.json")
