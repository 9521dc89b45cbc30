"""The image and the compose file as tests use them: really built, really run, every name of this process's own.

All ports are published on free ones of the loopback address. What a test run that was killed has left behind is removed
by the next one.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from modelyard.grpc_server.client import GrpcClient
from modelyard.rest_api.client import RestClient
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[1]
NAME = f"modelyard-test-{os.getpid()}"
IMAGE = f"modelyard:test-{os.getpid()}"
HEALTH_INTERVAL_S = 3
"""Shorter than the image's 10 s: tests wait for the engine's first look after every start."""
PORTS = {"api": 8000, "grpc": 50051, "dashboard": 8501}


def run(*command: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the checkout; with `check`, fail with its words where it fails."""
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
    )
    assert not check or ended.returncode == 0, f"{' '.join(command)}\n{ended.stdout}\n{ended.stderr}"
    return ended


def docker(*arguments: str, check: bool = True) -> str:
    """Run a docker command and return what it wrote to standard output, without the last newline."""
    return run("docker", *arguments, check=check).stdout.rstrip("\n")


@cache
def engine_missing() -> str:
    """Say why there is no container engine to be used, nothing where there is one."""
    try:
        usable = run("docker", "info", check=False).returncode == 0
        usable = usable and run("docker", "compose", "version", check=False).returncode == 0
    except FileNotFoundError:
        usable = False
    if usable:
        return ""
    if os.environ.get("MODELYARD_TEST_WITHOUT_ENGINE"):  # .ci/run has found that none can be had
        return "left out: no container engine can be had on this machine"
    return "needs a container engine (docker with compose v2)"


def require_engine() -> None:
    """Skip where there is no container engine, saying so."""
    if engine_missing():
        pytest.skip(engine_missing())


@contextmanager
def image() -> Iterator[str]:
    """Build the image, from the layers of the last time where nothing has changed."""
    _sweep()
    run("docker", "build", "--quiet", "--tag", IMAGE, ".", DOCKER_BUILDKIT="1")
    try:
        yield IMAGE
    finally:
        docker("image", "rm", IMAGE, check=False)


def _sweep() -> None:
    """Remove what test runs that are no more have left."""
    for kind in ("container", "volume", "network"):
        listed = docker(
            kind,
            "ls",
            *(["--all"] if kind == "container" else []),
            "--format",
            "{{.Names}}" if kind == "container" else "{{.Name}}",
        )
        for name in listed.split():
            if _is_left_over(name):
                docker(kind, "rm", "--force", *(["--volumes"] if kind == "container" else []), name, check=False)


def _is_left_over(name: str) -> bool:
    if not name.startswith("modelyard-test-"):
        return False
    pid = name.removeprefix("modelyard-test-").partition("-")[0].partition("_")[0]
    return not Path("/proc", pid).exists()


@dataclass(frozen=True, slots=True)
class Project:
    """The three services of the compose file, as a project of this process's own; health is asked more often."""

    image: str
    override: Path

    def compose(self, *arguments: str) -> str:
        """Run a compose command and return what it wrote."""
        return self._composed(*arguments).stdout.rstrip("\n")

    def _composed(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        settings = {"REST_PORT": "0", "GRPC_PORT": "0", "DASHBOARD_PORT": "0", "MODELYARD_TRAIN_GRACE_S": "2"}
        files = ("--file", "docker-compose.yml", "--file", str(self.override))
        command = ("docker", "compose", "--project-name", NAME, *files, *arguments)
        tag = self.image.partition(":")[2]
        return run(*command, check=check, MODELYARD_VERSION=tag, **settings)

    def up(self) -> None:
        """Start everything that does not run, and wait until it is healthy.

        A server of a busy machine may be found unhealthy for a while, which ends compose's own waiting.
        """
        wait_until(lambda: self._composed("up", "--detach", "--wait", check=False).returncode == 0)

    def address(self, service: str) -> str:
        """Return where a service is found from outside, as host:port."""
        return self.compose("port", service, str(PORTS[service]))

    def rest(self) -> RestClient:
        """Open a client on the REST server."""
        return RestClient(f"http://{self.address('api')}")

    def grpc(self) -> GrpcClient:
        """Open a client on the gRPC server."""
        return GrpcClient(self.address("grpc"))

    def container(self, service: str) -> str:
        """Return the id of a service's container."""
        return self.compose("ps", "--all", "--quiet", service)

    def asked(self, service: str, template: str) -> str:
        """Ask the engine about a service's container."""
        return inspected(self.container(service), template)

    def wait_until_healthy(self, service: str) -> None:
        """Wait until the engine finds a service healthy."""
        wait_until_healthy(self.container(service))


def inspected(container: str, template: str) -> str:
    """Ask the engine about a container."""
    return docker("inspect", "--format", template, container)


def wait_until_healthy(container: str) -> None:
    """Wait until the engine finds a container healthy."""
    wait_until(lambda: inspected(container, "{{.State.Health.Status}}") == "healthy")


@contextmanager
def project(image: str, folder: Path) -> Iterator[Project]:
    """Bring the whole system up, and take it down with all it has stored; the folder is for what it needs besides."""
    override = folder / "override.yml"
    health = f"{{healthcheck: {{interval: {HEALTH_INTERVAL_S}s}}}}"
    override.write_text("services:\n" + "".join(f"  {service}: {health}\n" for service in PORTS))
    services = Project(image, override)
    try:
        services.up()
        yield services
    finally:
        services.compose("down", "--volumes", "--timeout", "5")
