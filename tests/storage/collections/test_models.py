"""The store of models: ids, names and versions, references, status, pages, idempotency."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelyard.errors import (
    DataLoss,
    InvalidRequest,
    ModelGone,
    ModelNotFound,
    Unavailable,
)
from modelyard.schemas import ModelQuery, is_model_id
from modelyard.storage import ModelStore
from tests.storage_drafts import add_model, database_of, new_model, open_store


@pytest.fixture
def store(storage_dir: Path) -> ModelStore:
    return open_store(storage_dir)


def listed(store: ModelStore, **query: object) -> list[str]:
    page = store.page(ModelQuery.model_validate(query))
    assert page.next_cursor is None
    return [f"{model.name}:{model.version}" for model in page.models]


def test_a_model_is_kept_as_it_was_given(store: ModelStore, storage_dir: Path) -> None:
    draft = new_model(name="churn", tags=["a", "b"], target="left", parent_id="p")
    record = add_model(store, draft)
    metadata = record.metadata
    assert is_model_id(metadata.model_id)
    assert (metadata.name, metadata.version, metadata.status, metadata.parent_id) == ("churn", 1, "active", "p")
    assert metadata.feature_names == ["age", "sex"]
    assert metadata.artifact.file == "model.pkl"
    assert metadata.artifact.bytes == (storage_dir / "artifacts" / metadata.model_id / "model.pkl").stat().st_size
    assert store.get(metadata.model_id) == open_store(storage_dir).get("churn") == record
    assert store.read_file(record, "report.json") == draft.report
    assert store.read_file(record, "contract.json") == draft.contract


def test_a_model_without_a_name_is_named_after_its_class_and_id(store: ModelStore) -> None:
    metadata = add_model(store, new_model()).metadata
    assert metadata.name == f"logistic_regression-{metadata.model_id[-12:]}"


def test_a_name_that_is_none_is_refused_and_nothing_is_kept(store: ModelStore, storage_dir: Path) -> None:
    for name in ("a/b", "", "x" * 101, "01a20899-86ac-73fd-bc25-be162643eb4b"):
        with pytest.raises(InvalidRequest, match="name"):
            add_model(store, new_model(name=name))
    assert list((storage_dir / "artifacts").iterdir()) == []


def test_versions_are_numbered_by_name_and_never_used_twice(store: ModelStore, storage_dir: Path) -> None:
    other = open_store(storage_dir)
    assert [add_model(each, new_model(name="churn")).metadata.version for each in (store, other, store)] == [1, 2, 3]
    store.delete_for_good("churn:3")
    for version in ("churn:1", "churn:2"):
        other.delete_for_good(version)
    assert add_model(store, new_model(name="churn")).metadata.version == 4
    assert add_model(store, new_model(name="other")).metadata.version == 1


def test_threads_and_stores_that_add_at_once_get_versions_of_their_own(storage_dir: Path) -> None:
    stores = [open_store(storage_dir), open_store(storage_dir)]
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda n: add_model(stores[n % 2], new_model(name="churn")).metadata, range(24)))
    assert sorted(model.version for model in added) == list(range(1, 25))
    assert len({model.model_id for model in added}) == 24
    assert stores[0].get("churn").metadata.version == 24


def test_references_mean_an_id_a_version_or_the_latest_active_one(store: ModelStore) -> None:
    first, second = (add_model(store, new_model(name="churn")).metadata for _ in range(2))
    assert store.resolve_active("churn") == second.model_id
    assert store.resolve_active("churn:1") == store.resolve_active(first.model_id.upper()) == first.model_id
    store.set_status("churn:2", "deleted")
    assert store.resolve_active("churn") == store.get("churn").metadata.model_id == first.model_id
    assert store.get("churn:2").metadata.status == store.get(second.model_id).metadata.status == "deleted"


def test_what_is_not_there_is_not_found_saying_what_was_looked_for(store: ModelStore) -> None:
    add_model(store, new_model(name="churn"))
    for reference, message in {
        "nope": "no model named 'nope'",
        "churn:2": "no version 2 of 'churn'",
        "01a20899-86ac-73fd-bc25-be162643eb4b": "no model with id 01a20899-86ac-73fd-bc25-be162643eb4b",
    }.items():
        for look in (store.get, store.get_active, store.resolve_active, store.delete_for_good):
            with pytest.raises(ModelNotFound, match=message):
                look(reference)


@pytest.mark.parametrize("reference", ["", "a b", "churn:0", "churn:x", "churn:", "../x", "x" * 101])
def test_what_is_no_reference_is_refused_with_the_forms_there_are(store: ModelStore, reference: str) -> None:
    with pytest.raises(InvalidRequest, match="write a model id, a name"):
        store.get(reference)


def test_a_deleted_model_is_not_served_until_it_is_restored(store: ModelStore, storage_dir: Path) -> None:
    record = add_model(store, new_model(name="churn"))
    other = open_store(storage_dir)
    deleted = other.set_status("churn", "deleted").metadata
    assert deleted.status == "deleted"
    assert deleted.updated_at > record.metadata.updated_at
    with pytest.raises(ModelNotFound, match="is deleted; restore it"):
        store.get_active(record.metadata.model_id)
    with pytest.raises(ModelNotFound, match="restore one to use it again, as 'churn:1'"):
        store.resolve_active("churn")
    assert store.count_active() == 0
    assert store.set_status("churn:1", "active").metadata.status == "active"
    assert other.get_active("churn").metadata.model_id == record.metadata.model_id
    assert other.count_active() == 1


def test_setting_the_status_it_has_changes_nothing(store: ModelStore, storage_dir: Path) -> None:
    add_model(store, new_model(name="churn"))
    first = store.set_status("churn:1", "deleted")
    before = (storage_dir / "db.jsonl").read_bytes()
    assert store.set_status("churn:1", "deleted") == first
    assert (storage_dir / "db.jsonl").read_bytes() == before


def test_a_model_deleted_for_good_is_gone_with_its_files_and_says_so(store: ModelStore, storage_dir: Path) -> None:
    record = add_model(store, new_model(name="churn"))
    model_id = record.metadata.model_id
    store.delete_for_good("churn")
    assert list((storage_dir / "artifacts").iterdir()) == []
    for reopened in (store, open_store(storage_dir)):
        for reference in (model_id, "churn:1"):
            with pytest.raises(ModelNotFound, match=f"{model_id} was deleted for good"):
                reopened.get(reference)
            with pytest.raises(ModelGone, match="cannot be restored"):
                reopened.set_status(reference, "active")
        assert listed(reopened, status="all") == []


def test_pages_go_from_the_newest_to_the_oldest_without_gaps_or_repeats(store: ModelStore) -> None:
    ids = [add_model(store, new_model(name=f"m{number}")).metadata.model_id for number in range(7)]
    seen: list[str] = []
    query = ModelQuery(limit=3)
    while True:
        page = store.page(query)
        seen += [model.model_id for model in page.models]
        if len(seen) == 3:
            add_model(store, new_model(name="newer"))  # what comes meanwhile is on none of the pages that follow
            store.delete_for_good(seen[-1])  # and a cursor outlives its model
        if page.next_cursor is None:
            break
        query = ModelQuery(limit=3, cursor=page.next_cursor)
    assert seen == ids[::-1]


def test_pages_are_filtered(store: ModelStore) -> None:
    add_model(store, new_model(name="a", tags=["x"]))
    add_model(store, new_model(name="a", tags=["y"], model_class_key="catboost_classifier"))
    add_model(store, new_model(name="b", tags=["x", "y"]))
    store.set_status("a:1", "deleted")
    assert listed(store) == ["b:1", "a:2"]
    assert listed(store, status="deleted") == ["a:1"]
    assert listed(store, status="all", name="a") == ["a:2", "a:1"]
    assert listed(store, tag="y") == ["b:1", "a:2"]
    assert listed(store, tag="x", status="all", model_class_key="logistic_regression") == ["b:1", "a:1"]
    assert listed(store, name="none") == []
    first = store.page(ModelQuery(name="a", status="all", limit=1))
    assert listed(store, name="a", status="all", cursor=first.next_cursor) == ["a:1"]


@pytest.mark.parametrize("cursor", ["", "x", "é", "AAAA", "AW0BogidFmF0fIG6Bv3IQMbN" * 2])
def test_a_cursor_that_is_none_is_refused(store: ModelStore, cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor"):
        store.page(ModelQuery(cursor=cursor))


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


def test_a_document_that_is_no_model_is_data_loss(store: ModelStore) -> None:
    record = add_model(store, new_model(name="churn"))
    with database_of(store).transaction() as transaction:
        document = transaction.get("models", record.metadata.model_id) or {}
        document["metadata"]["n_rows"] = "many"
        transaction.put("models", record.metadata.model_id, document)
    with pytest.raises(DataLoss, match=f"document of model {record.metadata.model_id} is damaged"):
        store.get("churn")


def test_times_are_kept_to_the_microsecond(store: ModelStore) -> None:
    created = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    add_model(store, new_model(name="churn", created_at=created))
    assert store.get("churn").metadata.created_at == created
