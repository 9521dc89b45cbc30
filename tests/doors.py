"""The doors as tests use them: each a real one, on a folder of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import httpx
from grpc import channel_ready_future, insecure_channel

from modelyard.bootstrap import build
from modelyard.grpc_server.client import GrpcClient
from modelyard.jobs.local import launcher
from modelyard.ml_core.training import runs
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.client import RestClient
from modelyard.settings import Settings
from tests.waiting import PATIENCE_S, wait_until


def free_port() -> int:
    """Return a port of this machine that nobody listens on, and that the system gives to nobody else for a minute.

    A connection that has just ended here keeps it from those who ask for any port (another worker's test), while a
    server that names it may have it at once: servers listen with SO_REUSEADDR.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        with socket.create_connection(address):
            listening.accept()[0].close()
    port: int = address[1]
    return port


@cache
def keep_fork_server() -> None:
    """Let all cores of this process share one fork server, to its end: it takes seconds to get ready."""
    launcher.share(runs.TARGET, runs.PRELOAD)


@contextmanager
def core(folder: Path) -> Iterator[Yard]:
    """Open the core itself."""
    keep_fork_server()
    with build(Settings(storage_dir=folder)) as yard:
        yield yard


@contextmanager
def rest_server(folder: Path, **settings: str) -> Iterator[str]:
    """Start a REST server as a process of its own and yield its address once it answers."""
    port = free_port()
    with serving([sys.executable, "-m", "modelyard", "rest"], folder, MODELYARD_REST_PORT=str(port), **settings):
        url = f"http://127.0.0.1:{port}"
        wait_until_healthy(url)
        yield url


@contextmanager
def rest(folder: Path) -> Iterator[RestClient]:
    """Open a client on a REST server of its own."""
    with rest_server(folder) as url, RestClient(url) as client:
        yield client


@contextmanager
def grpc_server(folder: Path, **settings: str) -> Iterator[str]:
    """Start a gRPC server as a process of its own and yield its address once it answers."""
    port = free_port()
    with serving([sys.executable, "-m", "modelyard", "grpc"], folder, MODELYARD_GRPC_PORT=str(port), **settings):
        with insecure_channel(f"127.0.0.1:{port}") as channel:
            channel_ready_future(channel).result(PATIENCE_S)
        yield f"127.0.0.1:{port}"


@contextmanager
def grpc(folder: Path) -> Iterator[GrpcClient]:
    """Open a client on a gRPC server of its own."""
    with grpc_server(folder) as target, GrpcClient(target) as client:
        yield client


@contextmanager
def serving(command: list[str], folder: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server on a folder; its log is beside the folder."""
    environment = {**os.environ, "MODELYARD_STORAGE_DIR": str(folder), **settings}
    with folder.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            finally:
                process.kill()


def wait_until_healthy(url: str, path: str = "/health/live") -> None:
    """Wait for the first answer of a server that speaks HTTP: REST, or with its `path` the dashboard."""
    wait_until(lambda: _is_healthy(url + path))


def wait_until_listening(host: str, port: int) -> None:
    """Wait until a server takes connections at an address."""
    wait_until(lambda: _is_listening(host, port))


def _is_listening(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port)):
            return True
    except OSError:
        return False


def _is_healthy(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.HTTPError:
        return False
