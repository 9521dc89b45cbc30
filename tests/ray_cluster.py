"""A Ray cluster as tests start it: a head and nodes, each on a host of its own, which are network namespaces."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest

from modelyard.cli.ray_head import SETTINGS, head, node, program
from tests.networks import Network, three_hosts
from tests.postgres_server import PostgresServer, postgres_server
from tests.processes import descendants, wait_until_gone
from tests.s3_server import KEYS, S3Server, s3_server
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[1]
PORT = 6379
ADDRESS = f"10.44.0.1:{PORT}"
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef0123456789abcdef"}


class Cluster:
    """A head on host 1, which has no core to give, and nodes of one core on others.

    `cores` says which one a host's Ray is pinned to, if it is.
    """

    def __init__(self, network: Network, folder: Path, cores: Mapping[int, int] = MappingProxyType({})) -> None:
        self.network = network
        self._folder = folder
        self._cores = cores
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def make_whole(self) -> None:
        """Start what is not there."""
        for n in (1, 2, 3):
            if n not in self._processes:
                self.start(n)

    def start(self, n: int, **environment: str) -> None:
        """Start what is to be on a host, and wait until it is there.

        On a busy machine that takes minutes, and Ray gives up: a test has a limit of its own.
        """
        process, log = self._begin(n, environment)
        while "Ray runtime started" not in log.read_text():
            if process.poll() is not None:
                self.kill(n)
                process, log = self._begin(n, environment)
            time.sleep(0.1)

    def _begin(self, n: int, environment: dict[str, str]) -> tuple[subprocess.Popen[bytes], Path]:
        host = f"10.44.0.{n}"
        log = self._folder / f"{n}.log"
        with log.open("wb") as file:
            self._processes[n] = subprocess.Popen(
                [
                    *("ip", "netns", "exec", self.network.host(n)),
                    *(["taskset", "--cpu-list", str(self._cores[n])] if n in self._cores else []),
                    *([*head(PORT), f"--temp-dir={self._folder}/s"] if n == 1 else node(ADDRESS)),
                    *(f"--node-ip-address={host}", f"--num-cpus={int(n > 1)}"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                process_group=0,
                env={**os.environ, **SETTINGS, **TOKEN, "PYTHONPATH": str(ROOT), **environment},
            )
        return self._processes[n], log

    def refused(self, n: int, **environment: str) -> str:
        """Start what is to be on a host, which ends by itself; return what it has said."""
        process, log = self._begin(n, environment)
        process.wait(PATIENCE_S)
        self.kill(n)
        return log.read_text()

    def kill(self, n: int) -> None:
        """Kill all that Ray has on a host, at once; if there is nothing, do nothing."""
        process = self._processes.pop(n, None)
        if process is None:
            return
        family = {process.pid, *descendants(process.pid)}
        if n > 1:  # also what has lost its parent
            family |= self.network.processes(n)
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        wait_until_gone(family)

    def wait_for_end(self, n: int) -> None:
        """Wait until Ray has ended on a host by itself."""
        self._processes.pop(n).wait(PATIENCE_S)

    def close(self) -> None:
        """Kill everything."""
        for n in sorted(self._processes, reverse=True):
            self.kill(n)


@contextmanager
def ray_cluster(network: Network, cores: Mapping[int, int]) -> Iterator[Cluster]:
    """Start a head and two nodes; all is gone at the end."""
    if program() is None:
        pytest.skip("needs Ray (the extra `ray`)")
    folder = Path(tempfile.mkdtemp(prefix="my-ray-", dir="/tmp"))  # a socket's path has to be short
    cluster = Cluster(network, folder, cores)
    try:
        cluster.make_whole()
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Machines:
    """Host 1 has the servers and the head, hosts 2 and 3 are nodes with one core each."""

    cluster: Cluster
    postgres: PostgresServer
    s3: S3Server

    def new_yard(self) -> dict[str, str]:
        """Return where a yard that is empty stands: the settings of its replicas."""
        schema = self.postgres.new_yard().rpartition("%3D")[2]
        url = f"postgresql://modelyard@10.44.0.1:5432/postgres?options=-csearch_path%3D{schema}"
        return {"database_url": url, "ray_address": ADDRESS, **self.s3.new_bucket()}


@contextmanager
def cluster_machines(cores: Mapping[int, int] = MappingProxyType({})) -> Iterator[Machines]:
    """Start everything; `cores` are as for `Cluster`."""
    with ExitStack() as stack:
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in {**KEYS, **TOKEN}.items():
            environment.setenv(name, value)
        network = stack.enter_context(three_hosts())
        host = network.host(1)
        postgres = stack.enter_context(postgres_server(host=host, listen_addresses="10.44.0.1"))
        s3 = stack.enter_context(s3_server("10.44.0.1", host))
        yield Machines(stack.enter_context(ray_cluster(network, cores)), postgres, s3)
