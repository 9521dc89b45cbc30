"""Tracking among processes: children and servers killed, two servers on a folder, frozen servers, what is imported."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from streamlit.testing.v1 import AppTest

import modelyard
from modelyard.bootstrap import build
from modelyard.grpc_server.client import GrpcClient
from modelyard.rest_api.client import RestClient
from modelyard.schemas import Evaluation, Health, ModelMetadata, TrainRequest
from modelyard.settings import Settings
from modelyard.tracking import rounds
from modelyard.verbs import Verbs
from tests import clearml_double
from tests.clearml_double import Double
from tests.command_line import run
from tests.data.freeze import LABELS, ROWS
from tests.doors import (
    free_port,
    grpc_thread,
    rest_server,
    rest_thread,
    serving,
    wait_until_healthy,
)
from tests.processes import children, wait_until_gone
from tests.waiting import PATIENCE_S, wait_until

SOURCES = Path(modelyard.__file__).parent


@pytest.fixture
def clearml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    """A server that answers, and the environment that leads to it."""
    with clearml_double.listening() as double:
        for name, value in double.environment(tmp_path).items():
            monkeypatch.setenv(name, value)
        yield double


def train_untold(folder: Path) -> None:
    """Train in this process, whose fork server is ready, and leave the telling to the folder's next server."""
    yard = build(Settings(storage_dir=folder, tracking="clearml"))
    train(yard)
    yard.close()


def train(yard: Verbs, name: str = "size") -> ModelMetadata:
    evaluation = Evaluation(method="none")
    return yard.train(
        TrainRequest(model_class_key="logistic_regression", X=ROWS, y=LABELS, name=name, evaluation=evaluation)
    )


def all_told(yard: RestClient | GrpcClient) -> bool:
    backlog = yard.health().tracking
    assert backlog is not None
    return backlog.pending == 0


def children_who_push(pid: int) -> set[int]:
    return children(pid, "modelyard.tracking.push")


def test_clearml_is_imported_in_the_child_alone() -> None:
    importers = {
        str(path.relative_to(SOURCES))
        for path in SOURCES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Import) and any(name.name.split(".")[0] == "clearml" for name in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "clearml")
    }
    assert importers == {"tracking/clearml_bounds.py", "tracking/clearml_task.py"}
    callers = [
        str(path.relative_to(SOURCES))
        for path in SOURCES.rglob("*.py")
        if any(
            isinstance(node, ast.ImportFrom)
            and node.module == "modelyard.tracking"
            and {name.name for name in node.names} & {"clearml_bounds", "clearml_task", "push"}
            for node in ast.walk(ast.parse(path.read_text()))
        )
    ]
    assert callers == ["tracking/push.py"]


@pytest.mark.parametrize(("tracking", "imported"), [("none", []), ("clearml", ["modelyard.tracking"])])
def test_a_server_imports_no_more_than_it_needs(storage_dir: Path, tracking: str, imported: list[str]) -> None:
    code = f"""
import sys
from modelyard.bootstrap import build
from modelyard.grpc_server import server
from modelyard.ml_core.desk import Desk
from modelyard.rest_api import app
from modelyard.settings import Settings
settings = Settings(storage_dir={str(storage_dir)!r}, tracking={tracking!r})
yard = build(settings)
app.create_app(Desk(yard), settings)
yard.serve()
yard.health()
yard.close()
print([name for name in sys.modules if name.split(".")[0] == "clearml" or name == "modelyard.tracking"])
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == str(imported)


def test_a_killed_child_is_followed_by_another(clearml: Double, storage_dir: Path) -> None:
    clearml.frozen_at = "tasks.started"
    train_untold(storage_dir)
    with rest_thread(storage_dir) as url, RestClient(url) as yard:
        wait_until(lambda: "tasks.started" in clearml.calls)
        (child,) = children_who_push(os.getpid())
        os.kill(child, signal.SIGKILL)
        wait_until(lambda: "was ended by signal 9" in str(health(yard)))
        clearml.frozen_at = None
        wait_until(lambda: all_told(yard))
        assert yard.get_model("size").tracking.status == "sent"
    assert clearml.names() == ["size-v1"]
    assert len(clearml.models) == 1


def test_runs_that_follow_one_another_are_told_by_one_child_which_ends_when_idle(
    clearml: Double, storage_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rest_thread(storage_dir, tracking="clearml") as url, RestClient(url) as yard:
        train(yard, "one")
        wait_until(lambda: all_told(yard))
        (child,) = children_who_push(os.getpid())
        train(yard, "two")
        wait_until(lambda: all_told(yard))
        assert children_who_push(os.getpid()) == {child}
        os.kill(child, signal.SIGKILL)
        wait_until_gone({child})
        train(yard, "three")
        wait_until(lambda: all_told(yard))
        assert clearml.calls.count("auth.login") == 2
        monkeypatch.setattr(rounds, "_MOST_IDLE_S", 0.1)
        wait_until(lambda: not children_who_push(os.getpid()))
    assert clearml.names() == ["one-v1", "two-v1", "three-v1"]


def health(yard: RestClient) -> str | None:
    found: Health = yard.health()
    assert found.tracking is not None
    return found.tracking.problem


def test_a_killed_server_takes_its_child_along_and_the_next_one_goes_on(
    clearml: Double, storage_dir: Path, tmp_path: Path
) -> None:
    """In the midst of whichever call it is killed, the next one goes on: test_tracking."""
    clearml.frozen_at = "models.create"
    train_untold(storage_dir)
    settings = {**clearml.environment(tmp_path), "MODELYARD_REST_PORT": str(free_port())}
    with serving([sys.executable, "-m", "modelyard", "rest"], storage_dir, **settings) as server:
        wait_until(lambda: "models.create" in clearml.calls)
        (child,) = children_who_push(server.pid)
        server.kill()
        wait_until_gone({child})
    clearml.frozen_at = None
    with rest_thread(storage_dir) as url, RestClient(url) as yard:
        wait_until(lambda: all_told(yard))
    (task,) = clearml.tasks.values()
    assert task["status"] == "completed"
    assert clearml.single_values(task) == {"train_accuracy": 1.0}
    assert len(clearml.models) == 1


def test_the_dashboard_says_whether_clearml_knows(clearml: Double, storage_dir: Path) -> None:
    clearml.refuses = "^odd"
    with rest_thread(storage_dir) as url, RestClient(url) as yard:
        models = {name: train(yard, name).model_id for name in ("size", "odd")}
        wait_until(lambda: all_told(yard))
        link = yard.get_model("size").tracking.url
        said = {name: _page(url, model_id) for name, model_id in models.items()}
    assert f"[experiment]({link})" in said["size"]
    assert "refused: ClearML refuses tasks.create" in said["odd"]


def _page(url: str, model_id: str) -> str:
    """Return the tables that the dashboard shows of a model's details."""
    script = (
        "from modelyard.dashboard.app import main\n"
        "from modelyard.dashboard.doors import Doors\n"
        f"main(Doors({url!r}, '127.0.0.1:9'), start='model')\n"
    )
    page = AppTest.from_string(script, default_timeout=PATIENCE_S)
    page.query_params["id"] = model_id
    page.query_params["tab"] = "details"
    page.run()
    assert not page.exception
    return "\n".join(table.value.to_csv() for table in page.table)


