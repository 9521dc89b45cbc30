"""The Node client of `examples/`: another language speaks to the gRPC door from the proto alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import doors

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "node_client"


@pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm")
@pytest.mark.timeout(300)
def test_node_client_trains_predicts_and_reads_an_error(tmp_path: Path) -> None:
    client = tmp_path / "node_client"
    shutil.copytree(EXAMPLE, client, ignore=shutil.ignore_patterns("node_modules"))
    installed = subprocess.run(["npm", "ci"], check=False, cwd=client, capture_output=True, text=True, timeout=200)
    assert installed.returncode == 0, installed.stderr
    environment = {**os.environ, "MODELYARD_PROTO": str(ROOT / "modelyard" / "grpc_server" / "modelyard.proto")}
    with doors.grpc_server(tmp_path / "models_storage") as target:
        said = subprocess.run(
            ["node", "client.js", target],
            check=False,
            cwd=client,
            capture_output=True,
            text=True,
            timeout=60,
            env=environment,
        )
    assert said.returncode == 0, said.stderr
    shown = re.findall(r"^```\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert said.stdout == shown[-1]


def test_the_lock_file_names_no_registry() -> None:
    assert '"resolved"' not in (EXAMPLE / "package-lock.json").read_text()
