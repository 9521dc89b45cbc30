"""What a limited key does with its own models beside foreign ones: predict, order again, look at the health."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from modelyard.access.guard import Guard
from modelyard.access.keys import StoredKey, new_key, take_apart
from modelyard.errors import InvalidRequest, ModelNotFound, PermissionDenied
from modelyard.grpc_server.client import GrpcClient
from modelyard.rest_api.client import RestClient
from modelyard.schemas import KeyRequest, PredictRequest, RetrainRequest, TrainRequest
from modelyard.verbs import Verbs
from tests import doors
from tests.access.callers import make_key
from tests.access.foreign import FOREIGN, NEVER_ID, OWN, PATTERN, SHARED_KEY, UNNAMED, Foreign, X, Y, order
from tests.waiting import PATIENCE_S


@pytest.fixture(params=["rest", "grpc"])
def limited(request: pytest.FixtureRequest, foreign: Foreign) -> Iterator[Verbs]:
    address = request.getfixturevalue("url" if request.param == "rest" else "target")
    client = RestClient if request.param == "rest" else GrpcClient
    with client(address, key=foreign.limited) as opened:
        yield opened


@pytest.mark.parametrize("rows", [1, 30, 3000])
def test_predictions_go_by_own_models_alone_however_often_they_are_asked_for(
    limited: Verbs, foreign: Foreign, rows: int
) -> None:
    """The quick ways know a caller after its first call."""
    table = X * (rows // 30) or X[:1]
    for _ in range(3):
        assert limited.predict(PredictRequest(model_id=OWN, X=table)).model_id == foreign.own_id
        for model_id in foreign.models.values():
            with pytest.raises(ModelNotFound, match=f"^there is no model with id {model_id}$"):
                limited.predict(PredictRequest(model_id=model_id, X=table))
        with pytest.raises(PermissionDenied, match=r"limited to: churn\*"):
            limited.predict(PredictRequest(model_id=FOREIGN, X=table))


def test_who_sees_all_and_who_sees_little_share_no_look_up_in_a_turn_of_the_server(url: str, foreign: Foreign) -> None:
    """Many ask for one foreign model at a time, on connections that the server knows already."""

    async def ask(client: httpx.AsyncClient, key: str) -> int:
        headers = {"authorization": f"Bearer {key}"}
        return (await client.post("/predict", json={"model_id": FOREIGN, "X": X[:1]}, headers=headers)).status_code

    async def rush() -> list[int]:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
            return await asyncio.gather(*(ask(client, key) for key in [foreign.admin, foreign.predictor] * 40))

    for _ in range(3):
        assert asyncio.run(rush()) == [200, 403] * 40


def test_who_is_refused_together_with_others_reads_no_name_but_their_own(url: str, foreign: Foreign) -> None:
    """Two keys with the same limits ask for one foreign model at a time."""
    keys = {"limited": foreign.limited, "asks": foreign.predictor}

    async def ask(client: httpx.AsyncClient, name: str) -> str:
        headers = {"authorization": f"Bearer {keys[name]}"}
        answer = await client.post("/predict", json={"model_id": FOREIGN, "X": X[:1]}, headers=headers)
        return str(answer.json()["detail"]).partition(" may not")[0]

    async def rush() -> list[str]:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
            return await asyncio.gather(*(ask(client, name) for name in [*keys] * 40))

    assert asyncio.run(rush()) == ["key 'limited'", "key 'asks'"] * 40


def test_an_idempotency_key_that_others_have_used_is_new_to_a_limited_key(limited: Verbs, foreign: Foreign) -> None:
    key = f"{SHARED_KEY}-{type(limited).__name__}"
    with pytest.raises(PermissionDenied):
        limited.train(order(FOREIGN, tags=["hidden-tag"]), idempotency_key=SHARED_KEY)
    first = limited.train(order("churn-2"), idempotency_key=key)
    assert first.name == "churn-2"
    assert limited.train(order("churn-2"), idempotency_key=key).model_id == first.model_id
    again = limited.retrain(RetrainRequest(model_id=OWN, X=X, y=Y), idempotency_key=f"{key}-again")
    assert (again.name, again.parent_id) == (OWN, foreign.own_id)
    limited.delete(again.model_id)


def test_two_keys_share_no_idempotency_key_and_a_key_keeps_its_own_when_it_is_rotated(url: str, folder: Path) -> None:
    ordered = order("churn-idem")
    with doors.core(folder) as yard:
        first, second = make_key(yard, "first", "trainer", PATTERN), make_key(yard, "second", "trainer")
        models = [trained(url, key, ordered) for key in (first, first, second)]
        rotated = yard.rotate_key("first").key
    assert models[0] == models[1] != models[2]
    assert trained(url, rotated, ordered) == models[0]


def trained(url: str, key: str, ordered: TrainRequest) -> str:
    with RestClient(url, key=key) as client:
        return client.train(ordered, idempotency_key=SHARED_KEY).model_id


def test_who_follows_under_a_keys_name_learns_nothing_by_its_idempotency_keys(url: str, folder: Path) -> None:
    again = RetrainRequest(model_id=FOREIGN, X=X, y=Y)
    with doors.core(folder) as yard:
        before = make_key(yard, "follows", "trainer")
        with RestClient(url, key=before) as client:
            theirs = client.retrain(again, idempotency_key=SHARED_KEY)
        yard.revoke_key("follows")
        after = make_key(yard, "follows", "trainer", PATTERN)
        with RestClient(url, key=after) as client:
            own = client.retrain(RetrainRequest(model_id=OWN, X=X, y=Y), idempotency_key=SHARED_KEY)
            with pytest.raises(PermissionDenied):
                client.retrain(again, idempotency_key="another")
        assert own.name == OWN
        for model_id in (theirs.model_id, own.model_id):
            yard.delete(model_id, hard=True)


def test_what_is_damaged_of_foreign_models_is_not_told(folder: Path, foreign: Foreign) -> None:
    hidden = foreign.models[UNNAMED]
    (estimator,) = (folder / "artifacts" / hidden).glob("*.pkl")
    content = estimator.read_bytes()
    with doors.rest_thread(folder, auth="keys") as url:
        headers = [{"authorization": f"Bearer {key}"} for key in (foreign.admin, foreign.limited)]
        estimator.write_bytes(b"damaged" + content)
        try:
            answer = httpx.get(f"{url}/models/{hidden}/artifact", headers=headers[0])
            assert answer.status_code == 500
            all_of_it, own = (httpx.get(f"{url}/health", headers=one).json() for one in headers)
        finally:
            estimator.write_bytes(content)
    assert hidden in all_of_it["storage"]
    assert own["storage"] == "ok"


@pytest.mark.parametrize(
    ("pattern", "seen"),
    [
        ("churn*", ["churn", "churn-1", "churn.2"]),
        ("churn?1", ["churn-1"]),
        ("*", ["CHURN", "a-churn", "churn", "churn-1", "churn.2"]),
        ("churn", ["churn"]),
        ("*churn", ["a-churn", "churn"]),
        ("churn.?", ["churn.2"]),
        ("CHURN", ["CHURN"]),
    ],
)
def test_a_pattern_means_a_whole_name_in_its_own_letters(pattern: str, seen: list[str]) -> None:
    key = new_key()
    parts = take_apart(key)
    assert parts is not None
    stored = StoredKey(parts.id, parts.sha256, "one", "reader", (pattern,), datetime.now(UTC), None)
    holder = Guard(lambda _: stored).identify(f"Bearer {key}")
    names = ["CHURN", "a-churn", "churn", "churn-1", "churn.2"]
    assert [name for name in names if holder.sees(name)] == seen
    assert not holder.sees(None)


@pytest.mark.parametrize("pattern", ["[", "churn[1]", "churn-[!a]", "", "a b", "чурн", "churn\n", "a/b", "x" * 101])
def test_a_pattern_of_other_characters_is_refused_with_what_is_allowed(pattern: str) -> None:
    with pytest.raises(ValueError, match="must be of letters, digits"):
        KeyRequest(name="one", role="reader", models=[pattern])


@pytest.mark.parametrize("reference", ["churn-1@Live", "*", "churn*", "../churn-1", "churn-1:0", "a" * 101])
def test_what_is_no_reference_is_told_so_before_anybody_is_asked(limited: Verbs, reference: str) -> None:
    with pytest.raises(InvalidRequest):
        limited.get_model(reference)


def test_an_id_that_never_was_is_told_like_that_to_those_who_see_all(url: str, foreign: Foreign) -> None:
    with RestClient(url, key=foreign.admin) as client, pytest.raises(ModelNotFound, match=NEVER_ID):
        client.get_model(NEVER_ID)