def test_of_two_servers_on_a_folder_one_delivers(clearml: Double, storage_dir: Path, tmp_path: Path) -> None:
    settings = clearml.environment(tmp_path)
    with (
        rest_server(storage_dir, **settings) as url,
        grpc_thread(storage_dir) as target,
        RestClient(url) as rest,
        GrpcClient(target) as grpc,
    ):
        for number in range(2):
            train(rest, f"rest-{number}")
            train(grpc, f"grpc-{number}")
        wait_until(lambda: all_told(rest) and all_told(grpc))
        assert grpc.get_model("rest-1").tracking == rest.get_model("rest-1").tracking
        assert grpc.get_model("grpc-1").tracking.status == "sent"
    assert clearml.names() == ["rest-0-v1", "grpc-0-v1", "rest-1-v1", "grpc-1-v1"]
    assert len(clearml.models) == 4


def test_a_server_does_not_wait_for_a_frozen_clearml_to_end(clearml: Double, storage_dir: Path, tmp_path: Path) -> None:
    clearml.frozen = True
    port = free_port()
    settings = {**clearml.environment(tmp_path), "MODELYARD_REST_PORT": str(port)}
    settings["MODELYARD_TRACKING_TIMEOUT_S"] = "3600"
    with serving([sys.executable, "-m", "modelyard", "rest"], storage_dir, **settings) as server:
        wait_until_healthy(url := f"http://127.0.0.1:{port}")
        with RestClient(url) as yard:
            assert train(yard).tracking.status == "pending"
        wait_until(lambda: "auth.login" in clearml.calls)
        server.terminate()
        assert server.wait(PATIENCE_S) == 0
        assert not children_who_push(server.pid)


def test_a_cut_off_training_in_a_terminal_is_told_by_the_next_server(
    clearml: Double, storage_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("size,label\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(20)))
    monkeypatch.setenv("MODELYARD_STORAGE_DIR", str(storage_dir))
    command = [sys.executable, "-m", "modelyard", "train", str(table), "--target", "label", "--name", "mine"]
    command += ["--model-class", "logistic_regression", "--evaluation", "none"]
    subprocess.run(command, check=True)
    clearml.wrong_keys = True
    refused = run("tracking", "flush")
    assert refused.exit_code == 5
    assert "refuses the credentials (access key THE-…)" in refused.stderr
    status = run("tracking", "status")
    assert status.exit_code == 0
    assert "pending       1, the oldest from" in status.stdout
    assert "refuses the credentials" in status.stdout
    clearml.wrong_keys = False
    assert run("tracking", "flush").stdout == "ClearML has been told of 1 run.\n"
    assert '"pending":[],"failed":[]' in run("tracking", "status", "--json").stdout
    assert f"tracking     sent: {clearml.url}/projects/" in run("show", "mine").stdout
    monkeypatch.setenv("MODELYARD_TRACKING", "none")
    assert run("tracking", "flush").exit_code == 4
    assert run("tracking", "status").exit_code == 0
    # A deletion by somebody who does not track is told of by those who do.
    assert run("delete", "mine").exit_code == 0
    monkeypatch.setenv("MODELYARD_TRACKING", "clearml")
    with rest_thread(storage_dir) as url, RestClient(url) as yard:
        wait_until(lambda: all_told(yard))
        health = httpx.get(url + "/health", timeout=PATIENCE_S).json()
        assert health["tracking"] == {"pending": 0, "failed": 0, "problem": None}
    assert clearml.by_name()["mine-v1"]["tags"] == ["modelyard:logistic_regression", "modelyard:deleted"]
