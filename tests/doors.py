"""The doors as tests use them: each a real one, on a folder of its own.

`rest_thread` and `grpc_thread` serve in a thread of this process, where the libraries are imported and a fork server
runs already. `rest_server` and `grpc_server` start a process, which takes seconds of a core: they are for tests of what
a process does (its log, its memory, its end).
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvloop
from grpc import channel_ready_future, insecure_channel

from modelyard.bootstrap import build
from modelyard.grpc_server import server as grpc_door
from modelyard.grpc_server.client import GrpcClient
from modelyard.ml_core.yard import Yard
from modelyard.rest_api import server as rest_door
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


@contextmanager
def core(folder: Path, **settings: Any) -> Iterator[Yard]:
    """Open the core itself, with settings by their own names."""
    with build(Settings(storage_dir=folder, **settings)) as yard:
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
def rest_thread(folder: Path, **settings: Any) -> Iterator[str]:
    """Serve REST in a thread, with settings by their own names, and yield the address once it answers."""
    chosen = Settings(**{"storage_dir": folder, "rest_port": free_port(), **settings})
    with serving_rest(build(chosen), chosen) as url:
        yield url


@contextmanager
def serving_rest(yard: Yard, chosen: Settings) -> Iterator[str]:
    """Serve a core by REST in a thread, which closes it, and yield the address once it answers."""
    server = rest_door.make_server(yard, chosen)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        assert server.started
        yield f"http{'s' * chosen.tls}://{chosen.host}:{chosen.rest_port}"
    finally:
        server.handle_exit(signal.SIGTERM, None)
        _join(thread)


@contextmanager
def rest(folder: Path) -> Iterator[RestClient]:
    """Open a client on a REST server of its own."""
    with rest_thread(folder) as url, RestClient(url) as client:
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
def grpc_thread(folder: Path, **settings: Any) -> Iterator[str]:
    """Serve gRPC in a thread, with settings by their own names, and yield the address once it answers."""
    chosen = Settings(storage_dir=folder, grpc_port=0, **settings)
    with serving_grpc(build(chosen), chosen) as target:
        yield target


@contextmanager
def serving_grpc(yard: Any, settings: Settings) -> Iterator[str]:
    """Serve a core, or its double, by gRPC in a thread, and yield the address."""
    ready: list[tuple[asyncio.AbstractEventLoop, int]] = []
    stop = asyncio.Event()

    async def serve() -> None:
        async with grpc_door.running(yard, settings) as port:
            ready.append((asyncio.get_running_loop(), port))
            await stop.wait()

    thread = threading.Thread(target=lambda: uvloop.run(serve()))
    thread.start()
    wait_until(lambda: ready or not thread.is_alive())
    assert ready
    try:
        yield f"127.0.0.1:{ready[0][1]}"
    finally:
        ready[0][0].call_soon_threadsafe(stop.set)
        _join(thread)


def _join(thread: threading.Thread) -> None:
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


@contextmanager
def grpc(folder: Path) -> Iterator[GrpcClient]:
    """Open a client on a gRPC server of its own."""
    with grpc_thread(folder) as target, GrpcClient(target) as client:
        yield client


@contextmanager
def serving(command: list[str], folder: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server on a folder; its log is beside the folder."""
    environment = {**os.environ, "MODELYARD_STORAGE_DIR": str(folder), **settings}
    environment.pop("OPENBLAS_NUM_THREADS", None)  # as outside of tests
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
    with httpx.Client() as client:  # one, because to make another takes longer than to ask
        wait_until(lambda: _is_healthy(client, url + path))


def wait_until_listening(host: str, port: int) -> None:
    """Wait until a server takes connections at an address."""
    wait_until(lambda: _is_listening(host, port))


def _is_listening(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port)):
            return True
    except OSError:
        return False


def _is_healthy(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).is_success
    except httpx.HTTPError:
        return False
