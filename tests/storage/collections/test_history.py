"""What happened to a model: by which verb, when, and for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from modelyard.errors import ModelNotFound
from modelyard.storage import ModelStore
from tests.conftest import ENGINES
from tests.engines import Engine
from tests.storage_drafts import add_model, database_of, documents_of, ids, new_model

pytestmark = pytest.mark.parametrize("engine", ENGINES, indirect=True)


@pytest.fixture
def store(engine: Engine) -> ModelStore:
    return engine.store()


def told(store: ModelStore, reference: str) -> list[tuple[str, str]]:
    return [(event.verb, event.status) for event in store.history(reference).events]


def test_every_change_is_told_in_order_with_its_time(store: ModelStore) -> None:
    began = datetime.now(UTC) - timedelta(seconds=1)
    model_id = add_model(store, new_model(name="churn")).metadata.model_id
    for status in ("deleted", "active", "deleted"):
        store.set_status(model_id, status)
    expected = [("train", "active"), ("delete", "deleted"), ("restore", "active"), ("delete", "deleted")]
    assert told(store, model_id) == told(store, "churn:1") == expected
    times = [event.at for event in store.history(model_id).events]
    assert began < times[0] <= times[1] < times[2] < times[3] <= datetime.now(UTC)


def test_a_retrained_model_names_its_parent(store: ModelStore) -> None:
    parent = add_model(store, new_model(name="churn")).metadata.model_id
    add_model(store, new_model(name="churn", parent_id=parent))
    history = store.history("churn")
    assert (history.version, history.parent_id, told(store, "churn")) == (2, parent, [("retrain", "active")])


def test_what_changes_nothing_is_not_told(store: ModelStore) -> None:
    add_model(store, new_model(name="churn"))
    store.set_status("churn", "active")
    assert told(store, "churn") == [("train", "active")]
    assert ids(documents_of(store), "events") == []  # a model that was only trained costs nothing


def test_a_model_deleted_for_good_is_told_of_by_id_and_number(store: ModelStore) -> None:
    model_id = add_model(store, new_model(name="churn")).metadata.model_id
    store.set_status("churn", "deleted")
    store.delete_for_good("churn:1")
    expected = [("train", "active"), ("delete", "deleted"), ("delete", "gone")]
    assert told(store, model_id) == told(store, "churn:1") == expected
    with pytest.raises(ModelNotFound):
        store.history("churn")
    with pytest.raises(ModelNotFound):
        store.history("churn:2")


def test_history_survives_compaction_and_is_seen_by_others(store: ModelStore, engine: Engine) -> None:
    other = engine.store()
    for _ in range(2):
        add_model(store, new_model(name="churn"))
    store.set_status("churn:1", "deleted")
    store.delete_for_good("churn:2")
    before = [store.history(f"churn:{version}") for version in (1, 2)]
    if engine.name == "folder":
        database_of(store).compact()
    for each in (store, other, engine.store()):
        assert [each.history(f"churn:{version}") for version in (1, 2)] == before
