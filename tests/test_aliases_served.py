"""Aliases under way: several processes serve while one is moved, and nobody is served by what it was before."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import httpx
import pytest

from modelyard.bootstrap import build
from modelyard.errors import FailedPrecondition, PermissionDenied
from modelyard.rest_api.client import RestClient
from modelyard.schemas import AliasRequest, Evaluation, KeyRequest, TrainRequest
from modelyard.settings import Settings
from tests import doors

MOVES = 40
BODY = {"model_id": "churn@live", "X": [[1.0, 2.0]]}


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("yard") / "models_storage"
    with doors.core(folder) as core:
        for flip in (False, True):
            y = ["no" if (i + flip) % 2 else "yes" for i in range(40)]
            X = [[float(i % 7), float(i % 3)] for i in range(40)]
            order = TrainRequest(model_class_key="logistic_regression", X=X, y=y, name="churn")
            core.train(order.model_copy(update={"evaluation": Evaluation(method="none")}))
        core.set_alias("churn", "live", AliasRequest(version=1))
    return folder


def test_no_process_answers_by_the_old_version_after_a_move_has_returned(yard: Path) -> None:
    port = doors.free_port()
    command = [sys.executable, "-m", "modelyard", "rest", "--workers", "2", "--port", str(port)]
    with doors.serving(command, yard), build(Settings(storage_dir=yard)) as core:
        url = f"http://127.0.0.1:{port}"
        doors.wait_until_healthy(url)
        ids = {version: core.get_model(f"churn:{version}").model_id for version in (1, 2)}
        callers = [httpx.Client(base_url=url) for _ in range(12)]  # each on a connection to one of the processes
        stop = threading.Event()
        failed: list[str] = []

        def ask(caller: httpx.Client) -> str:
            answer = caller.post("/predict", json=BODY)
            if answer.status_code != 200:
                failed.append(answer.text)
                return ""
            model_id: str = answer.json()["model_id"]
            return model_id

        def ask_on(caller: httpx.Client) -> None:
            while not stop.is_set():
                ask(caller)

        threads = [threading.Thread(target=ask_on, args=(caller,)) for caller in callers[8:]]
        for thread in threads:
            thread.start()
        try:
            for move in range(MOVES):
                version = 1 + move % 2
                core.set_alias("churn", "live", AliasRequest(version=version))
                assert {ask(caller) for caller in callers[:8]} == {ids[version]}
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            for caller in callers:
                caller.close()
    assert failed == []
    with build(Settings(storage_dir=yard)) as core:
        moves = core.get_alias_history("churn", "live").moves
    assert [move.version for move in moves] == [1 + move % 2 for move in range(MOVES)]


def test_a_protected_alias_is_moved_by_administrators_alone(yard: Path) -> None:
    with build(Settings(storage_dir=yard)) as core:
        keys = {role: core.create_key(KeyRequest(name=role, role=role)).key for role in ("trainer", "admin")}
        core.set_alias("churn", "live", AliasRequest(version=1))
    with doors.rest_thread(yard, auth="keys", protected_aliases=("live",)) as url:
        with RestClient(url, key=keys["trainer"]) as trainer:
            for refused in (
                lambda: trainer.set_alias("churn", "live", AliasRequest(version=2)),
                lambda: trainer.delete_alias("churn", "live"),
            ):
                with pytest.raises(PermissionDenied, match="needs the role 'admin'"):
                    refused()
            assert trainer.set_alias("churn", "next", AliasRequest(version=2)).version == 2
        with RestClient(url, key=keys["admin"]) as admin:
            assert admin.set_alias("churn", "live", AliasRequest(version=2)).previous == 1
            assert admin.list_aliases("churn").aliases[0].by == "admin"


def test_a_setting_of_another_default_alias_than_the_yard_has_is_refused(yard: Path) -> None:
    with build(Settings(storage_dir=yard)) as core:
        for _ in range(2):
            core.take_default_alias("live")
        assert core.get_default_alias().alias == "live"
        with pytest.raises(FailedPrecondition, match="'next', but the yard's default alias is 'live'"):
            core.take_default_alias("next")
