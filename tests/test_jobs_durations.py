"""What a training may take from those who are served meanwhile, and how soon a cancelled one is gone."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from modelyard.bootstrap import build
from modelyard.settings import Settings
from tests import doors
from tests.processes import parents, runs, seconds_until

REST = [sys.executable, "-m", "modelyard", "rest"]
pytestmark = pytest.mark.alone

ROWS = 2000
TABLE = {
    "X": {"age": [float(row % 67) for row in range(ROWS)], "city": [f"c{row % 13}" for row in range(ROWS)]},
    "y": ["yes" if row % 3 else "no" for row in range(ROWS)],
    "evaluation": {"method": "none"},
}
LONG = {**TABLE, "model_class_key": "catboost_classifier", "hyperparams": {"iterations": 20_000, "depth": 8}}


@dataclass(frozen=True, slots=True)
class Server:
    """A REST server on a folder, and how to have something train there."""

    http: httpx.Client
    pid: int
    folder: Path

    def train_for_long(self) -> tuple[str, set[int]]:
        """Order a long training and return its id and its processes once it is at work."""
        job_id: str = self.http.post("/train?wait=false", json=LONG).raise_for_status().json()["job_id"]
        seconds_until(lambda: self.http.get(f"/jobs/{job_id}").json()["progress"]["step"] is not None)
        found = runs(self.pid)
        assert len(found) == 1
        return job_id, found

    def wait_until_gone(self, run: set[int]) -> float:
        """Return the seconds until none of a run's processes is left."""
        return seconds_until(lambda: not run & parents().keys())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("durations") / "models_storage"
    port = doors.free_port()
    url = f"http://127.0.0.1:{port}"
    with doors.serving(REST, folder, MODELYARD_REST_PORT=str(port)) as process:
        doors.wait_until_healthy(url)
        with httpx.Client(base_url=url, timeout=60) as http:
            small = {**TABLE, "model_class_key": "logistic_regression", "name": "asked"}
            http.post("/train", json=small).raise_for_status()
            yield Server(http, process.pid, folder)


def test_predictions_keep_their_pace_while_a_training_runs(server: Server) -> None:
    idle = median_of_predictions(server.http)
    job_id, _ = server.train_for_long()
    busy = median_of_predictions(server.http)
    assert server.http.delete(f"/jobs/{job_id}").json()["status"] == "cancelled"  # so it ran all the while
    assert busy < 3 * idle


def median_of_predictions(http: httpx.Client) -> float:
    taken = []
    for _ in range(400):
        began = time.perf_counter()
        http.post("/predict", json={"model_id": "asked", "X": [[41.0, "c5"]]}).raise_for_status()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def test_a_cancel_is_answered_at_once_and_frees_its_core(server: Server) -> None:
    answered, gone = [], []
    for _ in range(3):
        job_id, run = server.train_for_long()
        began = time.monotonic()
        assert server.http.delete(f"/jobs/{job_id}").status_code == 202
        answered.append(time.monotonic() - began)
        server.wait_until_gone(run)
        gone.append(time.monotonic() - began)
    assert min(answered) < 0.05
    assert min(gone) < 0.25


def test_a_cancel_by_another_process_frees_the_core_within_a_second(server: Server) -> None:
    job_id, run = server.train_for_long()
    other = build(Settings(storage_dir=server.folder))
    try:
        began = time.monotonic()
        assert other.cancel_job(job_id).status == "cancelled"
        assert time.monotonic() - began < 0.05
    finally:
        other.close()
    assert server.wait_until_gone(run) < 1
