"""A server whose folder fails it: it says so with the reason, loses nothing, and recovers by itself."""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelyard.bootstrap import build
from modelyard.schemas import Evaluation, PredictRequest, TrainRequest
from modelyard.settings import Settings
from modelyard.storage import ModelStore
from tests import doors
from tests.storage_drafts import database_of, open_store
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
ROWS = [[number, "ab"[number % 2]] for number in range(12)]
LABELS = ["yes" if number > 5 else "no" for number in range(12)]

_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2


@dataclass(frozen=True, slots=True)
class Served:
    """A server, its folder with a model for each test, and one open connection to it."""

    folder: Path
    pid: int
    http: httpx.Client


def train(folder: Path, *names: str) -> None:
    """Train models in a folder, quickly."""
    with doors.core(folder) as yard:
        for name in names:
            order = {"model_class_key": "logistic_regression", "X": ROWS, "y": LABELS, "name": name}
            yard.train(TrainRequest(**order, evaluation=Evaluation(method="none")))


def obey_permissions() -> None:
    """Let the process that comes after this one obey file permissions, root's too."""
    libc = ctypes.CDLL(None)
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("faults") / "yard" / "models_storage"
    port = doors.free_port()
    # Room for less than one model: none is loaded before it is asked for, so that faults of files are met.
    environment = {**os.environ, "MODELYARD_LOCK_TIMEOUT_S": "0.3", "MODELYARD_MODEL_CACHE_MB": "0.000001"}
    command = [sys.executable, "-m", "modelyard", "rest", "--port", str(port), "--storage", str(folder)]
    with folder.parent.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            preexec_fn=obey_permissions,  # noqa: PLW1509
        )
        try:
            doors.wait_until_healthy(f"http://127.0.0.1:{port}")
            # After its start, when it loads what is there: these are not in its memory.
            train(folder, "sound", "damaged-model", "damaged-contract", "damaged-report", "old")
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as http:
                yield Served(folder, process.pid, http)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)


@contextmanager
def held_lock(served: Served) -> Iterator[None]:
    with (served.folder / "db.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def vanished(served: Served) -> Iterator[None]:
    elsewhere = served.folder.with_name("elsewhere")
    served.folder.rename(elsewhere)
    try:
        yield
    finally:
        elsewhere.rename(served.folder)


@contextmanager
def read_only(served: Served) -> Iterator[None]:
    paths = [served.folder, served.folder / "artifacts", served.folder / "db.jsonl", served.folder / "db.lock"]
    modes = [path.stat().st_mode for path in paths]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        yield
    finally:
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode)


@contextmanager
def unreadable(served: Served) -> Iterator[None]:
    mode = served.folder.stat().st_mode
    served.folder.chmod(0o000)
    try:
        yield
    finally:
        served.folder.chmod(mode)


@contextmanager
def limited(served: Served, limit: int, value: int) -> Iterator[None]:
    before = resource.prlimit(served.pid, limit)
    resource.prlimit(served.pid, limit, (value, before[1]))
    try:
        yield
    finally:
        resource.prlimit(served.pid, limit, before)


def full_disk(served: Served) -> AbstractContextManager[None]:
    """Let no file grow beyond the database as it is."""
    return limited(served, resource.RLIMIT_FSIZE, (served.folder / "db.jsonl").stat().st_size)


def too_many_files(served: Served) -> AbstractContextManager[None]:
    """Let no file be opened, in the place of one that the server closes meanwhile either."""
    return limited(served, resource.RLIMIT_NOFILE, 3)


