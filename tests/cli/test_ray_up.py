"""`modelyard up --runner ray`: a cluster of this machine, which comes and goes with the servers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from modelyard.rest_api.client import RestClient
from modelyard.schemas import TrainRequest
from tests import doors
from tests.processes import descendants, says, wait_until_gone
from tests.waiting import PATIENCE_S, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


def test_a_folder_is_trained_on_by_a_cluster_of_this_machine(storage_dir: Path, penguins_csv: Path) -> None:
    ports = {name: str(doors.free_port()) for name in ("rest", "grpc", "dashboard")}
    options = [part for name, port in ports.items() for part in (f"--{name}-port", port)]
    up = subprocess.Popen(
        [sys.executable, "-m", "modelyard", "up", "--runner", "ray", "--storage", str(storage_dir), *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{ports['rest']}"
    wait_until(lambda: up.poll() is not None or _answers(url))
    with RestClient(url, timeout_s=300) as client:
        model = client.train(TrainRequest(model_class_key="logistic_regression", X=penguins_csv, target="species"))
        assert client.get_model(model.model_id).status == "active"
    family = descendants(up.pid)
    assert _has_head(family)
    up.terminate()
    up.wait(PATIENCE_S)
    wait_until_gone(family)


def test_a_cluster_of_this_machine_ends_with_a_process_that_is_killed() -> None:
    command = [sys.executable, "-m", "modelyard", "ray-head", "--owned", "--port", str(doors.free_port())]
    code = f"import subprocess; subprocess.Popen({command!r}, stdin=subprocess.PIPE).wait()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.DEVNULL) as owner:
        wait_until(lambda: _has_head(descendants(owner.pid)))
        family = descendants(owner.pid)
        owner.kill()
    wait_until_gone(family)


def _has_head(family: set[int]) -> bool:
    return any(says(pid, "gcs_server") for pid in family)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").is_success
    except httpx.TransportError:
        return False
