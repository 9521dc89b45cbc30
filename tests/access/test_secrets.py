"""No secret of a key is ever written: not in the log, not on the disk, not in errors, and ClearML is told none.

Nor does a process that trains, or tells ClearML of it, inherit one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from typer.testing import CliRunner

from modelyard.access.keys import new_key
from modelyard.bootstrap import build
from modelyard.cli.app import app
from modelyard.errors import InvalidRequest, KeyNotFound, ModelyardError
from modelyard.grpc_server.client import GrpcClient
from modelyard.schemas import KeyRequest, PredictRequest
from modelyard.settings import Settings
from modelyard.tracking.child import Child
from tests import clearml_double, doors
from tests.access.callers import digest_of, misspelt, secret_of, written
from tests.access.foreign import X, Y, order
from tests.processes import children, descendants
from tests.waiting import PATIENCE_S, wait_until

LONG = {
    "model_class_key": "catboost_classifier",
    "X": X,
    "y": Y,
    "name": "long",
    "hyperparams": {"iterations": 1_000_000},
}


@dataclass
class Life:
    """What was said and written while a yard lived, and the keys that were shown to it."""

    tmp: Path
    folder: Path
    admin: str
    keys: list[str] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    environments: list[bytes] = field(default_factory=list)

    def hear(self, answer: httpx.Response) -> Any:
        self.answers.append(answer.content + repr(answer.headers.multi_items()).encode())
        return answer.json() if answer.content else None


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    tmp = tmp_path_factory.mktemp("life")
    admin = new_key()
    secrets = tmp_path_factory.mktemp("secrets") / "admin.key"
    secrets.write_text(admin)
    lived = Life(tmp, tmp / "yard", admin, [admin])
    settings = {
        "MODELYARD_AUTH": "keys",
        "MODELYARD_ADMIN_KEY_FILE": str(secrets),
        "MODELYARD_KEY": admin,
        "MODELYARD_LOG_LEVEL": "DEBUG",
        "MODELYARD_LOG_FORMAT": "json",
        "MODELYARD_TRAIN_GRACE_S": "0",
    }
    with clearml_double.listening() as double:
        with doors.rest_server(lived.folder, **(settings | double.environment(tmp))) as url:
            live_by_rest(lived, url)
        lived.answers.append(orjson.dumps(double.log, default=repr))
    (tmp / "yard.log").rename(tmp / "rest.log")
    with doors.grpc_server(lived.folder, **(settings | {"MODELYARD_LOG_FORMAT": "text"})) as target:
        live_by_grpc(lived, target)
    archive = tmp / "backup.tar.gz"
    made = CliRunner().invoke(app, ["backup", "create", str(archive), "--storage", str(lived.folder)])
    assert made.exit_code == 0
    lived.answers.append(made.output.encode())
    with tarfile.open(archive) as backup:
        backup.extractall(tmp / "unpacked", filter="data")
    return lived


def live_by_rest(lived: Life, url: str) -> None:
    """Do right and wrong by REST: train, fail, predict, be refused, rotate, show keys where none belongs."""
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {lived.admin}"}, timeout=PATIENCE_S) as http:
        made = http.post("/keys", json={"name": "crm", "role": "trainer"}).json()["key"]
        rotated = http.post("/keys/crm/rotate", json={}).json()["key"]
        lived.keys += [made, rotated]
        body = {"model_class_key": "logistic_regression", "X": X, "y": Y, "name": "one"}
        assert lived.hear(http.post("/train", json=body))["name"] == "one"
        lived.hear(http.post("/train", json={**body, "y": Y[1:]}))
        for _ in range(3):
            lived.hear(http.post("/predict", json={"model_id": "one", "X": X[:1]}))
        for path in ("/whoami", "/keys", "/health", "/jobs", "/models/one/history", "/docs", "/openapi.json"):
            lived.answers.append(http.get(path).content)
        for key in lived.keys:
            for shown in (key, misspelt(key, 30)):
                lived.hear(httpx.get(f"{url}/models", headers={"authorization": f"Bearer {shown}"}))
            lived.hear(http.get(f"/models?key={key}"))
            assert http.delete(f"/keys/{key}").status_code == 404
            lived.hear(http.delete(f"/keys/{key}"))
            lived.hear(http.get(f"/nowhere/{key}"))
            lived.hear(http.post("/keys", json={"name": key, "role": "reader"}))
            http.get("/models", headers={"x-request-id": key})  # which the answer repeats, as it promises
        job = http.post("/train?wait=false", json=LONG).json()
        wait_until(lambda: http.get(f"/jobs/{job['job_id']}").json()["progress"]["step"] is not None)
        (server,) = children(os.getpid(), "modelyard rest")
        for pid in descendants(server):
            lived.environments.append(of_process(pid, "environ"))
            lived.answers.append(of_process(pid, "environ") + of_process(pid, "cmdline"))
        lived.hear(http.delete(f"/jobs/{job['job_id']}"))


def of_process(pid: int, what: str) -> bytes:
    """Return a process's command line or environment; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:
        return b""