Fault = Callable[[Served], AbstractContextManager[None]]
FAULTS: dict[str, tuple[Fault, str]] = {
    "lock held": (held_lock, "db.lock was not free within"),
    "vanished": (vanished, "models_storage/db."),
    "read-only": (read_only, "Permission denied"),
    "unreadable": (unreadable, "Permission denied"),
    "disk full": (full_disk, "File too large"),
    "too many open files": (too_many_files, "Too many open files"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_unavailable_with_its_reason_and_passes_by_itself(served: Served, name: str) -> None:
    fault, reason = FAULTS[name]
    before = served.http.get("/models").json()
    assert ready(served) == (200, "ok")
    with fault(served):
        refused = served.http.delete("/models/sound")
        assert (refused.status_code, refused.json()["code"]) == (503, "UNAVAILABLE")
        assert reason in refused.json()["detail"]
        status, storage = ready(served)
        assert status == 503
        assert reason in storage
        assert served.http.get("/health/live").status_code == 200
        health = served.http.get("/health").json()
        assert (health["status"], health["models"]) == ("unavailable", None)
    assert ready(served) == (200, "ok")
    assert served.http.get("/models").json() == before
    assert served.http.delete("/models/sound").status_code == 200
    assert served.http.post("/models/sound:1/restore").status_code == 200


def test_a_training_does_not_make_a_vanished_folder_anew(served: Served) -> None:
    with vanished(served):
        body = {"model_class_key": "logistic_regression", "X": ROWS, "y": [i % 2 for i in range(len(ROWS))]}
        refused = served.http.post("/train", json=body)
        assert (refused.status_code, refused.json()["code"]) == (503, "UNAVAILABLE")
        assert not served.folder.exists()


def upkeep(served: Served, *options: str) -> subprocess.CompletedProcess[str]:
    """Run one of the command line's upkeep commands as someone whom permissions bind."""
    command = [sys.executable, "-m", "modelyard", *options, "--storage", str(served.folder)]
    return subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=obey_permissions,
    )


def test_doctor_verifies_a_folder_that_it_may_only_read(served: Served) -> None:
    with read_only(served):
        looked, repaired = upkeep(served, "doctor"), upkeep(served, "doctor", "--repair")
    assert (looked.returncode, looked.stderr) == (0, "")
    assert "every checksum holds" in looked.stdout
    assert (repaired.returncode, "Permission denied" in repaired.stderr) == (5, True)


def test_gc_says_what_would_go_of_a_folder_that_it_may_only_read(served: Served) -> None:
    served.http.delete("/models/old").raise_for_status()
    gc = ("gc", "--retention-days", "0")
    with read_only(served):
        said, refused = upkeep(served, *gc, "--dry-run"), upkeep(served, *gc)
    served.http.post("/models/old:1/restore").raise_for_status()
    assert (said.returncode, said.stderr) == (0, "")
    assert "1 would be removed" in said.stdout
    assert (refused.returncode, "Permission denied" in refused.stderr) == (5, True)


def test_readers_go_on_while_the_lock_is_held(served: Served) -> None:
    with held_lock(served):
        assert predict(served, "sound").status_code == 200
        assert served.http.get("/models/sound").status_code == 200


def ready(served: Served) -> tuple[int, str]:
    answer = served.http.get("/health/ready")
    return answer.status_code, answer.json()["storage"]


def predict(served: Served, name: str) -> httpx.Response:
    return served.http.post("/predict", json={"model_id": name, "X": ROWS[:2]})


@pytest.mark.parametrize("file", ["model.pkl", "contract.json", "report.json"])
def test_a_damaged_file_is_data_loss_named_by_health_and_the_rest_is_served(served: Served, file: str) -> None:
    name = f"damaged-{Path(file).stem}"
    model_id = served.http.get(f"/models/{name}").json()["model_id"]
    path = served.folder / "artifacts" / model_id / file
    content = path.read_bytes()

    def call() -> httpx.Response:
        return served.http.get(f"/models/{name}/report") if file == "report.json" else predict(served, name)

    for wrong in (content[:-1] + bytes([content[-1] ^ 1]), content[:10], None):
        path.unlink() if wrong is None else path.write_bytes(wrong)
        answer = call()
        assert (answer.status_code, answer.json()["code"]) == (500, "DATA_LOSS")
        assert str(path) in answer.json()["detail"]
        assert predict(served, "sound").status_code == 200
        assert len(served.http.get("/models").json()["models"]) == 5
        status, storage = ready(served)
        assert status == 200
        assert storage.startswith("ok, but damaged: ")
        assert str(path) in storage
    path.write_bytes(content)
    assert call().status_code == 200
    assert ready(served) == (200, "ok")


def test_a_model_of_another_version_is_refused_with_both_versions_and_the_way_out(served: Served) -> None:
    store = open_store(served.folder)
    model = store.get("old").metadata
    here = model.environment["scikit-learn"]
    for library, there, known in (("scikit-learn", "0.24.2", here), ("python", "2.7.18", model.environment["python"])):
        _remake(store, model.model_id, {**model.environment, library: there})
        answer = predict(served, "old")
        assert (answer.status_code, answer.json()["code"]) == (409, "FAILED_PRECONDITION")
        detail = answer.json()["detail"]
        for said in (there, known, "retrain the model", "MODELYARD_ALLOW_VERSION_SKEW=true"):
            assert said in detail
        assert served.http.get("/models/old").status_code == 200
    lenient = build(Settings(storage_dir=served.folder, allow_version_skew=True))
    assert len(lenient.predict(PredictRequest(model_id="old", X=ROWS[:2])).predictions) == 2
    lenient.close()
    _remake(store, model.model_id, model.environment)
    assert predict(served, "old").status_code == 200


def _remake(store: ModelStore, model_id: str, environment: dict[str, str]) -> None:
    with database_of(store).transaction() as transaction:
        document: dict[str, Any] | None = transaction.get("models", model_id)
        assert document is not None
        document["metadata"]["environment"] = environment
        transaction.put("models", model_id, document)
