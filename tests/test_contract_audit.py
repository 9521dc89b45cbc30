"""The audit behind every door: each change is an entry with who, where, what and how it ended; reads leave none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelyard import errors
from modelyard.connection import connect
from modelyard.schemas import (
    AuditEntry,
    AuditQuery,
    Decision,
    EvaluateRequest,
    Evaluation,
    JobQuery,
    KeyRequest,
    ModelMetadata,
    PredictRequest,
    RetrainRequest,
    UpdateRequest,
)
from modelyard.verbs import Verbs
from tests import doors
from tests.test_contract import LABELS, RECORDS, name, order, yard

__all__ = ["name", "yard"]

ADDRESSES = {"local": "", "rest": "127.0.0.1", "grpc": "127.0.0.1"}
WITHOUT = Evaluation(method="none")


@pytest.fixture
def model(yard: Verbs, name: str) -> ModelMetadata:
    return yard.train(order(name))


def entries_since(yard: Verbs, number: int, **wanted: str) -> list[AuditEntry]:
    """Return the entries after a number, the first one first."""
    found = yard.list_audit(AuditQuery(limit=1000, **wanted)).entries
    return [entry for entry in reversed(found) if entry.number > number]


def last_number(yard: Verbs) -> int:
    found = yard.list_audit(AuditQuery(limit=1)).entries
    return found[0].number if found else 0


CHANGES: dict[str, tuple[Callable[[Verbs, ModelMetadata], object], str]] = {
    "set_decision": (
        lambda yard, model: yard.set_decision(model.model_id, Decision(rule="threshold", threshold=0.3)),
        "set_decision",
    ),
    "update_model": (lambda yard, model: yard.update_model(model.name, UpdateRequest(tags=["new"])), "update_model"),
    "delete": (lambda yard, model: yard.delete(model.model_id), "delete"),
    "restore": (lambda yard, model: yard.delete(model.model_id) and yard.restore(model.model_id), "restore"),
    "delete_for_good": (lambda yard, model: yard.delete(model.model_id, hard=True), "delete_for_good"),
}


@pytest.mark.parametrize("verb", CHANGES)
def test_a_change_of_a_model_is_one_entry(yard: Verbs, model: ModelMetadata, verb: str) -> None:
    before = last_number(yard)
    change, said = CHANGES[verb]
    change(yard, model)
    entry = entries_since(yard, before)[-1]
    assert (entry.verb, entry.code, entry.count) == (said, "OK", 1)
    assert entry.what == {"model": f"{model.name}:1", "model_id": model.model_id}
    assert entry.address == ADDRESSES[entry.door]
    assert entry.key.startswith("local:") if entry.door == "local" else entry.key == "anonymous"
    assert entry.request_id
    assert datetime.now(UTC) - timedelta(minutes=10) < entry.at <= datetime.now(UTC)


def test_a_training_is_two_entries_the_order_and_the_model(yard: Verbs, name: str) -> None:
    before = last_number(yard)
    model = yard.train(order(name))
    ordered, published = entries_since(yard, before)
    assert (ordered.verb, ordered.what["name"]) == ("train", name)
    assert (published.verb, published.door, published.key) == ("publish", "server", ordered.key)
    assert published.what == {
        "model": f"{name}:1",
        "model_id": model.model_id,
        "job_id": ordered.what["job_id"],
    }
    yard.retrain(RetrainRequest(model_id=name, X=RECORDS, y=LABELS))
    retrained, published = entries_since(yard, published.number)
    assert (retrained.verb, published.what["model"]) == ("retrain", f"{name}:2")


def test_who_ordered_a_model_made_it_and_who_changed_it_is_in_its_history(yard: Verbs, model: ModelMetadata) -> None:
    who = yard.whoami().name
    assert model.created_by == who
    yard.delete(model.name)
    yard.delete(model.model_id, hard=True)
    assert [event.by for event in yard.get_history(model.model_id).events] == [who] * 3


def test_keys_an_evaluation_and_a_cancelled_job_are_entries(yard: Verbs, model: ModelMetadata) -> None:
    before = last_number(yard)
    key = f"crm-{model.name}"
    yard.create_key(KeyRequest(name=key, role="predictor"))
    yard.rotate_key(key)
    yard.revoke_key(key)
    evaluation = yard.evaluate(EvaluateRequest(model_ids=[model.name], X=RECORDS, y=LABELS))
    found = entries_since(yard, before)
    assert [entry.verb for entry in found] == ["create_key", "rotate_key", "revoke_key", "evaluate"]
    assert found[0].what == {"key": key, "role": "predictor"}
    assert found[3].what == {"evaluation_id": evaluation.evaluation_id, "models": f"{model.name}:1"}


def test_reading_and_predicting_leave_no_entry(yard: Verbs, model: ModelMetadata) -> None:
    before = last_number(yard)
    yard.predict(PredictRequest(model_id=model.name, X=RECORDS[:3]))
    yard.list_models()
    yard.list_jobs(JobQuery())
    yard.get_report(model.name)
    yard.get_history(model.name)
    yard.get_artifact(model.name)
    assert last_number(yard) == before


def test_what_changes_nothing_leaves_no_entry(yard: Verbs, model: ModelMetadata) -> None:
    before = last_number(yard)
    yard.restore(model.name)
    with pytest.raises(errors.ModelNotFound):
        yard.delete("nobody")
    key = KeyRequest(name=f"twice-{model.name}", role="reader")
    yard.create_key(key)
    with pytest.raises(errors.AlreadyExists):
        yard.create_key(key)
    assert last_number(yard) == before + 1


def test_the_audit_is_listed_by_key_by_verb_and_since_a_moment(yard: Verbs, model: ModelMetadata) -> None:
    yard.delete(model.name)
    newest = yard.list_audit(AuditQuery(limit=1)).entries[0]
    assert yard.list_audit(AuditQuery(verb="delete", key=newest.key)).entries[0] == newest
    assert yard.list_audit(AuditQuery(key="nobody")).entries == []
    assert newest in yard.list_audit(AuditQuery(since=newest.at)).entries
    assert yard.list_audit(AuditQuery(since=newest.at + timedelta(seconds=1))).entries == []


def test_pages_follow_each_other(yard: Verbs, model: ModelMetadata) -> None:
    yard.delete(model.name)
    whole = yard.list_audit().entries[:5]
    found: list[AuditEntry] = []
    query = AuditQuery(limit=2)
    while len(found) < len(whole):
        page = yard.list_audit(query)
        found += page.entries
        if page.next_cursor is None:
            break
        query = AuditQuery(limit=2, cursor=page.next_cursor)
    assert found[: len(whole)] == whole


def test_a_cursor_that_is_none_is_refused(yard: Verbs) -> None:
    with pytest.raises(errors.InvalidRequest, match="cursor 'x' is none"):
        yard.list_audit(AuditQuery(cursor="x"))


# With keys.


SERVERS = {"rest": doors.rest_thread, "grpc": doors.grpc_thread}


@pytest.mark.parametrize("door", SERVERS)
def test_refusals_and_sign_ins_of_a_minute_are_one_entry_each_with_a_count(tmp_path: Path, door: str) -> None:
    folder = tmp_path / "models_storage"
    with SERVERS[door](folder, auth="keys") as address:
        url = address if "://" in address else f"grpc://{address}"
        with doors.core(folder) as core:
            keys = {
                role: core.create_key(KeyRequest(name=f"the-{role}", role=role)).key for role in ("reader", "admin")
            }
        with connect(url, keys["reader"]) as reader, connect(url, "wrong") as stranger, connect(url) as nobody:
            for _ in range(3):
                reader.whoami()
                with pytest.raises(errors.PermissionDenied):
                    reader.delete("churn")
                with pytest.raises(errors.Unauthenticated):
                    stranger.list_models()
            for ask in (nobody.list_models, nobody.whoami):
                with pytest.raises(errors.Unauthenticated):
                    ask()
            with pytest.raises(errors.PermissionDenied):
                reader.list_audit()
            reader.list_models()
        with connect(url, keys["admin"]) as admin:
            made = admin.list_audit().entries
            assert [(entry.verb, entry.what["key"]) for entry in made] == [
                ("create_key", "the-admin"),
                ("create_key", "the-reader"),
            ]
    with doors.core(folder) as core:
        found = core.list_audit().entries[: -len(made)]
        kept = {(entry.key, entry.verb, entry.code): entry for entry in found}
    counts = {which: entry.count for which, entry in kept.items() if which[0] == "the-reader"}
    assert counts == {
        ("the-reader", "whoami", "OK"): 3,
        ("the-reader", "delete", "PERMISSION_DENIED"): 3,
        ("the-reader", "list_audit", "PERMISSION_DENIED"): 1,
    }
    refused = {(entry.key, entry.verb): entry.count for entry in found if entry.code == "UNAUTHENTICATED"}
    assert refused == {("anonymous", ""): 3, ("anonymous", "list_models"): 1}
    assert {(entry.door, entry.address) for entry in found} == {(door, "127.0.0.1")}


def test_a_key_is_named_in_what_it_changes(tmp_path: Path) -> None:
    folder = tmp_path / "models_storage"
    with doors.core(folder) as core, doors.rest_thread(folder, auth="keys") as url:
        key = core.create_key(KeyRequest(name="anna", role="trainer")).key
        with connect(url, key) as anna:
            model = anna.train(order("churn", evaluation=WITHOUT))
            anna.delete("churn")
        assert model.created_by == "anna"
        assert [(entry.key, entry.verb) for entry in core.list_audit(AuditQuery(key="anna")).entries] == [
            ("anna", "delete"),
            ("anna", "publish"),
            ("anna", "train"),
        ]
        assert [event.by for event in core.get_history("churn:1").events] == ["anna", "anna"]