def live_by_grpc(lived: Life, target: str) -> None:
    """Do some of it by gRPC."""
    with GrpcClient(target, key=lived.admin) as client:
        lived.keys.append(client.create_key(KeyRequest(name="by-grpc", role="reader")).key)
        client.train(order("two"))
        client.predict(PredictRequest(model_id="two", X=X[:1]))
        lived.answers.append(client.list_keys().model_dump_json().encode())
        with pytest.raises(ModelyardError) as found:
            client.train(order("two", hyperparams={"C": -1.0}))
        lived.answers.append(str(found.value).encode())
        client.revoke_key("by-grpc")
        for name in lived.keys:
            with pytest.raises(KeyNotFound) as unknown:
                client.revoke_key(name)
            lived.answers.append(str(unknown.value).encode())
            with pytest.raises(InvalidRequest) as wrong:
                client.create_key(KeyRequest.model_construct(name=name, role="reader", models=[]))
            lived.answers.append(str(wrong.value).encode() + repr(wrong.value.errors).encode())
    for key in lived.keys[1:]:
        with GrpcClient(target, key=key) as client, pytest.raises(ModelyardError) as found:
            client.list_keys()
        lived.answers.append(str(found.value).encode())


def test_nothing_that_was_written_holds_the_secret_of_a_key(life: Life) -> None:
    files = [path for path in life.tmp.rglob("*") if path.is_file()]
    assert {"rest.log", "yard.log", "db.jsonl"} <= {path.name for path in files}
    for key in life.keys:
        for path in files:
            assert secret_of(key).encode() not in path.read_bytes(), path
        for answer in life.answers:
            assert secret_of(key).encode() not in answer


def test_the_log_knows_the_id_of_a_key_that_was_shown_in_the_wrong_place(life: Life) -> None:
    """So that whoever reads it knows which to revoke."""
    log = (life.tmp / "rest.log").read_text()
    for key in life.keys[:3]:
        assert f"/nowhere/my_{key.split('_')[1]}_…" in log


def test_what_a_stolen_database_holds_opens_nothing(life: Life) -> None:
    """It holds digests: whoever shows one, or what can be made of it, shows no valid key."""
    stolen = (life.folder / "db.jsonl").read_text()
    digest = digest_of(life.admin)
    assert digest in stolen
    key_id = life.admin.split("_")[1]
    with build(Settings(storage_dir=life.folder, auth="keys")) as yard:
        assert yard.guard.recognize(f"Bearer {life.admin}")
        for shown in (digest, f"my_{key_id}_{digest}", written(key_id, digest[:43]), written(key_id, "0" * 43), key_id):
            assert yard.guard.recognize(f"Bearer {shown}") is None


def test_a_process_that_trains_inherits_no_key_and_not_the_name_of_a_file_with_one(life: Life) -> None:
    environments = [environment for environment in life.environments if environment]
    assert environments
    for environment in environments:
        assert b"MODELYARD_STORAGE_DIR=" in environment
        assert not {b"MODELYARD_KEY", b"MODELYARD_ADMIN_KEY_FILE"} & names_in(environment)


def names_in(environment: bytes) -> set[bytes]:
    return {variable.partition(b"=")[0] for variable in environment.split(b"\0")}


def test_the_process_that_tells_clearml_inherits_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {b"MODELYARD_KEY", b"MODELYARD_ADMIN_KEY_FILE", b"MODELYARD_SIGNING_KEY_FILE", b"MODELYARD_TLS_KEY_FILE"}
    kept = {b"MODELYARD_HOST", b"CLEARML_API_SECRET_KEY"}
    for name in given | kept:
        monkeypatch.setenv(name.decode(), "127.0.0.1")
    before = descendants(os.getpid())
    child = Child(tmp_path / "talk")
    try:
        (pid,) = descendants(os.getpid()) - before
        names = names_in(of_process(pid, "environ"))
    finally:
        child.kill()
        child.end()
    assert names >= kept
    assert not names & given


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_traceback_in_the_log_holds_no_key(style: str) -> None:
    key = new_key()
    program = f"""
import logging
from modelyard import calls, logs
from modelyard.schemas import hide_keys
logs.configure("INFO", {style!r}, calls.identity, hide_keys)
try:
    raise ValueError("{key}")
except ValueError:
    logging.getLogger("x").exception("by the library, %s", "{key}")
logs.emit(logging.getLogger("x"), logging.INFO, "by a call {key}", {{"path": "{key}"}})
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert secret_of(key) not in done.stderr
    assert done.stderr.count(f"my_{key.split('_')[1]}_…") == 4


@pytest.mark.parametrize("command", ["revoke", "rotate"])
def test_a_terminal_does_not_show_a_key_that_was_taken_for_a_name(tmp_path: Path, command: str) -> None:
    key = new_key()
    with doors.core(tmp_path / "yard"):
        pass
    said = CliRunner().invoke(app, ["keys", command, key, "--storage", str(tmp_path / "yard")])
    assert said.exit_code == 3
    assert secret_of(key) not in said.output + said.stderr


def test_no_key_is_named_like_a_key() -> None:
    with pytest.raises(ValueError, match="must not look like a key"):
        KeyRequest(name=new_key(), role="reader")
