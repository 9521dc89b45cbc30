"""An operator's day, as docs/security.md tells it: rotate a key under load, revoke a leaver, find out who deleted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from modelyard.errors import Unauthenticated
from modelyard.rest_api.client import RestClient
from modelyard.schemas import AuditQuery, KeyRequest, PredictRequest, TrainRequest
from tests import doors
from tests.waiting import wait_until

CALLERS = 4
CALLS = 50
"""How often each caller predicts before the key is rotated, and again by the new one."""
ASKED = PredictRequest(model_id="churn", X=[[1.0, 2.0]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("day") / "models_storage"


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    with doors.rest_thread(folder, auth="keys") as url:
        yield url


@pytest.fixture(scope="module")
def ops(url: str, folder: Path) -> Iterator[RestClient]:
    """The operator, whose key was made on the folder, and two versions of a model."""
    with doors.core(folder) as core:
        key = core.create_key(KeyRequest(name="ops", role="admin")).key
    with RestClient(url, key=key) as client:
        rows = [[float(n % 7), float(n % 11)] for n in range(60)]
        request = TrainRequest(
            model_class_key="logistic_regression", X=rows, y=[row[0] > 3 for row in rows], name="churn"
        )
        for _ in range(2):
            client.train(request)
        yield client


@dataclass
class Callers:
    """Programs that predict without a pause by the key that stands in their configuration."""

    url: str
    key: str
    made: dict[str, int] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self) -> None:
        """Predict until it is told to stop, or refused."""
        while not self.stop.is_set():
            key = self.key
            with RestClient(self.url, key=key) as client:
                while self.key == key and not self.stop.is_set():
                    client.predict(ASKED)
                    with self.lock:
                        self.made[key] = self.made.get(key, 0) + 1


def test_a_key_is_rotated_under_load_without_a_failed_call_and_revoked_with_the_next_one(
    url: str, ops: RestClient
) -> None:
    old = ops.create_key(KeyRequest(name="crm", role="predictor", models=["churn*"])).key
    callers = Callers(url, old)
    with ThreadPoolExecutor(CALLERS) as pool:
        running = [pool.submit(callers.call) for _ in range(CALLERS)]
        try:
            wait_until(lambda: callers.made.get(old, 0) >= CALLS or any(one.done() for one in running))
            new = ops.rotate_key("crm", grace_s=3600).key
            before = callers.made[old]
            wait_until(lambda: callers.made[old] >= before + CALLS or any(one.done() for one in running))
            callers.key = new  # the configuration is rolled out
            wait_until(lambda: callers.made.get(new, 0) >= CALLS or any(one.done() for one in running))
            assert not any(one.done() for one in running)  # nobody was refused
            ops.revoke_key("crm")
            for one in running:
                with pytest.raises(Unauthenticated, match="revoked"):
                    one.result()
        finally:
            callers.stop.set()
    for key in (old, new):
        with RestClient(url, key=key) as client, pytest.raises(Unauthenticated):
            client.predict(ASKED)


def test_who_deleted_a_version_is_found_and_the_version_restored(url: str, ops: RestClient) -> None:
    key = ops.create_key(KeyRequest(name="leaver", role="trainer")).key
    with RestClient(url, key=key) as client:
        client.delete("churn:2")
    ops.revoke_key("leaver")
    (entry,) = ops.list_audit(AuditQuery(verb="delete")).entries
    assert (entry.key, entry.what["model"]) == ("leaver", "churn:2")
    assert ops.restore("churn:2").status == "active"
    assert [event.by for event in ops.get_history("churn:2").events[-2:]] == ["leaver", "ops"]
