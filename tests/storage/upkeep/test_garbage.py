"""Collecting garbage: what goes, what stays, and what is only said."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from modelyard.errors import ModelGone
from modelyard.schemas import ModelQuery
from modelyard.storage import ModelStore
from modelyard.storage.folder import Folder
from modelyard.storage.upkeep.garbage import collect
from tests.storage_drafts import add_model, new_model, open_store


@pytest.fixture
def store(storage_dir: Path) -> ModelStore:
    store = open_store(storage_dir)
    for name in ("kept", "retired", "retired"):
        add_model(store, new_model(name=name))
    store.set_status("retired:1", "deleted")
    return store


def names(store: ModelStore) -> set[str]:
    return {f"{model.name}:{model.version}" for model in store.page(ModelQuery(status="all")).models}


def folders(root: Path) -> set[str]:
    return {path.name for path in (root / "artifacts").iterdir()}


def test_without_retention_deleted_models_stay(store: ModelStore, storage_dir: Path) -> None:
    assert collect(Folder(storage_dir)) == []
    assert names(store) == {"kept:1", "retired:1", "retired:2"}


def test_models_deleted_long_enough_ago_go_for_good(store: ModelStore, storage_dir: Path) -> None:
    assert collect(Folder(storage_dir), retention_days=1) == []
    retired = store.get("retired:1").metadata
    before = folders(storage_dir)
    for dry_run in (True, False):
        (garbage,) = collect(Folder(storage_dir), retention_days=0, dry_run=dry_run)
        assert (garbage.kind, garbage.what) == ("deleted", f"artifacts/{retired.model_id}")
        assert garbage.why.startswith("retired:1, deleted 20")
        assert garbage.bytes > retired.artifact.bytes
        assert (folders(storage_dir) == before) is dry_run
    assert folders(storage_dir) == before - {retired.model_id}
    assert names(store) == {"kept:1", "retired:2"}
    with pytest.raises(ModelGone):
        store.set_status("retired:1", "active")
    events = store.history(retired.model_id).events
    assert [(event.verb, event.status) for event in events] == [
        ("train", "active"),
        ("delete", "deleted"),
        ("gc", "gone"),
    ]


def test_a_model_that_was_restored_stays(store: ModelStore, storage_dir: Path) -> None:
    store.set_status("retired:1", "active")
    assert collect(Folder(storage_dir), retention_days=0) == []


def test_what_a_deletion_left_goes(store: ModelStore, storage_dir: Path) -> None:
    model_id = store.get("kept").metadata.model_id
    shutil.copytree(storage_dir / "artifacts" / model_id, storage_dir / "copy")
    store.delete_for_good(model_id)
    (storage_dir / "copy").rename(storage_dir / "artifacts" / model_id)
    assert [garbage.kind for garbage in collect(Folder(storage_dir))] == ["leftover"]
    assert model_id not in folders(storage_dir)


def test_a_whole_model_that_no_line_names_stays_until_it_is_asked_for(store: ModelStore, storage_dir: Path) -> None:
    path = storage_dir / "db.jsonl"
    model_id = store.get("kept").metadata.model_id
    store.close()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0])
    kept = collect(Folder(storage_dir))
    assert [(garbage.kind, garbage.kept) for garbage in kept] == [("orphan", True)] * 3
    assert "a whole model of 'kept'" in kept[0].why
    assert model_id in folders(storage_dir)
    assert not any(garbage.kept for garbage in collect(Folder(storage_dir), orphans=True, dry_run=True))
    assert model_id in folders(storage_dir)
    collect(Folder(storage_dir), orphans=True)
    assert folders(storage_dir) == set()


def test_files_that_never_became_a_models_go_once_nobody_writes_them(store: ModelStore, storage_dir: Path) -> None:
    for name, age in ((".tmp-old", 7200), (".tmp-new", 60)):
        folder = storage_dir / "artifacts" / name
        folder.mkdir()
        (folder / "model.pkl").write_bytes(b"half")
        os.utime(folder, (time.time() - age,) * 2)
    assert [garbage.what for garbage in collect(Folder(storage_dir))] == ["artifacts/.tmp-old"]
    assert {name for name in folders(storage_dir) if name.startswith(".")} == {".tmp-new"}
