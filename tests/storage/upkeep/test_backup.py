"""Backups: everything that was there at one moment, verified both ways, into an empty folder only."""

from __future__ import annotations

import io
import tarfile
import threading
from pathlib import Path

import pytest

from modelyard.errors import AlreadyExists, DataLoss, FailedPrecondition, InvalidRequest, ModelyardError
from modelyard.schemas import ModelQuery
from modelyard.storage import ModelStore
from modelyard.storage.artifacts.folder import ArtifactFolder
from modelyard.storage.folder import Folder
from modelyard.storage.protocols import StoredFile
from modelyard.storage.upkeep import archive, backup
from modelyard.storage.upkeep.doctor import examine
from tests.storage_drafts import add_model, database_of, new_model, open_store, root_of


@pytest.fixture
def store(storage_dir: Path) -> ModelStore:
    store = open_store(storage_dir)
    for number in range(3):
        add_model(store, new_model(name="churn", estimator=number))
    store.set_status("churn:2", "deleted")
    store.delete_for_good("churn:3")
    return store


def seen(store: ModelStore) -> object:
    models = store.page(ModelQuery(status="all")).models
    contents = [store.read_file(store.get(model.model_id), "model.pkl") for model in models]
    return models, contents, [store.history(f"churn:{number}") for number in (1, 2, 3)]


@pytest.mark.parametrize("name", ["yard.tar", "yard.tar.gz"])
def test_a_backup_brings_everything_back(store: ModelStore, tmp_path: Path, name: str) -> None:
    with database_of(store).transaction() as transaction:
        transaction.put("others", "a", {"n": 1})
    file = tmp_path / name
    made = backup.create(Folder(root_of(store)), file)
    assert (made.file, made.models, made.bytes) == (file, 2, file.stat().st_size)
    assert backup.load(file, Folder(tmp_path / "new")).models == 2
    loaded = open_store(tmp_path / "new")
    assert seen(loaded) == seen(store)
    assert database_of(loaded).get("others", "a") == {"n": 1}
    assert {path.name for path in root_of(loaded).iterdir()} == {"artifacts", "db.jsonl", "db.lock", "jobs", "series"}
    assert add_model(loaded, new_model(name="churn")).metadata.version == 4
    assert examine(Folder(root_of(loaded))).findings == []
    assert {path.name for path in tmp_path.iterdir()} <= {name, "new", "models_storage"}


def test_a_backup_beside_writers_is_of_one_moment(store: ModelStore, tmp_path: Path) -> None:
    ended = threading.Event()

    def write() -> None:
        other = open_store(root_of(store))
        while not ended.is_set():
            model_id = add_model(other, new_model(name="busy")).metadata.model_id
            add_model(other, new_model(name="busy"))
            other.delete_for_good(model_id)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(8):
            backup.create(Folder(root_of(store)), tmp_path / f"{number}.tar")
    finally:
        ended.set()
        writer.join()
    for number in range(8):
        backup.load(tmp_path / f"{number}.tar", Folder(tmp_path / str(number)))
        assert examine(Folder(tmp_path / str(number))).findings == []


