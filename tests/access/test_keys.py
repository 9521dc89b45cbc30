"""How a key is written, and that a guard lets nobody in who shows another text."""

from __future__ import annotations

import socket
import string
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.access.guard import STRANGER, Guard
from modelyard.access.keys import StoredKey, new_key, take_apart
from modelyard.errors import Unauthenticated
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.pb.modelyard_pb2_grpc import ModelServiceStub
from modelyard.identities import ANYONE
from modelyard.schemas import hide_keys
from tests import doors
from tests.access.callers import BASE62, digest_of, make_key, many_guesses, misspelt, secret_of, written
from tests.waiting import PATIENCE_S

secrets = st.text(BASE62, min_size=43, max_size=43)
ids = st.text(BASE62, min_size=8, max_size=8)
NOT_VALID = "the key is not valid: it is misspelt, unknown, revoked or expired"


@given(ids, secrets)
def test_a_key_is_taken_apart_into_what_it_was_made_of(key_id: str, secret: str) -> None:
    key = written(key_id, secret)
    parts = take_apart(key)
    assert parts is not None
    assert (parts.id, parts.sha256.hex()) == (key_id, digest_of(key))


def test_a_new_key_has_the_form_that_is_promised_and_is_another_each_time() -> None:
    keys = [new_key() for _ in range(200)]
    for key in keys:
        assert key == written(key.split("_")[1], secret_of(key))
        assert len(key) == 3 + 8 + 1 + 43 + 6
        assert take_apart(key) is not None
    assert len({key.split("_")[1] for key in keys}) == len({secret_of(key) for key in keys}) == len(keys)


@given(ids, secrets, st.integers(0, 60), st.characters(codec="utf-8"))
def test_one_other_character_makes_no_key(key_id: str, secret: str, at: int, other: str) -> None:
    key = written(key_id, secret)
    changed = key[:at] + other + key[at + 1 :]
    assert (take_apart(changed) is None) == (changed != key)


@given(ids, secrets, st.integers(0, 59))
def test_two_characters_in_each_others_place_make_no_key(key_id: str, secret: str, at: int) -> None:
    key = written(key_id, secret)
    changed = key[:at] + key[at + 1] + key[at] + key[at + 2 :]
    assert (take_apart(changed) is None) == (changed != key)


@given(ids, secrets, st.text(" .…ж\n"), st.text(" my_.…ж\n"))
def test_a_key_is_hidden_in_a_text_as_far_as_it_is_secret(key_id: str, secret: str, before: str, after: str) -> None:
    key = written(key_id, secret)
    for shown in (key, misspelt(key), key[:-3], key + "0"):
        assert hide_keys(f"{before}{shown} {after}") == f"{before}my_{key_id}_… {after}"
    assert hide_keys(f"{before}my_model_2{after}") == f"{before}my_model_2{after}"


@given(st.none() | st.text())
def test_what_is_no_valid_key_is_refused_in_the_same_words_and_never_repeated(authorization: str | None) -> None:
    guard = Guard(lambda _: None)
    if authorization is None:
        assert guard.identify(None) is STRANGER
        return
    with pytest.raises(Unauthenticated) as found:
        guard.identify(authorization)
    assert str(found.value) in (NOT_VALID, "a key is needed; show one as `Authorization: Bearer KEY`")


def stored(key: str, until: datetime | None = None) -> StoredKey:
    parts = take_apart(key)
    assert parts is not None
    return StoredKey(parts.id, parts.sha256, "one", "reader", (), datetime.now(UTC), until)


def refusal(guard: Guard, key: str) -> str:
    with pytest.raises(Unauthenticated) as found:
        guard.identify(f"Bearer {key}")
    return str(found.value)


def test_an_unknown_id_a_wrong_secret_and_an_expired_key_are_told_alike() -> None:
    key, other = new_key(), new_key()
    expired = datetime.now(UTC) - timedelta(seconds=1)
    wrong_secret = written(key.split("_")[1], secret_of(other))
    known = Guard(lambda key_id: stored(key) if key_id == key.split("_")[1] else None)
    assert known.identify(f"Bearer {key}").name == "one"
    refusals = {
        "unknown": refusal(known, other),
        "wrong secret": refusal(known, wrong_secret),
        "misspelt": refusal(known, misspelt(key)),
        "expired": refusal(Guard(lambda _: stored(key, expired)), key),
        "revoked": refusal(Guard(lambda _: None), key),
    }
    assert set(refusals.values()) == {NOT_VALID}


