"""PostgreSQL servers that tests start for themselves: each a cluster of its own, in a folder that goes with it.

As root a server runs as the system's user `postgres`, or `nobody`, since it refuses to run as root.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from tests.waiting import wait_until

_CONF = """
shared_buffers = 32MB
max_connections = 100
"""


def programs() -> Path:
    """Return the folder of the server's programs; skips if there is none."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if debian:
        return debian[-1]
    found = shutil.which("initdb")
    if found is None:
        pytest.skip("needs PostgreSQL's programs (Debian's package `postgresql`)")
    return Path(found).parent


class PostgresServer:
    """One server, on a socket of its own folder; with `listen_addresses` also there. `host` is a network namespace."""

    def __init__(self, folder: Path, port: int = 5432, host: str | None = None, **settings: str) -> None:
        self._host = host
        self.folder = folder
        self.data = folder / "data"
        self.port = port
        self._programs = programs()
        self._settings = {"listen_addresses": "", "unix_socket_directories": str(folder), "port": str(port), **settings}

    def make(self) -> None:
        """Make the cluster."""
        self._run("initdb", "-D", str(self.data), "-U", "modelyard", "-A", "trust", "-E", "UTF8", "--no-sync", "-k")
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(_CONF + "".join(f"{name} = '{value}'\n" for name, value in self._settings.items()))

        if self._settings["listen_addresses"]:
            with (self.data / "pg_hba.conf").open("a") as file:
                file.write("host all all 10.44.0.0/24 trust\n")

    def start(self) -> None:
        """Start the server and wait until it answers; also after it was killed, once the last of it is gone."""
        wait_until(self._starts)

    def _starts(self) -> bool:
        with suppress(FileNotFoundError):
            if not _lives(self.pid()):  # a process that was killed and is not reaped yet
                (self.data / "postmaster.pid").unlink()
                for left in self.folder.glob(".s.PGSQL.*"):
                    left.unlink()
        try:
            self._run("pg_ctl", "-D", str(self.data), "-l", str(self.folder / "log"), "-s", "-w", "-t", "120", "start")
        except subprocess.CalledProcessError:
            return False
        return True

    def stop(self) -> None:
        """Stop the server, and wait for its end."""
        self._run("pg_ctl", "-D", str(self.data), "-s", "-m", "immediate", "-t", "120", "stop")

    def kill(self) -> None:
        """Kill the server's first process, and wait until all of them are gone."""
        processes = {self.pid(), *_children(self.pid())}
        os.kill(self.pid(), signal.SIGKILL)
        wait_until(lambda: not any(_lives(process) for process in processes))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all processes of the server: they are stopped, or go on."""
        for process in (self.pid(), *_children(self.pid())):
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def pid(self) -> int:
        """Return the server's first process."""
        return int((self.data / "postmaster.pid").read_text().split("\n")[0])

    def url(self, schema: str = "public") -> str:
        """Return the URL of a schema."""
        return f"postgresql://modelyard@/postgres?host={self.folder}&port={self.port}&options=-csearch_path%3D{schema}"

    def new_yard(self) -> str:
        """Make a schema that is empty; return its URL."""
        schema = f"yard_{secrets.token_hex(6)}"
        with self.connection() as connection:
            connection.execute(f"create schema {schema}")
        return self.url(schema)

    def connection(self, url: str | None = None) -> psycopg.Connection:
        """Open a connection as a person has one."""
        return psycopg.connect(url or self.url(), autocommit=True)

    def _run(self, program: str, *arguments: str) -> None:
        user = _user()
        command = [str(self._programs / program), *arguments]
        if self._host is not None and user is not None:
            as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
            command, user = ["ip", "netns", "exec", self._host, *as_user, *command], None
        subprocess.run(
            command,
            cwd="/",
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=None if user is None else user.pw_uid,
            group=None if user is None else user.pw_gid,
            extra_groups=None if user is None else (),
        )


@contextmanager
def postgres_server(
    port: int = 5432, host: str | None = None, disk: str | None = None, **settings: str
) -> Iterator[PostgresServer]:
    """Make a cluster, start it, and remove it at the end; on a disk of its own of so many bytes (`160m`), if asked."""
    folder = Path(tempfile.mkdtemp(prefix="modelyard-pg-", dir="/tmp"))  # a socket's path has to be short
    user = _user()
    if disk is not None and not _mounts(folder, disk):
        folder.rmdir()
        pytest.skip("a disk of its own is a file system in memory, which root alone mounts: this test is left out")
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    server = PostgresServer(folder, port, host, **settings)
    try:
        server.make()
        server.start()
        yield server
        with suppress(subprocess.CalledProcessError):
            server.stop()
    finally:
        if disk is not None:
            subprocess.run(["umount", "--lazy", folder], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _mounts(folder: Path, disk: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={disk}", "tmpfs", str(folder)]
    return os.getuid() == 0 and subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0


def _user() -> pwd.struct_passwd | None:
    if os.getuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
