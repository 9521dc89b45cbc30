"""`docker-compose.ray.yml` does what docs/scale.md says: a server in the image with Ray has a node train."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx
import pytest

from tests import containers
from tests.churn import ORDER
from tests.containers import docker, inspected
from tests.stand_ins import stand_ins
from tests.waiting import wait_until

pytestmark = [pytest.mark.engine, pytest.mark.cluster, pytest.mark.timeout(1800)]  # it may build the images

Compose = Callable[..., str]


@pytest.fixture
def compose() -> Iterator[Compose]:
    """Run a compose command on both files, and return what it wrote; all it has started is gone at the end."""
    containers.require_engine()
    version = f"test-{os.getpid()}"
    files = ("--file", "docker-compose.scale.yml", "--file", "docker-compose.ray.yml")
    command = ("docker", "compose", "--project-name", f"{containers.NAME}-ray", *files)
    settings = {"MODELYARD_VERSION": version, "RAY_AUTH_TOKEN": secrets.token_hex(32)}

    def run(*arguments: str, check: bool = True) -> str:
        return containers.run(*command, *arguments, check=check, **settings).stdout.strip()

    with stand_ins():
        try:
            yield run
        finally:
            run("down", "--volumes", "--timeout", "1", check=False)
            docker("image", "rm", f"modelyard-ray:{version}", check=False)


def test_a_training_takes_place_on_a_node(compose: Compose) -> None:
    compose("build", "rest-1")  # once: all services have the same image
    compose("up", "--detach", "--no-build", "rest-1", "ray", "ray-node")
    server = compose("ps", "--all", "--quiet", "rest-1")
    address = inspected(server, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
    with httpx.Client(base_url=f"http://{address}:8000", headers={"Host": "localhost"}, timeout=None) as client:

        def is_ready() -> bool:
            with suppress(httpx.TransportError):
                return client.get("/health/ready").is_success
            return False

        wait_until(is_ready)
        order = ORDER.model_dump(mode="json", include={"model_class_key", "X", "y", "name"})
        answer = client.post("/train", json=order)
    assert answer.json().get("status") == "active", answer.text
