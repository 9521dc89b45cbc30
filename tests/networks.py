"""Three hosts as network namespaces on one switch, which is one, too: the machine's own network is left alone."""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

_NEW_NETWORK = 0x40000000


class Network:
    """Hosts 1 to 3, with the addresses 10.44.0.1 to 10.44.0.3."""

    def __init__(self, prefix: str, stack: ExitStack) -> None:
        self._switch = f"{prefix}-switch"
        self._prefix = prefix
        self._stack = stack

    def make(self) -> None:
        """Make the hosts."""
        for name in (self._switch, *map(self.host, (1, 2, 3))):
            _ip("netns", "add", name)
            self._stack.callback(_ip, "netns", "del", name)
        _ip("-n", self._switch, "link", "add", "switch", "type", "bridge", "forward_delay", "0")
        _ip("-n", self._switch, "link", "set", "switch", "up")
        for n in (1, 2, 3):
            host = self.host(n)
            end = ("type", "veth", "peer", "name", f"port{n}", "netns", self._switch)
            _ip("link", "add", "eth0", "netns", host, *end)
            _ip("-n", self._switch, "link", "set", f"port{n}", "master", "switch")
            self.mend(n)
            _ip("-n", host, "addr", "add", f"10.44.0.{n}/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                _ip("-n", host, "link", "set", link, "up")

    def host(self, n: int) -> str:
        """Return a host's namespace."""
        return f"{self._prefix}{n}"

    def cut(self, n: int) -> None:
        """Cut a host off: packets vanish, connections stay open."""
        _ip("-n", self._switch, "link", "set", f"port{n}", "down")

    def mend(self, n: int) -> None:
        """Connect a host again."""
        _ip("-n", self._switch, "link", "set", f"port{n}", "up")

    @contextmanager
    def slow(self, n: int, megabits: int) -> Iterator[None]:
        """Within the block, let no more than so many megabits a second leave a host for others."""
        limit = ("netns", "exec", self.host(n), "tc", "qdisc", "add", "dev", "eth0", "root", "tbf")
        _ip(*limit, "rate", f"{megabits}mbit", "burst", "64kb", "latency", "50ms")
        try:
            yield
        finally:
            _ip("netns", "exec", self.host(n), "tc", "qdisc", "del", "dev", "eth0", "root")

    def processes(self, n: int) -> set[int]:
        """Return the processes of a host."""
        found = subprocess.run(["ip", "netns", "pids", self.host(n)], check=True, stdout=subprocess.PIPE, text=True)
        return {int(pid) for pid in found.stdout.split()}

    def threads(self, n: int) -> ThreadPoolExecutor:
        """Return threads that run on a host: their connections begin there."""
        path = Path("/var/run/netns") / self.host(n)

        def enter() -> None:
            file = os.open(path, os.O_RDONLY)
            if ctypes.CDLL(None, use_errno=True).setns(file, _NEW_NETWORK):
                raise OSError(ctypes.get_errno(), "setns")
            os.close(file)

        return self._stack.enter_context(ThreadPoolExecutor(8, initializer=enter))


@contextmanager
def three_hosts() -> Iterator[Network]:
    """Make three hosts; skips unless root may."""
    if os.getuid() != 0 or shutil.which("ip") is None:
        pytest.skip("three hosts are network namespaces, which root alone makes by `ip`: this test is left out")
    with ExitStack() as stack:
        network = Network(f"my{secrets.token_hex(3)}", stack)
        try:
            network.make()
        except subprocess.CalledProcessError:
            pytest.skip("this system makes no network namespaces: this test is left out")
        yield network


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
