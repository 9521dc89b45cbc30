"""The runner of a cluster as a server has it: what it needs, and what it keeps out of the server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.bootstrap import build
from modelyard.errors import FailedPrecondition, InvalidRequest
from modelyard.settings import Settings, environment_without_keys, read_settings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ray_address": "head:6379"}, "MODELYARD_RUNNER=ray only"),
        ({"runner": "ray", "ray_address": "ray://head:10001"}, "host:port, without a scheme"),
        ({"runner": "slurm"}, "'local' or 'ray'"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        read_settings(**settings)


def test_a_cluster_without_an_address_or_a_token_is_refused(storage_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    with pytest.raises(FailedPrecondition, match="needs MODELYARD_RAY_ADDRESS"):
        build(Settings(storage_dir=storage_dir, runner="ray"))
    with pytest.raises(FailedPrecondition, match="RAY_AUTH_MODE=token"):
        build(Settings(storage_dir=storage_dir, runner="ray", ray_address="127.0.0.1:1"))


def test_a_server_of_a_cluster_imports_no_ray(storage_dir: Path) -> None:
    code = f"""
import sys
from modelyard.bootstrap import build
from modelyard.settings import Settings
with build(Settings(storage_dir={str(storage_dir)!r}, runner="ray", ray_address="127.0.0.1:1")):
    sys.exit("ray" in sys.modules)
"""
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**environment_without_keys(), "RAY_AUTH_MODE": "token"}
    )


def test_as_many_run_as_the_cluster_has_room_for_unless_it_was_said() -> None:
    cluster = {"runner": "ray", "ray_address": "head:6379"}
    assert read_settings(**cluster).most_trainings == 1024
    assert read_settings(**cluster, train_workers=3).most_trainings == 3
    assert read_settings(train_workers=3).most_trainings == 3


def test_no_run_has_the_clusters_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert "RAY_AUTH_TOKEN" not in environment_without_keys()
    assert environment_without_keys()["RAY_AUTH_MODE"] == "token"
