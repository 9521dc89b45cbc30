"""HAProxy as tests start it: by the file of `deploy/`, in front of servers of this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.containers import ROOT
from tests.doors import free_port, wait_until_listening

CONFIG = ROOT / "deploy" / "haproxy.cfg"
CHECKED_EVERY = "200ms"


class Balancer:
    """Takes REST and gRPC, each at a port."""

    def __init__(self) -> None:
        self.rest, self.grpc = free_port(), free_port()

    def config(self, places: Mapping[str, str]) -> str:
        """Return the file with ports of this machine, and the servers where `places` says; checked more often."""
        text = CONFIG.read_text().replace("inter 1s", f"inter {CHECKED_EVERY}")
        for ours, free in ((8000, self.rest), (50051, self.grpc)):
            text, changed = re.subn(rf"bind :{ours}\b", f"bind 127.0.0.1:{free}", text)
            assert changed == 1
        for name, place in places.items():
            text, changed = re.subn(rf"{name}:\d+(?=[ \n])", place, text)
            assert changed == 1
        return text


@contextmanager
def balancer(folder: Path, places: Mapping[str, str], checks: Mapping[str, int]) -> Iterator[Balancer]:
    """Start it. `places` are the servers' addresses by the names in the file, `checks` other ports of their health."""
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if program is None:
        pytest.skip("needs HAProxy (Debian's package `haproxy`)")
    made = Balancer()
    text = made.config(places)
    for name, port in checks.items():
        text = re.sub(rf"(server {name} .*)port \d+", rf"\g<1>port {port}", text)
    file = folder / "haproxy.cfg"
    file.write_text(text)
    with (folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen([program, "-db", "-f", file], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_until_listening("127.0.0.1", made.rest)
            yield made
        finally:
            process.kill()
            process.wait()
