"""The ClearML server's Compose file, secrets and credentials, as far as they can be tried without the server."""

from __future__ import annotations

import json
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

FOLDER = Path(__file__).resolve().parents[2] / "clearml_service"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / "docker-compose.yml").read_text())
    return document


def test_every_service_is_bounded_watched_and_brought_up_again(compose: dict[str, Any]) -> None:
    services = dict(compose["services"])
    assert services.pop("secrets")["restart"] == "no"
    assert set(services) == {"apiserver", "webserver", "fileserver", "elasticsearch", "mongo", "redis"}
    for name, service in services.items():
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name
    for name, service in compose["services"].items():
        assert re.fullmatch(r"\d+[mg]", service["mem_limit"]), name
        assert service["logging"]["options"]["max-size"], name
        assert not service["image"].endswith((":latest", "-latest}")), name


def test_servers_start_after_what_they_need(compose: dict[str, Any]) -> None:
    needs = {name: service.get("depends_on", {}) for name, service in compose["services"].items()}
    assert needs["apiserver"]["secrets"] == {"condition": "service_completed_successfully"}
    assert needs["fileserver"] == {"apiserver": {"condition": "service_healthy"}}
    assert needs["webserver"] == {"apiserver": {"condition": "service_healthy"}}


def test_ports_are_for_this_machine_and_data_in_named_volumes(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert sorted(port.rpartition("}:")[2] for port in ports) == ["8008:8008", "8080:80", "8081:8081"]
    assert all(port.startswith("${CLEARML_BIND:-127.0.0.1}:") for port in ports)
    used = {volume.partition(":")[0] for one in compose["services"].values() for volume in one.get("volumes", ())}
    scripts = {name for name in used if name.startswith("./")}
    assert used - scripts == set(compose["volumes"])
    assert all((FOLDER / script).is_file() for script in scripts)


def first_start(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **settings}
    command = [sys.executable, str(FOLDER / "first_start.py"), str(folder)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


READ_AS_CLEARML = """
import json, sys
from pathlib import Path
from clearml.utilities.pyhocon import ConfigFactory
for folder in map(Path, sys.argv[1:]):
    found = {path.stem: ConfigFactory.parse_file(str(path)) for path in folder.glob("*.conf")}
    print(json.dumps({name: tree.as_plain_ordered_dict() for name, tree in found.items()}))
"""


def configurations(*folders: Path) -> list[dict[str, Any]]:
    """Read folders as ClearML's servers do: by HOCON, each file below the key that its name is."""
    command = [sys.executable, "-W", "ignore", "-c", READ_AS_CLEARML, *map(str, folders)]
    read = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in read.stdout.splitlines()]


def values(document: Any) -> list[str]:
    if isinstance(document, dict):
        return [value for below in document.values() for value in values(below)]
    return [document]


def test_each_server_has_secrets_of_its_own(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
        done = first_start(folder)
        assert (done.returncode, done.stderr) == (0, "")
    found = []
    for made in configurations(*folders):
        assert set(made["secure"]["credentials"]) == {"apiserver", "fileserver", "webserver", "tests"}
        assert made["secure"]["auth"]["token_secret"]
        assert made["secure"]["http"]["session_secret"]["apiserver"]
        found += [*values(made["secure"]), made["apiserver"]["auth"]["fixed_users"]["users"][0]["password"]]
    assert len(set(found)) == len(found) == 2 * 11
    assert min(map(len, found)) >= 24


def test_what_was_made_is_for_its_owner_alone(tmp_path: Path) -> None:
    said = first_start(tmp_path).stdout
    assert {path.name for path in tmp_path.iterdir()} == {"secure.conf", "apiserver.conf", "sign_in.json"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir())
    assert json.loads((tmp_path / "sign_in.json").read_text())["password"] not in said


def test_any_password_reaches_the_server_as_it_is(tmp_path: Path) -> None:
    passwords = ['a"b', "a\\", "${HOME}", "#//,{[=", "ключ", ' \'""" ', "null"]
    folders = [tmp_path / str(number) for number in range(len(passwords))]
    for folder, password in zip(folders, passwords, strict=True):
        folder.mkdir()
        assert first_start(folder, CLEARML_USER="anna", CLEARML_PASSWORD=password).returncode == 0
        assert json.loads((folder / "sign_in.json").read_text()) == {"user": "anna", "password": password}
    users = [made["apiserver"]["auth"]["fixed_users"] for made in configurations(*folders)]
    assert all(one["enabled"] is True for one in users)
    expected = [{"username": "anna", "password": password, "name": "anna"} for password in passwords]
    assert [one["users"] for one in users] == [[one] for one in expected]


def test_secrets_stay_and_a_new_password_takes_the_old_ones_place(tmp_path: Path) -> None:
    def after(**settings: str) -> tuple[bytes, str]:
        assert first_start(tmp_path, **settings).returncode == 0
        sign_in = json.loads((tmp_path / "sign_in.json").read_text())
        assert sign_in["password"] in (tmp_path / "apiserver.conf").read_text()
        return (tmp_path / "secure.conf").read_bytes(), sign_in["password"]

    first = after()
    assert after() == first
    assert after(CLEARML_PASSWORD="chosen") == (first[0], "chosen")
    assert after() == (first[0], "chosen")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"CLEARML_BIND": "0.0.0.0"}, "CLEARML_BIND=0.0.0.0 lets other machines call"),
        ({"CLEARML_BIND": "192.168.1.5"}, "set CLEARML_USER and CLEARML_PASSWORD"),
        ({"CLEARML_BIND": "0.0.0.0", "CLEARML_PASSWORD": "change-me"}, "which everybody knows"),
        ({"CLEARML_PASSWORD": "change-me"}, "which everybody knows"),
        ({"CLEARML_USER": "anna:b"}, "must be a name without ':', got 'anna:b'"),
    ],
)
def test_what_would_let_anybody_in_is_refused(tmp_path: Path, settings: dict[str, str], problem: str) -> None:
    done = first_start(tmp_path, **settings)
    assert (done.returncode, problem in done.stderr) == (1, True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "settings",
    [
        {"CLEARML_BIND": "127.0.0.1"},
        {"CLEARML_BIND": "[::1]"},
        {"CLEARML_BIND": "localhost"},
        {"CLEARML_BIND": "0.0.0.0", "CLEARML_PASSWORD": "chosen"},
    ],
)
def test_this_machine_or_a_password_of_ones_own_will_do(tmp_path: Path, settings: dict[str, str]) -> None:
    assert first_start(tmp_path, **settings).returncode == 0


