"""Doctor, repair, signing and garbage collection of a yard on servers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import LiteralString

import obstore
import pytest

from modelyard.access.signing import SigningKeys
from modelyard.errors import DataLoss, ModelNotFound
from modelyard.schemas import AuditQuery, Job
from modelyard.storage import ModelStore, spools
from modelyard.storage.artifacts import objects
from modelyard.storage.artifacts.bucket import Bucket
from modelyard.storage.collections.jobs import JobRecord
from modelyard.storage.servers import Servers
from modelyard.storage.upkeep.doctor import Examination, examine
from modelyard.storage.upkeep.garbage import collect
from modelyard.storage.upkeep.repair import repair
from modelyard.storage.upkeep.signing import Signing
from tests.engines import Engine
from tests.postgres_server import PostgresServer
from tests.storage_drafts import LIBRARIES, add_model, artifacts_of, audit_of, documents_of, new_model

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


def repaired(engine: Engine, signing: SigningKeys | None = None) -> list[tuple[str, str]]:
    """Repair the yard; return the kinds of what was found, and what was done."""
    mended = repair(engine._make(), signing=signing)
    assert mended.is_sound, mended.findings
    assert examine(engine._make(), signing=signing).findings == []
    return [(finding.kind, finding.done or "") for finding in mended.findings]


def execute(engine: Engine, postgres: PostgresServer, *statements: LiteralString) -> None:
    servers = engine._make()
    assert isinstance(servers, Servers)
    with postgres.connection(servers._url) as connection:
        for statement in statements:
            connection.execute(statement)


def test_damaged_objects_are_set_aside_and_the_rest_goes_on(store: ModelStore, engine: Engine) -> None:
    names = ("pkl", "report", "told", "whole")
    ids = {name: add_model(store, new_model(name=name)).metadata.model_id for name in names}
    bucket = bucket_of(store)
    obstore.put(bucket._store, f"artifacts/{ids['pkl']}/model.pkl", b"damaged")
    bucket.remove([f"artifacts/{ids['report']}/report.json"])
    obstore.put(bucket._store, f"artifacts/{ids['told']}/model.json", b"{}")
    done = dict(repaired(engine))
    assert set(done) == {"model", "report", "description"}
    assert "set aside in quarantine/" in done["model"]
    aside = bucket.keys("quarantine/")
    assert {key.partition("/artifacts/")[2] for key in aside} == {
        *(f"{ids['pkl']}/{name}" for name in ("model.pkl", "report.json", "contract.json", "model.json")),
        f"{ids['report']}/model.json",
        f"{ids['told']}/model.json",
    }
    assert next(bucket.get(key) for key in aside if key.endswith("model.pkl")) == b"damaged"
    assert store.get("report").metadata.status == "active"
    with pytest.raises(ModelNotFound):
        store.get("pkl")
    assert [(event.verb, event.status) for event in store.history("pkl:1").events][1:] == [("repair", "gone")]
    assert [entry.verb for entry in audit_of(store).page(AuditQuery(verb="repair")).entries] == ["repair"] * 2
    add_model(store, new_model(name="pkl"))


def test_a_model_whose_document_is_damaged_comes_back_by_its_own_description(
    store: ModelStore, engine: Engine, postgres: PostgresServer
) -> None:
    model_id = add_model(store, new_model(name="churn")).metadata.model_id
    add_model(store, new_model(name="other"))
    execute(engine, postgres, "update documents set body = replace(body, 'churn', 'charn') where collection = 'models'")
    with pytest.raises(DataLoss, match="is damaged in the database"):
        engine.store()
    done = repaired(engine)
    assert [kind for kind, _ in done] == ["database", "orphan"]
    assert "taken out of the database" in done[0][1]
    assert done[1][1].startswith("brought back as churn:2, deleted")
    assert store.get(model_id).metadata.version == 2  # a replica that has run on knows it, too
    assert store.set_status("churn:2", "active").metadata.status == "active"
    (kept,) = bucket_of(store).keys("quarantine/")
    assert kept.endswith(f"documents/models/{model_id}")
    assert b"charn" in bucket_of(store).get(kept)


@pytest.mark.parametrize("collection", ["audit", "names", "models"])
def test_no_damaged_row_loses_an_entry_of_the_audit_or_gives_a_number_twice(
    store: ModelStore, engine: Engine, postgres: PostgresServer, collection: str
) -> None:
    for _ in range(2):
        add_model(store, new_model(name="churn"))
    statement: LiteralString = f"update documents set sum = 'x' where collection = '{collection}'"
    execute(engine, postgres, statement)
    repaired(engine)
    after = engine.store()
    assert add_model(after, new_model(name="churn")).metadata.version == (5 if collection == "models" else 3)
    numbers = [entry.number for entry in audit_of(after).page(AuditQuery(limit=100)).entries][::-1]
    assert numbers == list(range(1, len(numbers) + 1))
    assert not audit_of(after).verify().flaws


def test_damaged_entries_are_taken_out_and_the_audit_says_what_it_lacks(
    store: ModelStore, engine: Engine, postgres: PostgresServer
) -> None:
    for n in range(3):
        add_model(store, new_model(name="churn"))
        engine.series().append("evaluations", [{"n": n}])
    execute(
        engine,
        postgres,
        "update audit set entries = replace(entries, 'publish', 'punish') where number = 2",
        """update series set entries = '[{"n": 7}]' where entries like '%1%'""",
    )
    assert [kind for kind, _ in repaired(engine)] == ["series", "series", "audit"]
    assert [entry.fields["n"] for entry in engine.series().scan("evaluations")] == [0, 2]
    page = audit_of(store).page(AuditQuery(limit=100)).entries
    assert [entry.number for entry in page] == [4, 3, 1]
    assert (page[0].verb, page[0].what["entries"]) == ("repair", "2")
    contents = [bucket_of(store).get(key) for key in bucket_of(store).keys("quarantine/")]
    assert any(b"punish" in content for content in contents)
    assert b'[{"n": 7}]' in contents


def test_what_a_repair_changes_is_signed_and_what_a_person_looked_at(store: ModelStore, engine: Engine) -> None:
    keys = SigningKeys.from_secrets([b"k" * 44])
    model = add_model(store, new_model(name="churn")).metadata
    assert [finding.kind for finding in examine(engine._make(), signing=keys).findings] == ["signature", "signature"]
    with closing(Signing(engine._make(), keys)) as signing:
        for shown in signing.to_sign(["churn"]):
            signing.sign(shown.record)
    engine.open(signing=keys).audit.accept_unsigned()
    assert examine(engine._make(), signing=keys).findings == []
    bucket_of(store).remove([f"artifacts/{model.model_id}/report.json"])
    assert [kind for kind, _ in repaired(engine, keys)] == ["report"]
    signed = engine.store(signing=keys)
    signed.load_estimator(signed.get("churn"), LIBRARIES)


def test_orders_of_runs_that_are_over_are_garbage_after_a_day_however_many_there_are(
    store: ModelStore, engine: Engine, look: Callable[[], Examination], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = bucket_of(store)
    described = Job(job_id="alive", status="running", model_class_key="x", created_at=datetime.now(UTC))
    with engine.open().jobs.changing() as jobs:
        jobs.put(JobRecord(described))
        jobs.put(JobRecord(described.model_copy(update={"job_id": "over", "status": "failed"})))
    with ThreadPoolExecutor(16) as pool:
        keys = [f"jobs/over/{n}" for n in range(1100)] + ["jobs/alive/table", "jobs/never/table"]
        list(pool.map(lambda key: obstore.put(bucket._store, key, b"xy"), keys))
    assert (look().findings, collect(engine._make())) == ([], [])
    monkeypatch.setattr(spools, "SETTLED_AFTER_S", -1.0)
    assert [finding.what for finding in look().findings] == ["jobs/never", "jobs/over"]
    assert look().is_sound
    assert [(one.what, one.bytes) for one in collect(engine._make())] == [("jobs/never", 2), ("jobs/over", 2200)]
    assert bucket.keys("jobs/") == ["jobs/alive/table"]


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
