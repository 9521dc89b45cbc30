"""The ClearML server's Compose file and its way to credentials, as far as they can be tried without the server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import clearml_double

FOLDER = Path(__file__).resolve().parents[1] / "clearml_service"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / "docker-compose.yml").read_text())
    return document


def test_every_service_is_bounded_watched_and_brought_up_again(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"apiserver", "webserver", "fileserver", "elasticsearch", "mongo", "redis"}
    for name, service in compose["services"].items():
        assert service["healthcheck"]["test"], name
        assert re.fullmatch(r"\d+[mg]", service["mem_limit"]), name
        assert service["restart"] == "unless-stopped", name
        assert service["logging"]["options"]["max-size"], name


def test_ports_are_for_this_machine_and_data_in_named_volumes(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert sorted(port.rpartition("}:")[2] for port in ports) == ["8008:8008", "8080:80", "8081:8081"]
    assert all(port.startswith("${CLEARML_BIND:-127.0.0.1}:") for port in ports)
    used = {volume.partition(":")[0] for one in compose["services"].values() for volume in one.get("volumes", ())}
    assert used == set(compose["volumes"])


def test_nobody_gets_in_by_the_keys_that_everybody_knows(compose: dict[str, Any]) -> None:
    content = compose["configs"]["apiserver"]["content"]
    assert re.search(r"fixed_users \{\s+enabled: true", content)
    assert "${CLEARML_PASSWORD:?" in content
    (mounted,) = compose["services"]["apiserver"]["configs"]
    assert mounted == {"source": "apiserver", "target": "/opt/clearml/config/apiserver.conf"}


def test_credentials_are_made_without_a_browser(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "credentials.py")]
    with clearml_double.listening() as double:
        environment = {
            **os.environ,
            **double.environment(tmp_path),
            "CLEARML_USER": clearml_double.ACCESS_KEY,
            "CLEARML_PASSWORD": clearml_double.SECRET_KEY,
        }
        made = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=True)
        environment["CLEARML_PASSWORD"] = "wrong"
        refused = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert f'"access_key" = "{clearml_double.ACCESS_KEY}"' in made.stdout
    assert f"api_server: {double.url}" in made.stdout
    assert refused.returncode == 1
    assert "auth.login answers 401: Unauthorized" in refused.stderr


def _is_there(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.engine
def test_compose_takes_the_file(tmp_path: Path) -> None:
    if not _is_there("docker", "compose", "version"):
        left_out = "MODELYARD_TEST_WITHOUT_ENGINE" in os.environ
        pytest.skip("there is no engine here" if left_out else "needs docker compose")
    command = ["docker", "compose", "-f", str(FOLDER / "docker-compose.yml"), "--env-file"]
    done = subprocess.run(
        [*command, str(FOLDER / ".env.example"), "config"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert 'password: "change-me"' in done.stdout
    (tmp_path / "empty").touch()
    refused = subprocess.run(
        [*command, str(tmp_path / "empty"), "config"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={key: value for key, value in os.environ.items() if not key.startswith("CLEARML_")},
    )
    assert refused.returncode != 0
    assert "set CLEARML_" in refused.stderr
