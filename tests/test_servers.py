"""A yard on servers, used by several replicas: what one door is told holds at every other, and jobs find an owner."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from modelyard import errors
from modelyard.bootstrap import build
from modelyard.connection import connect
from modelyard.grpc_server.client import GrpcClient
from modelyard.rest_api.client import RestClient
from modelyard.schemas import PredictRequest
from modelyard.settings import Settings
from modelyard.verbs import Verbs
from tests import doors, processes
from tests.churn import ORDER, ROWS
from tests.command_line import run
from tests.postgres_server import PostgresServer


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_yard()


@pytest.fixture
def replicas(storage_dir: Path, url: str) -> Iterator[list[Verbs]]:
    """A replica of each door, and the core itself, on one yard."""
    with ExitStack() as stack:
        rest = stack.enter_context(doors.rest_thread(storage_dir, database_url=url))
        grpc = stack.enter_context(doors.grpc_thread(storage_dir, database_url=url))
        clients: list[Any] = [
            RestClient(rest),
            GrpcClient(grpc),
            build(Settings(storage_dir=storage_dir, database_url=url)),
        ]
        yield [stack.enter_context(client) for client in clients]


def predict(yard: Verbs, reference: str = "churn") -> list[Any]:
    return list(yard.predict(PredictRequest(model_id=reference, X=ROWS[:1])).predictions)


def test_what_one_replica_was_told_holds_at_every_other(replicas: list[Verbs]) -> None:
    for trains in replicas:
        model = trains.train(ORDER)
        for each in replicas:
            assert each.get_model("churn").version == model.version
            assert predict(each)
    for deletes in replicas:
        deletes.delete("churn:1")
        for each in replicas:
            with pytest.raises(errors.ModelNotFound):
                predict(each, "churn:1")
        deletes.restore("churn:1")
        for each in replicas:
            assert predict(each, "churn:1")


def test_health_says_on_what_the_yard_stands(replicas: list[Verbs]) -> None:
    for each in replicas:
        health = each.health()
        assert health.status == "ok"
        assert re.fullmatch(r"ok; PostgreSQL, as it was \d+\.\d{3} s ago", health.storage or "")


def test_a_replica_that_was_stopped_never_answers_by_what_was_before_a_change(storage_dir: Path, url: str) -> None:
    with (
        doors.rest_server(storage_dir, MODELYARD_DATABASE_URL=url) as address,
        RestClient(address) as stopped,
        doors.core(storage_dir, database_url=url) as core,
    ):
        core.train(ORDER)
        assert predict(stopped)
        pids = {pid for pid in processes.descendants(os.getpid()) if processes.says(pid, "modelyard rest")}
        for change, problem in ((core.delete, errors.ModelNotFound), (core.restore, None)):
            _signal(pids, signal.SIGSTOP)
            change("churn:1")  # it waits until the lease of the one that is stopped has run out
            _signal(pids, signal.SIGCONT)
            if problem is None:
                assert predict(stopped, "churn:1")
            else:
                with pytest.raises(problem):
                    predict(stopped, "churn:1")


def _signal(pids: Collection[int], number: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, number)


def test_commands_use_the_database_that_the_environment_names(
    storage_dir: Path, url: str, penguins_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELYARD_STORAGE_DIR", str(storage_dir))
    monkeypatch.setenv("MODELYARD_DATABASE_URL", url)
    assert "the database holds no yard" in run("list").output
    trained = run("train", penguins_csv, "--target", "species", "-m", "logistic_regression", "--name", "penguins")
    assert trained.exit_code == 0, trained.output
    assert "penguins" in run("list").stdout
    assert "Wrote 1 model to" in run("backup", "create", storage_dir.with_suffix(".tar")).stdout
    assert "There is nothing to remove" in run("gc").output
    assert "All is well: 1 model" in run("doctor").output
    assert "the one to go on from" in run("doctor", "--accept-restored").stdout
    with pytest.raises(errors.NoYard):  # a path means the folder, whatever the environment says
        connect(storage_dir.parent)


def test_a_database_that_is_none_is_refused_without_its_password(storage_dir: Path) -> None:
    from modelyard.settings import read_settings

    with pytest.raises(errors.InvalidRequest, match="must be written postgresql://") as refused:
        read_settings(database_url="mysql://me:secret@host/db")
    assert "secret" not in str(refused.value)
    assert "secret" not in repr(Settings(storage_dir=storage_dir, database_url="postgresql://me:secret@host/db"))
    with pytest.raises(errors.Unavailable, match="the database cannot be used") as missing:
        build(Settings(storage_dir=storage_dir, database_url="postgresql://me:secret@127.0.0.1:1/db"))
    assert "secret" not in str(missing.value)
