"""The command line and TLS: the servers that speak it, and what keeps them from starting."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import doors
from tests.certificates import Authority, Made, shown_at, wait_for_another_at
from tests.waiting import PATIENCE_S, wait_until

MODELYARD = [sys.executable, "-m", "modelyard"]


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def run(*arguments: str, **environment: object) -> subprocess.CompletedProcess[str]:
    whole = {**os.environ, **{f"MODELYARD_{name}": str(value) for name, value in environment.items()}}
    return subprocess.run([*MODELYARD, *arguments], env=whole, capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only servers that answer are asked")
def test_up_speaks_tls_is_healthy_and_shows_a_renewed_certificate_by_every_door(ca: Authority, tmp_path: Path) -> None:
    served, caller = Made(tmp_path / "server.pem", tmp_path / "server.key"), ca.make("DNS:caller")
    served.replace(ca.make())
    ports = {f"{door}_PORT": doors.free_port() for door in ("REST", "GRPC", "DASHBOARD")}
    settings = {**ports, **served.settings(ca), "CLIENT_CERT_FILE": caller.cert, "CLIENT_KEY_FILE": caller.key}
    settings = {name.upper(): value for name, value in settings.items()}
    environment = {f"MODELYARD_{name}": str(value) for name, value in settings.items()}
    with doors.serving([*MODELYARD, "up"], tmp_path / "yard", **environment) as process:
        wait_until(lambda: "Ctrl-C stops everything" in (tmp_path / "yard.log").read_text())
        log = (tmp_path / "yard.log").read_text()
        assert run("health", **settings).returncode == 0
        assert re.search(r"REST +https://.*\n.*gRPC +grpcs://.*\n.*Dashboard +https://", log)
        for url in (f"https://localhost:{ports['REST_PORT']}", f"grpcs://localhost:{ports['GRPC_PORT']}"):
            found = run("list", "--json", "--url", url, **settings, CA_FILE=ca.cert)
            assert (found.returncode, found.stderr) == (0, "")
        before = {port: shown_at(port) for port in ports.values()}
        served.replace(ca.make())
        for port, old in before.items():
            wait_for_another_at(port, old)
        wait_until(lambda: run("health", **settings).returncode == 0)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    assert "Traceback" not in (tmp_path / "yard.log").read_text()


@pytest.mark.parametrize("command", [("up",), ("rest", "--workers", "2"), ("grpc",), ("dashboard",)])
def test_a_server_whose_certificate_cannot_be_used_says_so_once_and_makes_nothing(
    ca: Authority, tmp_path: Path, command: tuple[str, ...]
) -> None:
    made, other, folder = ca.make(), ca.make(), tmp_path / "yard"
    answer = run(*command, STORAGE_DIR=folder, TLS_CERT_FILE=made.cert, TLS_KEY_FILE=other.key)
    assert answer.returncode == 2
    assert answer.stderr.count("setting MODELYARD_TLS_KEY_FILE must be the private key of the certificate") == 1
    assert "Traceback" not in answer.stderr
    assert not folder.exists()
