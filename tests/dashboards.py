"""The dashboard as tests use it: a real one in front of real servers, and a browser for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests import doors
from tests.waiting import PATIENCE_MS

CHROMIUM = Path("/usr/bin/chromium")
_QUIET = ("no-sandbox", "disable-gpu", "disable-background-networking", "no-first-run", "disable-sync")
_UNOPTIMISED = "js-flags=--no-opt"
"""A page lives so shortly in a test that to optimise its scripts takes longer than to run them as they are."""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard that answers at `url`, and the servers that it works on."""

    url: str
    rest_url: str
    grpc_target: str
    pid: int

    def peak_mb(self) -> float:
        """Return the most memory that it has held, in MiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return float(status.split("VmHWM:")[1].split()[0]) / 1024


@contextmanager
def dashboard(folder: Path) -> Iterator[Dashboard]:
    """Serve REST and gRPC in threads, and start a dashboard on them."""
    with ExitStack() as stack:
        rest_url = stack.enter_context(doors.rest_thread(folder))
        grpc_target = stack.enter_context(doors.grpc_thread(folder))
        yield stack.enter_context(dashboard_on(rest_url, grpc_target, folder))


@contextmanager
def dashboard_on(rest_url: str, grpc_target: str, folder: Path) -> Iterator[Dashboard]:
    """Start a dashboard for servers, whether or not they run."""
    port = doors.free_port()
    places = {"MODELYARD_DASHBOARD_REST_URL": rest_url, "MODELYARD_DASHBOARD_GRPC_TARGET": grpc_target}
    command = [sys.executable, "-m", "modelyard", "dashboard", "--port", str(port)]
    with doors.serving(command, folder.with_name("dashboard"), **places) as process:
        url = f"http://127.0.0.1:{port}"
        doors.wait_until_healthy(url, "/_stcore/health")
        yield Dashboard(url, rest_url, grpc_target, process.pid)


@contextmanager
def rest_on(port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a REST server on a port and yield its process once it answers."""
    command = [sys.executable, "-m", "modelyard", "rest", "--port", str(port)]
    with doors.serving(command, folder) as process:
        doors.wait_until_healthy(f"http://127.0.0.1:{port}")
        yield process


@contextmanager
def chromium() -> Iterator[Browser]:
    """Open the system's Chromium; skips where there is none."""
    if not CHROMIUM.exists():
        pytest.skip(f"needs Chromium at {CHROMIUM}")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=[f"--{flag}" for flag in (*_QUIET, _UNOPTIMISED)]
        )
        yield browser
        browser.close()