def test_credentials_are_made_without_a_browser(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "credentials.py")]
    with clearml_double.listening() as double:
        environment = {
            **os.environ,
            **double.environment(tmp_path),
            "CLEARML_USER": clearml_double.ACCESS_KEY,
            "CLEARML_PASSWORD": clearml_double.SECRET_KEY,
        }
        (tmp_path / "yard").mkdir()
        first_start(tmp_path / "yard", **{key: environment.pop(key) for key in ("CLEARML_USER", "CLEARML_PASSWORD")})
        by_file = [*command, str(tmp_path / "yard" / "sign_in.json")]
        made = subprocess.run(by_file, env=environment, capture_output=True, text=True, check=True)
        environment |= {"CLEARML_USER": clearml_double.ACCESS_KEY, "CLEARML_PASSWORD": "wrong"}
        refused = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert f'"access_key" = "{clearml_double.ACCESS_KEY}"' in made.stdout
    assert f"api_server: {double.url}" in made.stdout
    assert refused.returncode == 1
    assert "auth.login answers 401: Unauthorized" in refused.stderr


def test_credentials_without_a_sign_in_say_where_to_make_them(tmp_path: Path) -> None:
    unset = {key: value for key, value in os.environ.items() if not key.startswith("CLEARML_")}
    command = [sys.executable, str(FOLDER / "credentials.py"), str(tmp_path / "missing.json")]
    done = subprocess.run(command, env=unset, capture_output=True, text=True, check=False)
    assert (done.returncode, "docker compose exec -T apiserver" in done.stderr) == (1, True)


def _is_there(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.engine
def test_compose_takes_the_file_with_nothing_set(tmp_path: Path) -> None:
    if not _is_there("docker", "compose", "version"):
        left_out = "MODELYARD_TEST_WITHOUT_ENGINE" in os.environ
        pytest.skip("there is no engine here" if left_out else "needs docker compose")
    unset = {key: value for key, value in os.environ.items() if not key.startswith("CLEARML_")}
    command = ["docker", "compose", "-f", str(FOLDER / "docker-compose.yml"), "--env-file"]
    for file in (FOLDER / ".env.example", tmp_path / "empty"):
        (tmp_path / "empty").touch()
        done = subprocess.run([*command, str(file), "config"], capture_output=True, text=True, check=False, env=unset)
        assert (done.returncode, done.stderr) == (0, "")
        services = yaml.safe_load(done.stdout)["services"]
        assert services["secrets"]["environment"] == {
            "CLEARML_BIND": "127.0.0.1",
            "CLEARML_USER": "",
            "CLEARML_PASSWORD": "",
        }
        ports = [port["host_ip"] for service in services.values() for port in service.get("ports", ())]
        assert ports == ["127.0.0.1"] * 3
        for name, access in (("secrets", False), ("apiserver", True), ("fileserver", True)):
            (mounted,) = (one for one in services[name]["volumes"] if one["target"] == "/opt/clearml/config")
            assert (mounted["source"], mounted.get("read_only", False)) == ("config", access)
        assert "CLEARML_PASSWORD" not in services["apiserver"]["environment"]
