"""The Node client of `examples/`: another language speaks to the gRPC door from the proto alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import doors
from tests.grpc_server.test_pings import GRPCS_OWN_LEAST_PING_MS, permitting
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "node_client"


needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm")

PING = """
import grpc from "@grpc/grpc-js";
const options = { "grpc.keepalive_time_ms": 100, "grpc.keepalive_permit_without_calls": 1 };
const client = new grpc.Client(process.argv[2], grpc.credentials.createInsecure(), options);
const same = (bytes) => bytes;
client.makeServerStreamRequest("/grpc.health.v1.Health/Watch", same, same, Buffer.alloc(0))
  .on("data", () => {})
  .on("error", ({ code }) => { console.log(grpc.status[code]); client.close(); });
"""
"""A call that stays open, over a connection that pings ten times a second."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with the packages that it needs."""
    client = tmp_path_factory.mktemp("node") / "node_client"
    shutil.copytree(EXAMPLE, client, ignore=shutil.ignore_patterns("node_modules"))
    done = subprocess.run(["npm", "ci"], check=False, cwd=client, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return client


@needs_npm
def test_node_client_trains_predicts_and_reads_an_error(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "MODELYARD_PROTO": str(ROOT / "modelyard" / "grpc_server" / "modelyard.proto")}
    with doors.grpc_thread(tmp_path / "models_storage") as target:
        said = subprocess.run(
            ["node", "client.js", target],
            check=False,
            cwd=installed,
            capture_output=True,
            text=True,
            env=environment,
        )
    assert said.returncode == 0, said.stderr
    shown = re.findall(r"^```\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert said.stdout == shown[-1]


@needs_npm
def test_node_keeps_a_call_open_by_pings(installed: Path) -> None:
    (installed / "ping.mjs").write_text(PING)
    with permitting(1) as target, pinging(installed, target) as node:
        assert node.stderr is not None
        for _ in range(10):
            wait_for_ping(node.stderr)
        assert node.poll() is None
    with permitting(GRPCS_OWN_LEAST_PING_MS) as target, pinging(installed, target) as node:
        assert node.communicate(timeout=PATIENCE_S)[0] == "RESOURCE_EXHAUSTED\n"


@contextmanager
def pinging(folder: Path, target: str) -> Iterator[subprocess.Popen[str]]:
    """Run PING until the end of the context; it tells of each ping on stderr."""
    traced = {**os.environ, "GRPC_TRACE": "keepalive", "GRPC_VERBOSITY": "DEBUG"}
    with subprocess.Popen(
        ["node", "ping.mjs", target],
        cwd=folder,
        env=traced,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as node:
        try:
            yield node
        finally:
            node.kill()


def wait_for_ping(lines: Iterable[str]) -> None:
    assert any("Received ping response" in line for line in lines), "the client has ended"


def test_the_lock_file_names_no_registry() -> None:
    assert '"resolved"' not in (EXAMPLE / "package-lock.json").read_text()
