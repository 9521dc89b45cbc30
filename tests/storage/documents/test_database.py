"""The database: transactions, readers beside writers, compaction, and what the system may refuse."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import Unavailable
from modelyard.storage.documents.database import Database
from modelyard.storage.documents.folder_lock import FolderLock
from tests.observers import Copy
from tests.storage_drafts import ids


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db.jsonl"


def put(database: Database, key: str, **document: Any) -> None:
    with database.transaction() as transaction:
        transaction.put("models", key, document)


def test_a_compaction_keeps_every_document_and_the_holders_of_the_old_file(path: Path) -> None:
    copy = Copy()
    compacting = Database(path, compact_above_bytes=4096)
    holder, sleeper = Database(path, observers=[copy]), Database(path)
    put(compacting, "other", text="x" * 50)
    sizes = []
    for number in range(100):
        put(compacting, "a", n=number, text="y" * 100)
        sizes.append(path.stat().st_size)
        assert (holder.get("models", "a") or {})["n"] == number
    assert max(sizes) < 6000
    assert copy.resets == 1  # it never had to read a compacted file that repeats what it knew
    put(holder, "mine")
    assert ids(sleeper, "models") == ids(compacting, "models") == ["other", "a", "mine"]
    assert Database(path).get("models", "a") == sleeper.get("models", "a")


def test_a_small_file_is_not_compacted(path: Path) -> None:
    database = Database(path)
    inode = path.stat().st_ino
    for number in range(50):
        put(database, "a", n=number)
    assert path.stat().st_ino == inode


def test_a_compaction_that_fails_leaves_the_commit_and_the_old_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(path, compact_above_bytes=2048)

    def refuse(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    for number in range(30):
        put(database, "a", n=number)
    assert "could not be compacted: No space left on device" in caplog.text
    assert Database(path).get("models", "a") == {"n": 29}
    assert not path.with_suffix(".new").exists()


def failing(error: int, times: int) -> Callable[..., Any]:
    left = [times]

    def fail(*arguments: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise OSError(error, os.strerror(error))

    return fail


def test_a_failed_fsync_is_unavailable_and_the_line_is_taken_back(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    database, reader = Database(path), Database(path)
    put(database, "a")
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", failing(errno.EIO, 1))
    with pytest.raises(Unavailable, match=r"cannot write .*db\.jsonl: Input/output error"):
        put(database, "b")
    assert path.read_bytes() == before
    assert "could not be written" in caplog.text
    assert ids(reader, "models") == ids(database, "models") == ["a"]
    put(database, "c")
    assert ids(reader, "models") == ["a", "c"]


def test_a_line_that_cannot_be_taken_back_is_said_to_be_uncertain(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(path)
    transaction = database.transaction()
    monkeypatch.setattr("os.fsync", failing(errno.EIO, 1))
    monkeypatch.setattr("os.ftruncate", failing(errno.EIO, 1))
    with pytest.raises(Unavailable), transaction:
        transaction.put("models", "a", {})
    assert transaction.may_be_stored
    monkeypatch.undo()
    put(database, "b")  # it is whole, so it is made durable before the next
    assert ids(Database(path), "models") == ids(database, "models") == ["a", "b"]


def test_no_reader_sees_a_line_before_it_is_on_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, reader = Database(path), Database(path)
    seen: list[list[str]] = []
    fsync = os.fsync

    def look_then_sync(file: int) -> None:
        with ThreadPoolExecutor(1) as pool:
            seen.append(pool.submit(ids, reader, "models").result())
            seen.append(pool.submit(ids, writer, "models").result())
        fsync(file)

    monkeypatch.setattr("os.fsync", look_then_sync)
    put(writer, "a")
    assert seen == [[], []]
    assert ids(reader, "models") == ["a"]


def test_a_full_disk_is_unavailable_and_recovers(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(path)
    put(database, "a")
    pwrite = os.pwrite

    def nearly_full(file: int, content: bytes, offset: int) -> int:
        if len(content) <= 10:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(file, bytes(content)[:10], offset)

    before = path.read_bytes()
    monkeypatch.setattr("os.pwrite", nearly_full)
    with pytest.raises(Unavailable, match="No space left on device"):
        put(database, "b")
    with pytest.raises(Unavailable, match="No space left on device"):
        database.check(1.0)
    assert path.read_bytes() == before
    monkeypatch.undo()
    database.check(1.0)
    put(database, "b")
    assert ids(Database(path), "models") == ["a", "b"]


def test_a_newline_that_is_refused_leaves_the_line_committed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database, reader = Database(path), Database(path)
    pwrite = os.pwrite

    def no_newline(file: int, content: bytes, offset: int) -> int:
        if bytes(content) == b"\n":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(file, content, offset)

    monkeypatch.setattr("os.pwrite", no_newline)
    put(database, "a")
    assert ids(database, "models") == ids(reader, "models") == ["a"]
    monkeypatch.undo()
    put(reader, "b")
    assert ids(database, "models") == ids(Database(path), "models") == ["a", "b"]


def test_a_lock_that_is_held_is_unavailable_naming_it_and_readers_go_on(path: Path) -> None:
    database = Database(path, lock_timeout_s=0.1)
    put(database, "a")
    with FolderLock(path.with_suffix(".lock"), 1.0).held():
        with pytest.raises(Unavailable, match=r"lock .*db\.lock was not free within 0\.1 s"):
            put(database, "b")
        with pytest.raises(Unavailable, match=r"db\.lock"):
            database.check(0.05)
        assert ids(database, "models") == ids(Database(path), "models") == ["a"]
    put(database, "b")


def test_a_folder_that_vanishes_is_unavailable_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    database = Database(folder / "db.jsonl")
    put(database, "a")
    folder.rename(tmp_path / "aside")
    with pytest.raises(Unavailable, match="No such file or directory"):
        ids(database, "models")
    with pytest.raises(Unavailable, match="the folder is gone"):
        put(database, "b")
    assert not folder.exists()
    (tmp_path / "aside").rename(folder)
    put(database, "b")
    assert ids(database, "models") == ["a", "b"]


def test_another_database_in_its_place_is_read_anew(path: Path, tmp_path: Path) -> None:
    database = Database(path)
    put(database, "a")
    other = Database(tmp_path / "other" / "db.jsonl")
    put(other, "b")
    (tmp_path / "other" / "db.jsonl").replace(path)
    assert ids(database, "models") == ["b"]
    (tmp_path / "third").mkdir()
    put(Database(tmp_path / "third" / "db.jsonl"), "c", text="longer")
    path.write_bytes((tmp_path / "third" / "db.jsonl").read_bytes())  # under the same inode
    assert ids(database, "models") == ["c"]


def test_a_database_that_was_closed_is_read_anew(path: Path) -> None:
    copy = Copy()
    database = Database(path, observers=[copy])
    put(database, "b", n=2)
    database.close()
    assert ids(database, "models") == ["b"]
    assert (copy.documents, copy.resets) == ({("models", "b"): {"n": 2}}, 2)