def test_the_digest_of_a_secret_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing but that comparison decides."""
    key = new_key()
    compared: list[tuple[bytes, bytes]] = []

    def never_equal(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return False

    monkeypatch.setattr("hmac.compare_digest", never_equal)
    assert refusal(Guard(lambda _: stored(key)), key) == NOT_VALID
    ((one, other),) = compared
    assert one == other == bytes.fromhex(digest_of(key))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_read_as_http_has_it(scheme: str) -> None:
    key = new_key()
    guard = Guard(lambda _: stored(key))
    assert guard.identify(f"{scheme} {key}").name == "one"
    assert guard.identify(f"{scheme}  {key} ").name == "one"
    for other in (key, f"Basic {key}", f"{scheme}{key}", f"{scheme} {key} {key}", f"{scheme} {key},{key}"):
        with pytest.raises(Unauthenticated):
            guard.identify(other)


def test_a_header_is_learnt_only_if_it_is_as_short_as_a_key_needs() -> None:
    key = new_key()
    guard = Guard(lambda _: stored(key))
    blanks = " " * 100
    assert guard.identify(f"Bearer {blanks}{key}").name == "one"
    assert guard._known == {}
    first = guard.identify(f"Bearer {key}")
    assert guard.identify(f"Bearer {key}") is first


def test_without_keys_nobody_is_asked_for_one() -> None:
    assert Guard(None).identify("Bearer nonsense") is ANYONE


@pytest.fixture(scope="module")
def yard_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "yard"


@pytest.fixture(scope="module")
def addresses(yard_folder: Path) -> Iterator[tuple[str, str]]:
    with (
        many_guesses(),
        doors.rest_thread(yard_folder, auth="keys") as url,
        doors.grpc_thread(yard_folder, auth="keys") as target,
    ):
        yield url, target


@given(scheme=st.sampled_from([b"", b"Bearer ", b"Basic ", b"Bearer my_"]), value=st.binary(max_size=200))
def test_rest_refuses_any_bytes_in_the_place_of_a_key_and_repeats_none(
    addresses: tuple[str, str], scheme: bytes, value: bytes
) -> None:
    """400: the header ends there, or the parser knows no such characters."""
    place = urlsplit(addresses[0])
    head = b"GET /models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: %bqzx%b\r\n\r\n"
    with socket.create_connection((str(place.hostname), int(place.port or 0)), PATIENCE_S) as connection:
        connection.sendall(head % (scheme, value))
        with connection.makefile("rb") as answer:
            status, content = answer.readline(), answer.read()
    assert status.split()[1] in (b"400", b"401")
    assert b"qzx" not in content


@given(scheme=st.sampled_from(["", "Bearer ", "Basic "]), value=st.text(string.printable[:95]))
def test_grpc_refuses_any_text_in_the_place_of_a_key_and_repeats_none(
    addresses: tuple[str, str], scheme: str, value: str
) -> None:
    with grpc.insecure_channel(addresses[1]) as channel, pytest.raises(grpc.RpcError) as found:
        ModelServiceStub(channel).Whoami(  # type: ignore[no-untyped-call]
            pb.WhoamiRequest(), metadata=[("authorization", f"{scheme}qzx{value}")], timeout=PATIENCE_S
        )
    assert found.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "qzx" not in found.value.details() + repr(found.value.trailing_metadata())


def test_two_keys_in_one_request_are_refused_and_not_repeated(yard_folder: Path, addresses: tuple[str, str]) -> None:
    with doors.core(yard_folder) as yard:
        key = make_key(yard, "twice", "admin")
    shown = f"Bearer {key}"
    answer = httpx.get(f"{addresses[0]}/models", headers=[("authorization", shown)] * 2)
    assert answer.status_code == 400
    assert answer.json()["detail"] == "header Authorization must be given once, got 2 of them"
    with grpc.insecure_channel(addresses[1]) as channel, pytest.raises(grpc.RpcError) as found:
        ModelServiceStub(channel).Whoami(pb.WhoamiRequest(), metadata=[("authorization", shown)] * 2)  # type: ignore[no-untyped-call]
    assert found.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert secret_of(key) not in found.value.details()
