"""What every door promises of keys: made and shown once, listed without their secrets, rotated, revoked, known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from modelyard.errors import AlreadyExists, FailedPrecondition, InvalidRequest, KeyNotFound
from modelyard.schemas import ROLES, KeyRequest, NewKey
from modelyard.verbs import Verbs
from tests import doors

DOORS: dict[str, Callable[[Path], AbstractContextManager[Verbs]]] = {
    "core": doors.core,
    "rest": doors.rest,
    "grpc": doors.grpc,
}
FORM = re.compile("my_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}")


@pytest.fixture(scope="module", params=list(DOORS))
def yard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verbs]:
    with DOORS[request.param](tmp_path_factory.mktemp("yard") / "models_storage") as opened:
        yield opened


@pytest.fixture
def name() -> str:
    """A name that no other test uses, of all that a name may have."""
    return f"K.{uuid4().hex}_-1"


def make(yard: Verbs, name: str, **fields: Any) -> NewKey:
    return yard.create_key(KeyRequest(**{"name": name, "role": "reader", **fields}))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("models", [[], ["churn*"], ["a", "b?c", "*"]])
def test_a_key_is_made_as_it_was_wanted_and_shown_once(yard: Verbs, name: str, role: str, models: list[str]) -> None:
    before = datetime.now(UTC)
    made = make(yard, name, role=role, models=models)
    assert FORM.fullmatch(made.key)
    assert (made.name, made.role, made.models, made.expires_at) == (name, role, models, None)
    assert before <= made.created_at <= datetime.now(UTC)
    (listed,) = [key for key in yard.list_keys().keys if key.name == name]
    assert (listed.role, listed.models, listed.created_at) == (role, models, made.created_at)
    assert listed.last_used_on is None
    assert made.key.split("_")[2][:43] not in yard.list_keys().model_dump_json()


def test_a_key_may_end_by_itself(yard: Verbs, name: str) -> None:
    made = make(yard, name, expires_in_days=30)
    assert made.expires_at == made.created_at + timedelta(days=30)
    (listed,) = [key for key in yard.list_keys().keys if key.name == name]
    assert listed.expires_at == made.expires_at


def test_a_name_is_taken_until_its_key_is_revoked(yard: Verbs, name: str) -> None:
    first = make(yard, name)
    with pytest.raises(AlreadyExists, match=f"there is a key named '{name}'; rotate it, or revoke it first"):
        make(yard, name, role="admin")
    yard.revoke_key(name)
    assert name not in [key.name for key in yard.list_keys().keys]
    second = make(yard, name, role="admin")
    assert second.key != first.key
    assert [key.role for key in yard.list_keys().keys if key.name == name] == ["admin"]


@pytest.mark.parametrize("grace_s", [0.0, 3600.0])
def test_a_rotated_key_is_another_and_all_else_of_it_stays(yard: Verbs, name: str, grace_s: float) -> None:
    made = make(yard, name, role="trainer", models=["churn*"], expires_in_days=1)
    began = datetime.now(UTC)
    rotated = yard.rotate_key(name, grace_s=grace_s)
    ended = datetime.now(UTC)
    assert FORM.fullmatch(rotated.key)
    assert rotated.key != made.key
    assert rotated.model_copy(update={"key": made.key}) == made
    (listed,) = [key for key in yard.list_keys().keys if key.name == name]
    if not grace_s:
        assert listed.old_valid_until is None
        return
    assert listed.old_valid_until is not None
    assert began <= listed.old_valid_until - timedelta(seconds=grace_s) <= ended
    yard.rotate_key(name, grace_s=2 * grace_s)  # the one of before ends as it was told, the second later
    (listed,) = [key for key in yard.list_keys().keys if key.name == name]
    assert listed.old_valid_until is not None
    assert listed.old_valid_until - timedelta(seconds=2 * grace_s) >= ended


def test_an_old_key_whose_grace_is_over_is_not_told_of(yard: Verbs, name: str) -> None:
    make(yard, name)
    yard.rotate_key(name, grace_s=1e-6)
    assert [key.old_valid_until for key in yard.list_keys().keys if key.name == name] == [None]


def test_keys_are_listed_by_name(yard: Verbs) -> None:
    for name in ("listed-b", "listed-a", "Listed-c"):
        make(yard, name)
    names = [key.name for key in yard.list_keys().keys]
    assert names == sorted(names)
    assert {"listed-a", "listed-b", "Listed-c"} <= set(names)


@pytest.mark.parametrize("unknown", ["nobody", "revoked"])
def test_what_is_not_there_is_neither_revoked_nor_rotated(yard: Verbs, unknown: str) -> None:
    if unknown == "revoked":
        make(yard, unknown)
        yard.revoke_key(unknown)
    for ask in (yard.revoke_key, yard.rotate_key):
        with pytest.raises(KeyNotFound, match=f"^there is no key named '{unknown}'$"):
            ask(unknown)


@pytest.mark.parametrize("wrong", ["", "a b", "-a", "a/b", "ключ", "a" * 65, "..", "a\n", "a?x=1", "%2e"])
def test_what_can_be_no_name_is_told_so(yard: Verbs, wrong: str) -> None:
    with pytest.raises(ValueError, match="a key's name must be 1 to 64 of letters, digits and"):
        KeyRequest(name=wrong, role="reader")
    for ask in (yard.revoke_key, yard.rotate_key):
        with pytest.raises((InvalidRequest, KeyNotFound), match=r"there (can be|is) no key named"):
            ask(wrong)


@pytest.mark.parametrize("grace_s", [-1.0, 30 * 86_400 + 1, float("nan"), float("inf")])
def test_a_grace_has_its_bounds(yard: Verbs, name: str, grace_s: float) -> None:
    made = make(yard, name)
    with pytest.raises(InvalidRequest, match="grace_s"):
        yard.rotate_key(name, grace_s=grace_s)
    assert made.key != yard.rotate_key(name).key


def test_an_expired_key_is_not_rotated_into_a_valid_one(yard: Verbs, name: str) -> None:
    make(yard, name, expires_in_days=1e-9)
    with pytest.raises(FailedPrecondition, match=f"key '{name}' has expired; revoke it and make another one"):
        yard.rotate_key(name)


def test_who_calls_is_an_administrator_if_nobody_is_asked_for_a_key(yard: Verbs) -> None:
    who = yard.whoami()
    assert who.name.partition(":")[0] in ("local", "anonymous")
    assert (who.role, who.models) == ("admin", [])
