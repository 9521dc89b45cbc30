"""GrpcClient over TLS, to a real gRPC server behind something that ends TLS, as a proxy would."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from modelyard.errors import Unavailable
from modelyard.grpc_server.client import GrpcClient
from tests import doors


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of localhost and its key, made for this run."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    more = ["-addext", "subjectAltName=DNS:localhost", "-keyout", f"{path}.key", "-out", str(path)]
    subprocess.run([*command.split(), *more], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[str]:
    with (
        doors.grpc_thread(tmp_path_factory.mktemp("yard") / "models_storage") as behind,
        proxy(behind, certificate) as port,
    ):
        yield f"grpcs://localhost:{port}"


@contextmanager
def proxy(behind: str, certificate: Path) -> Iterator[int]:
    """End TLS before a server, in a thread."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, f"{certificate}.key")
    context.set_alpn_protocols(["h2"])
    host, _, port = behind.partition(":")
    loop = asyncio.new_event_loop()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pump(reader, back), pump(there, writer))

    server = loop.run_until_complete(asyncio.start_server(join, "localhost", 0, ssl=context, family=2))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    except OSError:  # the other side is gone
        pass
    finally:
        writer.close()


def test_credentials_open_a_channel_over_tls(target: str, certificate: Path) -> None:
    credentials = grpc.ssl_channel_credentials(certificate.read_bytes())
    for address in (target, target.removeprefix("grpcs://")):
        with GrpcClient(address, credentials=credentials) as yard:
            assert yard.health().status == "ok"


def test_a_certificate_that_nobody_vouches_for_is_refused(target: str) -> None:
    with GrpcClient(target) as yard, pytest.raises(Unavailable, match="no server answers at localhost:"):
        yard.health()


def test_the_command_line_goes_by_tls_where_the_url_says_so(target: str, certificate: Path) -> None:
    environment = {**os.environ, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(certificate)}
    command = [sys.executable, "-m", "modelyard", "list", "--json", "--url", target]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"models": []' in done.stdout or '"models":[]' in done.stdout


def test_the_command_line_says_in_one_line_that_tls_failed(target: str) -> None:
    command = [sys.executable, "-m", "modelyard", "list", "--url", target]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert done.stderr.startswith("Error: no server answers at localhost:")
    assert done.stderr.count("\n") == 1
