"""A command whose streams are closed or cannot be written says so, and never ends as if all were well."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.bootstrap import build
from modelyard.settings import Settings

COMMANDS = ["list", "list --json", "--version", "jobs --help"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty yard."""
    folder = tmp_path_factory.mktemp("streams") / "models_storage"
    build(Settings(storage_dir=folder)).close()
    return folder


def run(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ours with the shell's redirections behind it."""
    variables = {**os.environ, "MODELYARD_STORAGE_DIR": str(folder), **environment}
    whole = f"{shlex.quote(sys.executable)} -m modelyard {command}"
    return subprocess.run(whole, shell=True, check=False, env=variables, capture_output=True, text=True)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("where", "why"), [("> /dev/full", "No space left on device"), (">&-", "Bad file descriptor")])
def test_output_that_cannot_be_written_is_named(folder: Path, command: str, where: str, why: str) -> None:
    done = run(f"{command} {where}", folder)
    assert done.returncode == 1
    said = json.loads(done.stderr)["detail"] if "--json" in command else done.stderr
    assert f"standard output cannot be written: {why}" in said
    assert len(done.stderr.splitlines()) == 1


def test_closed_error_and_input_change_nothing_else(folder: Path) -> None:
    assert run("list 2>&-", folder).returncode == 0
    assert run("get nobody 2>&-", folder).returncode == run("get nobody", folder).returncode != 0
    done = run("train - --target y --model-class logistic_regression <&-", folder)
    assert done.returncode == 2
    assert "is empty" in done.stderr
    assert run("list <&- >&- 2>&-", folder).returncode == 1


@pytest.mark.parametrize(
    ("proxy", "why"),
    [("socks5://127.0.0.1:9", "SOCKS"), ("gopher://127.0.0.1:9", "gopher"), ("socks4://h:1", "socks4")],
)
def test_a_proxy_that_cannot_be_used_is_named(folder: Path, proxy: str, why: str) -> None:
    done = run("list --url http://127.0.0.1:9", folder, ALL_PROXY=proxy)
    assert done.returncode == 5
    assert "ALL_PROXY" in done.stderr
    assert why in done.stderr
    assert "Traceback" not in done.stderr
