"""Who guesses at keys is slowed, and nobody else is."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from modelyard.errors import TooManyRequests, Unauthenticated
from modelyard.grpc_server.client import GrpcClient
from tests import doors
from tests.access.callers import make_key


@pytest.fixture
def key(storage_dir: Path) -> str:
    with doors.core(storage_dir) as yard:
        return make_key(yard, "valid", "admin")


def test_rest_has_who_showed_ten_wrong_keys_wait_and_nobody_else(storage_dir: Path, key: str) -> None:
    """A prediction is one guess, too, though two ways of the server look at its key."""
    wrong = {"authorization": f"Bearer {key[:-1]}"}
    with doors.rest_thread(storage_dir, auth="keys") as url, httpx.Client(base_url=url) as http:
        assert [http.get("/models", headers=wrong).status_code for _ in range(5)] == [401] * 5
        assert [http.post("/predict", headers=wrong, json={}).status_code for _ in range(5)] == [401] * 5
        late = http.get("/models", headers=wrong)
        assert late.status_code == 429
        assert late.json()["code"] == "RESOURCE_EXHAUSTED"
        assert 0 < int(late.headers["retry-after"]) <= 60
        assert http.get("/models").status_code == 401
        assert http.get("/health/live").status_code == 200
        assert http.get("/models", headers={"authorization": f"Bearer {key}"}).status_code == 200


def test_grpc_has_who_showed_ten_wrong_keys_wait_and_nobody_else(storage_dir: Path, key: str) -> None:
    with (
        doors.grpc_thread(storage_dir, auth="keys") as target,
        GrpcClient(target, key=key[:-1]) as wrong,
        GrpcClient(target, key=key) as valid,
        GrpcClient(target) as nobody,
    ):
        for _ in range(10):
            with pytest.raises(Unauthenticated):
                wrong.whoami()
        with pytest.raises(TooManyRequests, match="10 keys"):
            wrong.whoami()
        assert valid.whoami().name == "valid"
        assert nobody.health().status == "ok"
