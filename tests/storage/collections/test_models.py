"""The store of models: ids, names and versions, references, status, pages, idempotency."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from modelyard.errors import (
    DataLoss,
    InvalidRequest,
    ModelGone,
    ModelNotFound,
)
from modelyard.schemas import ModelQuery, is_model_id
from modelyard.storage import ModelStore
from tests.conftest import ENGINES
from tests.engines import Engine
from tests.storage_drafts import add_model, artifacts_of, documents_of, new_model

pytestmark = pytest.mark.parametrize("engine", ENGINES, indirect=True)


@pytest.fixture
def store(engine: Engine) -> ModelStore:
    return engine.store()


def listed(store: ModelStore, **query: object) -> list[str]:
    page = store.page(ModelQuery.model_validate(query))
    assert page.next_cursor is None
    return [f"{model.name}:{model.version}" for model in page.models]


def test_a_model_is_kept_as_it_was_given(store: ModelStore, engine: Engine) -> None:
    draft = new_model(name="churn", tags=["a", "b"], target="left", parent_id="p")
    record = add_model(store, draft)
    metadata = record.metadata
    assert is_model_id(metadata.model_id)
    assert (metadata.name, metadata.version, metadata.status, metadata.parent_id) == ("churn", 1, "active", "p")
    assert metadata.feature_names == ["age", "sex"]
    assert metadata.artifact.file == "model.pkl"
    assert metadata.artifact.bytes == len(store.read_file(record, "model.pkl"))
    assert store.get(metadata.model_id) == engine.store().get("churn") == record
    assert store.read_file(record, "report.json") == draft.report
    assert store.read_file(record, "contract.json") == draft.contract


def test_a_model_without_a_name_is_named_after_its_class_and_id(store: ModelStore) -> None:
    metadata = add_model(store, new_model()).metadata
    assert metadata.name == f"logistic_regression-{metadata.model_id[-12:]}"


def test_a_name_that_is_none_is_refused_and_nothing_is_kept(store: ModelStore, engine: Engine) -> None:
    for name in ("a/b", "", "x" * 101, "01a20899-86ac-73fd-bc25-be162643eb4b"):
        with pytest.raises(InvalidRequest, match="name"):
            add_model(store, new_model(name=name))
    assert artifacts_of(store).model_ids() == []


def test_versions_are_numbered_by_name_and_never_used_twice(store: ModelStore, engine: Engine) -> None:
    other = engine.store()
    assert [add_model(each, new_model(name="churn")).metadata.version for each in (store, other, store)] == [1, 2, 3]
    store.delete_for_good("churn:3")
    for version in ("churn:1", "churn:2"):
        other.delete_for_good(version)
    assert add_model(store, new_model(name="churn")).metadata.version == 4
    assert add_model(store, new_model(name="other")).metadata.version == 1


def test_threads_and_stores_that_add_at_once_get_versions_of_their_own(engine: Engine) -> None:
    stores = [engine.store(), engine.store()]
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


def test_a_deleted_model_is_not_served_until_it_is_restored(store: ModelStore, engine: Engine) -> None:
    record = add_model(store, new_model(name="churn"))
    other = engine.store()
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


def test_setting_the_status_it_has_changes_nothing(store: ModelStore, engine: Engine) -> None:
    add_model(store, new_model(name="churn"))
    first = store.set_status("churn:1", "deleted")
    before = documents_of(store).snapshot()
    assert store.set_status("churn:1", "deleted") == first
    assert documents_of(store).snapshot() == before


def test_a_model_deleted_for_good_is_gone_with_its_files_and_says_so(store: ModelStore, engine: Engine) -> None:
    record = add_model(store, new_model(name="churn"))
    model_id = record.metadata.model_id
    store.delete_for_good("churn")
    assert artifacts_of(store).model_ids() == []
    for reopened in (store, engine.store()):
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
    assert listed(store, search=" Y ") == ["b:1", "a:2"]
    assert listed(store, search="A", status="all") == ["a:2", "a:1"]
    assert listed(store, name="none") == []
    first = store.page(ModelQuery(name="a", status="all", limit=1))
    assert listed(store, name="a", status="all", cursor=first.next_cursor) == ["a:1"]


@pytest.mark.parametrize("cursor", ["", "x", "é", "AAAA", "AW0BogidFmF0fIG6Bv3IQMbN" * 2])
def test_a_cursor_that_is_none_is_refused(store: ModelStore, cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor"):
        store.page(ModelQuery(cursor=cursor))


def test_a_document_that_is_no_model_is_data_loss(store: ModelStore) -> None:
    record = add_model(store, new_model(name="churn"))
    with documents_of(store).transaction() as transaction:
        document = transaction.get("models", record.metadata.model_id) or {}
        document["metadata"]["n_rows"] = "many"
        transaction.put("models", record.metadata.model_id, document)
    with pytest.raises(DataLoss, match=f"document of model {record.metadata.model_id} is damaged"):
        store.get("churn")


def test_times_are_kept_to_the_microsecond(store: ModelStore) -> None:
    created = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    add_model(store, new_model(name="churn", created_at=created))
    assert store.get("churn").metadata.created_at == created