def test_what_is_done_while_a_backup_is_written_is_not_in_its_audit(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = ArtifactFolder.read
    added: list[str] = []

    def add_first(self: ArtifactFolder, wanted: str, name: str, expected: StoredFile | None) -> bytes:
        if not added:
            other = open_store(root_of(store))
            added.extend(add_model(other, new_model(name="late")).metadata.model_id for _ in range(3))
        return read(self, wanted, name, expected)

    monkeypatch.setattr(ArtifactFolder, "read", add_first)
    known = database_of(store).get("audit", "end")
    backup.create(Folder(root_of(store)), tmp_path / "yard.tar")
    monkeypatch.undo()
    backup.load(tmp_path / "yard.tar", Folder(tmp_path / "new"))
    loaded = open_store(tmp_path / "new")
    assert len(added) == 3
    assert database_of(loaded).get("audit", "end") == known
    assert add_model(loaded, new_model(name="next")).metadata.version == 1
    assert examine(Folder(tmp_path / "new")).findings == []


def test_a_model_deleted_while_it_is_backed_up_is_deleted_in_the_backup(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_id = store.get("churn").metadata.model_id
    read = ArtifactFolder.read

    def delete_first(self: ArtifactFolder, wanted: str, name: str, expected: StoredFile | None) -> bytes:
        if wanted == model_id and name == "model.json":  # when all but one of its files have been copied
            open_store(root_of(store)).delete_for_good(model_id)
        return read(self, wanted, name, expected)

    monkeypatch.setattr(ArtifactFolder, "read", delete_first)
    assert backup.create(Folder(root_of(store)), tmp_path / "yard.tar").models == 1
    monkeypatch.undo()
    backup.load(tmp_path / "yard.tar", Folder(tmp_path / "new"))
    assert open_store(tmp_path / "new").history(model_id) == store.history(model_id)


def test_a_damaged_model_is_not_backed_up_silently(store: ModelStore, tmp_path: Path) -> None:
    model_id = store.get("churn").metadata.model_id
    (root_of(store) / "artifacts" / model_id / "model.pkl").write_bytes(b"?")
    with pytest.raises(DataLoss, match=f"model {model_id} cannot be copied.*modelyard doctor"):
        backup.create(Folder(root_of(store)), tmp_path / "yard.tar")
    assert not list(tmp_path.glob("*yard.tar*"))


def test_no_file_is_written_over(store: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "yard.tar").write_bytes(b"mine")
    with pytest.raises(AlreadyExists, match="write the backup to another file"):
        backup.create(Folder(root_of(store)), tmp_path / "yard.tar")
    assert (tmp_path / "yard.tar").read_bytes() == b"mine"


def test_a_folder_that_is_not_empty_is_not_loaded_into(store: ModelStore, tmp_path: Path) -> None:
    backup.create(Folder(root_of(store)), tmp_path / "yard.tar")
    before = seen(store)
    with pytest.raises(FailedPrecondition, match=r"is not empty \(it holds names, models, audit\)"):
        backup.load(tmp_path / "yard.tar", Folder(root_of(store)))
    assert seen(store) == before


def test_a_damaged_archive_is_refused_and_leaves_nothing(store: ModelStore, tmp_path: Path) -> None:
    good = tmp_path / "yard.tar"
    backup.create(Folder(root_of(store)), good)
    content = good.read_bytes()
    bad, target = tmp_path / "bad.tar", tmp_path / "new"
    named = [at for at in range(0, len(content), 97) if content[at : at + 1] != b"\0"]
    for at in named:
        bad.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        try:
            backup.load(bad, Folder(target))
        except ModelyardError:
            assert not target.exists()
        else:  # a time or an owner in a member's head, which nothing depends on
            assert examine(Folder(target)).findings == []
            target = tmp_path / f"new-{at}"
    for size in (0, 100, 600, len(content) // 2, len(content) - 11_000):
        bad.write_bytes(content[:size])
        with pytest.raises((DataLoss, InvalidRequest)):
            backup.load(bad, Folder(tmp_path / "cut"))


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "artifacts/x/model.pkl", "db.jsonl"])
def test_an_archive_writes_nowhere_else(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        for member, content in (("modelyard-backup.json", b'{"backup":1}'), (name, b"x")):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    with pytest.raises(DataLoss):
        backup.load(tmp_path / "evil.tar", Folder(tmp_path / "new"))
    assert not (tmp_path / "escaped").exists()
    assert not (tmp_path / "new").exists()


def test_what_is_no_backup_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="is not a file"):
        backup.load(tmp_path / "nothing.tar", Folder(tmp_path / "new"))
    with tarfile.open(tmp_path / "other.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("readme"))
    with pytest.raises(InvalidRequest, match="is not a backup"):
        backup.load(tmp_path / "other.tar", Folder(tmp_path / "new"))
    (tmp_path / "text.tar").write_text("hello " * 200)
    with pytest.raises(DataLoss) as refused:
        backup.load(tmp_path / "text.tar", Folder(tmp_path / "new"))
    assert refused.value.detail.endswith("is no backup of a modelyard, or damaged: it cannot be read as a tar archive")


def test_a_newer_backup_is_refused(store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "FORMAT", 4)
    backup.create(Folder(root_of(store)), tmp_path / "yard.tar")
    monkeypatch.undo()
    with pytest.raises(FailedPrecondition, match="has format 4; this release reads formats up to 3"):
        backup.load(tmp_path / "yard.tar", Folder(tmp_path / "new"))
