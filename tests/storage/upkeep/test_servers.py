"""Doctor and garbage collection of a yard on servers."""

from __future__ import annotations

from collections.abc import Callable

import obstore
import pytest

from modelyard.errors import ModelNotFound
from modelyard.storage import ModelStore
from modelyard.storage.artifacts import objects
from modelyard.storage.artifacts.bucket import Bucket
from modelyard.storage.servers import Servers
from modelyard.storage.upkeep.doctor import Examination, examine
from modelyard.storage.upkeep.garbage import collect
from tests.engines import Engine
from tests.postgres_server import PostgresServer
from tests.storage_drafts import add_model, artifacts_of, documents_of, new_model

pytestmark = pytest.mark.parametrize("engine", ["postgres-and-s3"], indirect=True)


@pytest.fixture
def store(engine: Engine) -> ModelStore:
    return engine.store()


@pytest.fixture
def look(engine: Engine) -> Callable[[], Examination]:
    return lambda: examine(engine._make())


def found(examination: Examination) -> list[tuple[str, str]]:
    return [(finding.kind, finding.what) for finding in examination.findings]


def bucket_of(store: ModelStore) -> Bucket:
    artifacts = artifacts_of(store)
    assert isinstance(artifacts, objects.ObjectArtifacts)
    return artifacts.bucket


def test_a_sound_yard_has_no_findings(store: ModelStore, look: Callable[[], Examination]) -> None:
    add_model(store, new_model(name="churn"))
    store.set_status("churn", "deleted")
    examination = look()
    assert (examination.models, examination.findings, examination.is_sound) == (1, [], True)


def test_damaged_missing_and_unnamed_files_are_named(
    store: ModelStore, look: Callable[[], Examination], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (add_model(store, new_model(name=name)).metadata.model_id for name in ("one", "other"))
    bucket = bucket_of(store)
    obstore.put(bucket._store, f"artifacts/{one}/model.pkl", b"damaged")
    bucket.remove([f"artifacts/{other}/report.json"])
    bucket.put("artifacts/01a20899-86ac-73fd-bc25-be162643eb4b/model.pkl", b"")
    named = [("model", f"artifacts/{one}/model.pkl"), ("report", f"artifacts/{other}/report.json")]
    assert found(look()) == named  # the unnamed file may be about to be named
    monkeypatch.setattr(objects, "_SETTLED_AFTER_S", -1.0)
    assert found(look()) == [*named, ("orphan", "artifacts/01a20899-86ac-73fd-bc25-be162643eb4b")]


def test_damaged_rows_are_named(
    store: ModelStore, look: Callable[[], Examination], engine: Engine, postgres: PostgresServer
) -> None:
    add_model(store, new_model(name="churn"))
    engine.series().append("evaluations", [{"n": 1}])
    servers = engine._make()
    assert isinstance(servers, Servers)
    with postgres.connection(servers._url) as connection:
        connection.execute("update series set entries = '[]'")
        connection.execute("update audit set entries = replace(entries, 'publish', 'punish')")
    assert [kind for kind, _ in found(look())] == ["series", "series", "audit"]
    with postgres.connection(servers._url) as connection:
        connection.execute("update documents set body = '{}' where collection = 'models'")
    assert "database" in [kind for kind, _ in found(look())]


def test_garbage_is_what_was_deleted_long_ago_and_what_nobody_names(
    store: ModelStore, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("kept", "deleted"):
        add_model(store, new_model(name=name))
    store.set_status("deleted", "deleted")
    bucket = bucket_of(store)
    orphan = "01a20899-86ac-73fd-bc25-be162643eb4b"
    bucket.put(f"artifacts/{orphan}/model.pkl", b"xyz")
    assert [one.kind for one in collect(engine._make(), retention_days=0, dry_run=True)] == ["deleted"]
    assert store.get("deleted:1").metadata.status == "deleted"
    monkeypatch.setattr(objects, "_SETTLED_AFTER_S", -1.0)
    kinds = [(one.kind, one.kept) for one in collect(engine._make(), retention_days=0, orphans=True)]
    assert kinds == [("deleted", False), ("orphan", False)]
    with pytest.raises(ModelNotFound):
        store.get("deleted:1")
    assert artifacts_of(store).model_ids() == [store.get("kept").metadata.model_id]
    assert documents_of(store).get("tombstones", orphan) is None
