"""`docker-compose.scale.yml` does what docs/scale.md says: two replicas of each door, one of which may go."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest

from modelyard.grpc_server.client import GrpcClient
from modelyard.rest_api.client import RestClient
from tests import containers
from tests.churn import ASKED, ORDER, ROWS
from tests.containers import docker, inspected
from tests.loads import Load
from tests.stand_ins import stand_ins
from tests.waiting import wait_until

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]  # it may build the images

REPLICAS = ("rest-1", "rest-2", "grpc-1", "grpc-2")


@dataclass(frozen=True, slots=True)
class Scaled:
    """The services of the file, as a project of this process's own."""

    tag: str

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Run a compose command and return what it wrote."""
        files = ("--project-name", f"{containers.NAME}-scale", "--file", "docker-compose.scale.yml")
        settings = {"REST_PORT": "0", "GRPC_PORT": "0", "DASHBOARD_PORT": "0", "MODELYARD_VERSION": self.tag}
        return containers.run("docker", "compose", *files, *arguments, check=check, **settings).stdout.strip()

    def up(self) -> None:
        """Start what does not run, and wait until the balancer leads to every replica."""
        self.compose("up", "--detach", "--no-build")
        for name in REPLICAS:
            self.wait_until_ready(name)

    def wait_until_ready(self, name: str) -> None:
        """Wait until a replica is ready, at the address that it has now, and the balancer has seen that it is."""
        port = 8000 if name.startswith("rest") else 9464
        wait_until(lambda: self._is_ready(f"http://{self.place(name)}:{port}/health/ready"))
        wait_until(lambda: self._is_seen(name))

    def _is_ready(self, url: str) -> bool:
        try:
            return httpx.get(url, headers={"Host": "localhost"}).is_success
        except (httpx.HTTPError, httpx.InvalidURL):
            return False

    def _is_seen(self, name: str) -> bool:
        page = httpx.get(f"http://{self.place('balancer')}:8404/;csv").text
        replicas = {row["svname"]: row for row in csv.DictReader(page.removeprefix("# ").splitlines())}
        return replicas[name]["status"] == "UP" and replicas[name]["addr"].partition(":")[0] == self.place(name)

    def container(self, service: str) -> str:
        return self.compose("ps", "--all", "--quiet", service)

    def place(self, service: str) -> str:
        """Return a container's address in the network of the containers, which this machine reaches."""
        return inspected(self.container(service), "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")

    def rest(self) -> RestClient:
        return RestClient(f"http://{self.compose('port', 'balancer', '8000')}")

    def grpc(self) -> GrpcClient:
        return GrpcClient(self.compose("port", "balancer", "50051"))


@pytest.fixture(scope="module")
def system() -> Iterator[Scaled]:
    containers.require_engine()
    with containers.image() as image, stand_ins():
        made = Scaled(image.partition(":")[2])
        try:
            made.up()
            yield made
        finally:
            made.compose("down", "--volumes", "--timeout", "1", check=False)


def _answered(system: Scaled, name: str) -> list[object]:
    """Have one replica predict, without the balancer."""
    if name.startswith("grpc"):
        with GrpcClient(f"{system.place(name)}:50051") as client:
            return list(client.predict(ASKED).predictions)
    url = f"http://{system.place(name)}:8000/predict"
    answer = httpx.post(url, json={"model_id": "churn:1", "X": ROWS[:1]}, headers={"Host": "localhost"})
    return list(answer.json()["predictions"])


def test_replicas_are_trained_killed_and_replaced_and_no_other_call_fails(system: Scaled) -> None:
    with ExitStack() as stack:
        rest, grpc = (stack.enter_context(client) for client in (system.rest(), system.grpc()))
        assert rest.train(ORDER).version == 1
        assert grpc.train(ORDER).version == 2
        assert {tuple(_answered(system, name)) for name in REPLICAS} == {("no",)}
        load = Load()
        stack.callback(load.end)
        load.add("rest predicts", lambda: rest.predict(ASKED))
        load.add("grpc predicts", lambda: grpc.predict(ASKED))
        load.wait_for_more()
        for name in ("rest-1", "grpc-1"):
            docker("kill", system.container(name))
        load.wait_for_more()
        assert len(load.failures) <= 2  # one caller of each was perhaps in flight on it
        system.up()
        load.failures.clear()
        for name in ("rest-2", "grpc-2"):  # a new container has another address
            before = system.container(name)
            system.compose("up", "--detach", "--no-build", "--no-deps", "--force-recreate", name)
            assert system.container(name) != before
        for name in ("rest-2", "grpc-2"):
            system.wait_until_ready(name)
        load.wait_for_more()
        assert rest.train(ORDER).version == 3
        load.end()
        assert load.failures == []
        url = f"http://{system.compose('port', 'dashboard', '8501')}/_stcore/health"
        wait_until(lambda: httpx.get(url).is_success)
