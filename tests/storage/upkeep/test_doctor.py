"""The doctor: what it finds in a folder, what a repair makes of it, and what it never does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from modelyard.errors import DataLoss, FailedPrecondition, ModelNotFound, NoYard
from modelyard.schemas import ModelQuery
from modelyard.storage import ModelRecord
from modelyard.storage.collections.models import described_record
from modelyard.storage.documents.database import Database
from modelyard.storage.documents.log_format import Header, encode_header
from modelyard.storage.folder import Folder
from modelyard.storage.upkeep.doctor import Examination, examine
from modelyard.storage.upkeep.repair import repair
from tests.storage_drafts import add_model, new_model, open_store


@pytest.fixture
def records(storage_dir: Path) -> list[ModelRecord]:
    """Three versions of one model, the second one deleted."""
    store = open_store(storage_dir)
    records = [add_model(store, new_model(name="churn", estimator=n)) for n in range(3)]
    store.set_status("churn:2", "deleted")
    store.close()
    return records


def found(examination: Examination) -> list[tuple[str, str]]:
    return [(finding.kind, finding.what) for finding in examination.findings]


def served(root: Path) -> dict[str, str]:
    """Return every model that there is with its status, after all its files were found right."""
    store = open_store(root)
    models = store.page(ModelQuery(status="all")).models
    for model in models:
        record = store.get(model.model_id)
        for file in record.files:
            store.read_file(record, file)
    store.close()
    return {f"{model.name}:{model.version}": model.status for model in models}


def content_of(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.name != "db.lock" and path.is_file()
    }


def path_of(root: Path, record: ModelRecord, file: str) -> Path:
    return root / "artifacts" / record.metadata.model_id / file


def test_a_sound_folder_is_left_as_it_is(storage_dir: Path, records: list[ModelRecord]) -> None:
    before = content_of(storage_dir)
    for look in (examine, repair):
        examination = look(Folder(storage_dir))
        assert (examination.is_sound, examination.models, examination.findings) == (True, 3, [])
    assert content_of(storage_dir) == before


@pytest.mark.parametrize("file", ["model.pkl", "contract.json"])
@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b"?"), Path.unlink], ids=["damaged", "missing"])
def test_a_model_that_cannot_be_served_is_set_aside_and_the_rest_goes_on(
    storage_dir: Path, records: list[ModelRecord], file: str, spoil: Callable[[Path], object]
) -> None:
    model_id = records[0].metadata.model_id
    spoil(path_of(storage_dir, records[0], file))
    files = {path.name for path in path_of(storage_dir, records[0], file).parent.iterdir()}
    before = content_of(storage_dir)
    examination = examine(Folder(storage_dir))
    assert not examination.is_sound
    assert found(examination) == [("model", f"artifacts/{model_id}/{file}")]
    assert content_of(storage_dir) == before
    mended = repair(Folder(storage_dir))
    assert mended.is_sound
    assert served(storage_dir) == {"churn:2": "deleted", "churn:3": "active"}
    (aside,) = storage_dir.glob(f"quarantine/*/artifacts/{model_id}")
    assert {path.name for path in aside.iterdir()} == files
    assert str(aside.relative_to(storage_dir)) in (mended.findings[0].done or "")
    store = open_store(storage_dir)
    with pytest.raises(ModelNotFound):
        store.get(model_id)
    assert [(event.verb, event.status) for event in store.history("churn:1").events] == [
        ("train", "active"),
        ("repair", "gone"),
    ]
    assert examine(Folder(storage_dir)).findings == []


def test_a_report_is_made_anew_of_what_is_known(storage_dir: Path, records: list[ModelRecord]) -> None:
    path = path_of(storage_dir, records[0], "report.json")
    path.write_bytes(b"damaged")
    assert found(examine(Folder(storage_dir))) == [("report", str(path.relative_to(storage_dir)))]
    assert repair(Folder(storage_dir)).is_sound
    assert served(storage_dir) == {"churn:1": "active", "churn:2": "deleted", "churn:3": "active"}
    assert orjson.loads(path.read_bytes())["metrics"] == {"train_accuracy": 0.9}
    (aside,) = storage_dir.glob("quarantine/*/artifacts/*/report.json")
    assert aside.read_bytes() == b"damaged"
    assert open_store(storage_dir).history("churn:1").events[-1].verb == "repair"
    assert examine(Folder(storage_dir)).findings == []


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b"{}"), Path.unlink], ids=["damaged", "missing"])
def test_a_description_is_written_anew(
    storage_dir: Path, records: list[ModelRecord], spoil: Callable[[Path], object]
) -> None:
    path = path_of(storage_dir, records[0], "model.json")
    before = path.read_bytes()
    spoil(path)
    assert [kind for kind, _ in found(examine(Folder(storage_dir)))] == ["description"]
    assert repair(Folder(storage_dir)).is_sound
    assert path.read_bytes() == before
    assert examine(Folder(storage_dir)).findings == []


def test_files_swapped_between_models_are_named(storage_dir: Path, records: list[ModelRecord]) -> None:
    paths = [path_of(storage_dir, record, "model.pkl") for record in records[:2]]
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, reversed(contents), strict=True):
        path.write_bytes(content)
    assert {what for _, what in found(examine(Folder(storage_dir)))} == {
        str(path.relative_to(storage_dir)) for path in paths
    }
    assert repair(Folder(storage_dir)).is_sound
    assert served(storage_dir) == {"churn:3": "active"}


def test_a_database_cut_at_a_lines_end_is_seen_by_the_models_it_lost(
    storage_dir: Path, records: list[ModelRecord]
) -> None:
    path = storage_dir / "db.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]))  # without the third version and the deletion
    assert served(storage_dir) == {"churn:1": "active", "churn:2": "active"}
    lost = records[2].metadata
    examination = examine(Folder(storage_dir))
    assert not examination.is_sound
    assert found(examination) == [("orphan", f"artifacts/{lost.model_id}"), ("audit", "audit entries 3-4")]
    mended = repair(Folder(storage_dir))
    assert "brought back as churn:3, deleted" in (mended.findings[1].done or "")
    assert served(storage_dir) == {"churn:1": "active", "churn:2": "active", "churn:3": "deleted"}
    store = open_store(storage_dir)
    back = store.set_status("churn:3", "active").metadata
    assert back.model_copy(update={"updated_at": lost.updated_at}) == lost
    assert [event.verb for event in store.history(lost.model_id).events] == ["train", "repair", "restore"]


def test_a_damaged_database_is_written_anew_from_its_whole_lines(storage_dir: Path, records: list[ModelRecord]) -> None:
    path = storage_dir / "db.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"logistic", b"logostic", 1)
    path.write_bytes(b"".join(lines))
    with pytest.raises(DataLoss, match=r"db\.jsonl line 3"):
        open_store(storage_dir)
    damaged = path.read_bytes()
    examination = examine(Folder(storage_dir))
    assert [finding.problem for finding in examination.findings if finding.kind == "database"] == [
        "line 3 is damaged: its checksum does not hold",
        "transaction 2 is missing",
    ]
    assert repair(Folder(storage_dir)).is_sound
    (aside,) = storage_dir.glob("quarantine/*/db.jsonl")
    assert aside.read_bytes() == damaged
    # The second version comes back under a number of its own; its deletion was a whole line.
    assert served(storage_dir) == {"churn:1": "active", "churn:2": "deleted", "churn:3": "active"}
    assert add_model(open_store(storage_dir), new_model(name="churn")).metadata.version == 4


@pytest.mark.parametrize("how", ["gone", "empty", "header", "generation"])
def test_models_survive_their_database(storage_dir: Path, records: list[ModelRecord], how: str) -> None:
    path = storage_dir / "db.jsonl"
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    else:
        at = content.index(b"generation") + (20 if how == "generation" else -5)
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    with pytest.raises(DataLoss):
        open_store(storage_dir)
    assert not examine(Folder(storage_dir)).is_sound
    assert repair(Folder(storage_dir)).is_sound
    status = "active" if how == "header" else "deleted"
    assert served(storage_dir) == {"churn:1": status, "churn:2": "deleted", "churn:3": status}
    assert examine(Folder(storage_dir)).findings == []


def test_a_damaged_folder_that_no_line_names_is_set_aside(storage_dir: Path, records: list[ModelRecord]) -> None:
    lines = (storage_dir / "db.jsonl").read_bytes().splitlines(keepends=True)
    (storage_dir / "db.jsonl").write_bytes(b"".join(lines[:3]))
    path_of(storage_dir, records[2], "model.pkl").write_bytes(b"damaged")
    assert repair(Folder(storage_dir)).is_sound
    assert served(storage_dir) == {"churn:1": "active", "churn:2": "active"}
    assert len(list(storage_dir.glob("quarantine/*/artifacts/*/model.pkl"))) == 1


def test_a_document_that_is_none_is_replaced_by_the_models_own(storage_dir: Path, records: list[ModelRecord]) -> None:
    with Database(storage_dir / "db.jsonl").transaction() as transaction:
        transaction.put("models", records[0].metadata.model_id, {"metadata": {"name": "churn"}})
    with pytest.raises(DataLoss, match="is damaged"):
        open_store(storage_dir)
    assert found(examine(Folder(storage_dir)))[0] == ("document", f"models/{records[0].metadata.model_id}")
    assert repair(Folder(storage_dir)).is_sound
    assert served(storage_dir) == {"churn:2": "deleted", "churn:3": "active", "churn:4": "deleted"}


def test_a_counter_that_is_behind_is_moved_up(storage_dir: Path, records: list[ModelRecord]) -> None:
    with Database(storage_dir / "db.jsonl").transaction() as transaction:
        transaction.put("names", "churn", {"last_version": 1})
    assert not examine(Folder(storage_dir)).is_sound
    assert repair(Folder(storage_dir)).is_sound
    assert add_model(open_store(storage_dir), new_model(name="churn")).metadata.version == 4


def test_what_a_deletion_left_is_harmless(storage_dir: Path, records: list[ModelRecord]) -> None:
    folder = path_of(storage_dir, records[0], "model.pkl").parent
    copy = shutil.copytree(folder, storage_dir / "copy")
    open_store(storage_dir).delete_for_good("churn:1")
    copy.rename(folder)
    for look in (examine, repair):
        assert [(finding.kind, finding.harmless) for finding in look(Folder(storage_dir)).findings] == [
            ("leftover", True)
        ]
        assert look(Folder(storage_dir)).is_sound
    assert (folder / "model.pkl").exists()


def test_a_torn_end_is_no_damage(storage_dir: Path, records: list[ModelRecord]) -> None:
    with (storage_dir / "db.jsonl").open("ab") as file:
        file.write(b'{"seq":5,"put":[')
    assert examine(Folder(storage_dir)).findings == []


def test_a_newer_format_is_not_repaired(storage_dir: Path) -> None:
    storage_dir.mkdir()
    (storage_dir / "db.jsonl").write_bytes(encode_header(Header("0" * 32, format=3)))
    for look in (examine, repair):
        with pytest.raises(FailedPrecondition, match="has format 3"):
            look(Folder(storage_dir))


def test_a_folder_that_is_not_there_is_not_made(storage_dir: Path) -> None:
    for look in (examine, repair):
        with pytest.raises(NoYard, match="it does not exist"):
            look(Folder(storage_dir))
    assert not storage_dir.exists()


def test_a_server_goes_on_through_a_repair(storage_dir: Path, records: list[ModelRecord]) -> None:
    serving = open_store(storage_dir)
    assert serving.count_active() == 2
    path = storage_dir / "db.jsonl"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"logistic", b"logostic", 1) + b"?\n")  # what it has not read yet is damaged, too
    with pytest.raises(DataLoss):
        serving.count_active()
    repair(Folder(storage_dir))
    assert serving.count_active() == 1
    assert serving.get("churn:4").metadata.model_id == records[0].metadata.model_id
    assert add_model(serving, new_model(name="churn")).metadata.version == 5


def test_every_flipped_byte_of_a_description_is_seen(storage_dir: Path, records: list[ModelRecord]) -> None:
    path = path_of(storage_dir, records[0], "model.json")
    content = path.read_bytes()
    for position in range(len(content)):
        with pytest.raises(DataLoss, match=r"model\.json of model .* is damaged"):
            described_record(path.parent.name, _flipped(content, position))
    with pytest.raises(DataLoss):
        described_record(records[1].metadata.model_id, content)


def test_no_flipped_byte_of_the_database_loses_a_model(storage_dir: Path, records: list[ModelRecord]) -> None:
    sound = storage_dir.rename(storage_dir.with_name("sound"))
    content = (sound / "db.jsonl").read_bytes()
    ids = {record.metadata.model_id for record in records}
    step = 1 if os.environ.get("MODELYARD_TEST_EVERY_BYTE") else 61
    newlines = [position for position, byte in enumerate(content) if byte == 0x0A]
    for position in sorted({*newlines, *range(0, len(content), step)}):
        shutil.copytree(sound, storage_dir)  # a repair writes in its audit, which the next one would read
        (storage_dir / "db.jsonl").write_bytes(_flipped(content, position))
        assert not examine(Folder(storage_dir)).is_sound
        assert repair(Folder(storage_dir)).is_sound
        store = open_store(storage_dir)
        assert {model.model_id for model in store.page(ModelQuery(status="all")).models} == ids
        store.close()
        shutil.rmtree(storage_dir)


def _flipped(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ (1 << position % 8)]) + content[position + 1 :]
