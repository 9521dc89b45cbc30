"""All doors of one yard as child processes: started together, stopped together.

Where one ends by itself the others are stopped and its exit code is the whole's.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from signal import SIGINT, SIGTERM, Signals, signal
from typing import TYPE_CHECKING

from modelyard.cli import screen
from modelyard.errors import Unavailable

if TYPE_CHECKING:
    from modelyard.settings import Settings

GRACE_S = 15.0
"""How long a server may take to end before it is killed; servers give requests under way 10 seconds."""

_LOOK_AGAIN_S = 0.05
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - recognized, not bound


@dataclass(frozen=True, slots=True)
class Door:
    """A server: `command` is its word on the command line, `shown` its address with `{}` for host and port."""

    command: str
    title: str
    port: int
    shown: str

    @property
    def variable(self) -> str:
        """The environment variable that sets its port."""
        return f"MODELYARD_{self.command.upper()}_PORT"


def doors_of(settings: Settings) -> tuple[Door, ...]:
    """Return the doors there are."""
    return (
        Door("rest", "REST", settings.rest_port, "http://{} (documentation: http://{}/docs)"),
        Door("grpc", "gRPC", settings.grpc_port, "{} (modelyard.v1.ModelService, with reflection)"),
        Door("dashboard", "Dashboard", settings.dashboard_port, "http://{}"),
    )


def run_all(settings: Settings) -> int:
    """Run every door until a signal or until one of them ends; return the exit code."""
    doors = [_with_port(door, settings.host) for door in doors_of(settings)]
    events: SimpleQueue[Ended | Signals] = SimpleQueue()
    with _signals_into(events), _announced(doors):
        ports = {door.variable: str(door.port) for door in doors}  # the dashboard has to find the others
        running = [_Running(door, _start(door, settings, ports), events) for door in doors]
        try:
            event = _wait(running, settings, events)
        finally:
            _stop(running, events)
    if isinstance(event, Signals):
        return 0  # a server's ordinary end
    screen.console(stderr=True).print(screen.text(f"{event.door.title} ended with exit code {event.exit_code}", "red"))
    return event.exit_code


def run_together(settings: Settings) -> bool:
    """Tell whether one process runs all doors of these ports, whether or not they answer yet."""
    with socket.socket(socket.AF_UNIX) as caller:
        return sys.platform == "linux" and caller.connect_ex(_sign(doors_of(settings))) == 0


@contextmanager
def _announced(doors: Sequence[Door]) -> Iterator[None]:
    """Hold up the sign that `run_together` looks for: a socket without a file, so that no crash leaves one behind."""
    with socket.socket(socket.AF_UNIX) as sign:
        if sys.platform == "linux":
            with suppress(OSError):
                sign.bind(_sign(doors))
                sign.listen()
        yield


def _sign(doors: Sequence[Door]) -> str:
    return "\0modelyard-up-" + "-".join(str(door.port) for door in doors)


@dataclass(frozen=True, slots=True)
class Ended:
    """A door's process has ended; by a signal, its exit code is 128 and the signal's number."""

    door: Door
    exit_code: int


@dataclass(slots=True)
class _Running:
    door: Door
    process: subprocess.Popen[bytes]
    events: SimpleQueue[Ended | Signals]
    watcher: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.watcher = threading.Thread(target=self._watch, name=f"watch-{self.door.command}", daemon=True)
        self.watcher.start()

    def _watch(self) -> None:
        code = self.process.wait()
        self.events.put(Ended(self.door, 128 - code if code < 0 else code))


def _start(door: Door, settings: Settings, ports: dict[str, str]) -> subprocess.Popen[bytes]:
    # A group of its own: a terminal's Ctrl-C comes to this process alone, which stops each door once. Its standard
    # input is never written to; it closes when this process is gone, and the door ends.
    command = [sys.executable, "-m", "modelyard", door.command, "--owned"]
    command += ["--host", settings.host, "--port", str(door.port), "--storage", str(settings.storage_dir)]
    environment = {**os.environ, **ports}
    return subprocess.Popen(  # noqa: S603 - our own command
        command, stdin=subprocess.PIPE, process_group=0, env=environment
    )


def _wait(running: list[_Running], settings: Settings, events: SimpleQueue[Ended | Signals]) -> Ended | Signals:
    """Show the addresses once all answer; return what ends the wait."""
    silent = list(running)
    while silent:
        try:
            return events.get(timeout=_LOOK_AGAIN_S)
        except Empty:
            silent = [one for one in silent if not answers(settings.host, one.door.port)]
    _show_addresses([one.door for one in running], settings)
    return events.get()


def _stop(running: list[_Running], events: SimpleQueue[Ended | Signals]) -> None:
    """End all processes: kindly, and after the grace or at a second signal by force."""
    for one in running:
        one.process.terminate()
    waiting = sum(one.watcher.is_alive() for one in running)
    while waiting:
        try:
            event = events.get(timeout=GRACE_S)
        except Empty:
            break
        if isinstance(event, Signals):
            break
        waiting -= 1
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
        one.watcher.join()
        if one.process.stdin:
            one.process.stdin.close()


def _show_addresses(doors: list[Door], settings: Settings) -> None:
    made = screen.table("server", "address")
    for door in doors:
        address = address_of(settings.host, door.port)
        screen.add_row(made, door.title, door.shown.replace("{}", address))
    screen.show(made, f"Storage: {settings.storage_dir.resolve()}. Ctrl-C stops everything.")
    sys.stdout.flush()


@contextmanager
def _signals_into(events: SimpleQueue[Ended | Signals]) -> Iterator[None]:
    # SimpleQueue.put may be called from a signal handler; Queue's may not.
    before = {number: signal(number, lambda given, _frame: events.put(Signals(given))) for number in (SIGINT, SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal(number, handler)


def _with_port(door: Door, host: str) -> Door:
    """Return the door with a port that is free: its own or, for port 0, any."""
    return replace(door, port=require_free(host, door.port, f"--{door.command}-port or {door.variable}"))


def require_free(host: str, port: int, how: str) -> int:
    """Return the port, for 0 any free one.

    Raises Unavailable where it cannot be listened on, saying `how` to choose another.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
            free: int = trial.getsockname()[1]
            return free
    except OSError as error:
        raise Unavailable(
            f"cannot listen on {_joined(host, port)}: {error.strerror}; choose another by {how}"
        ) from None


def answers(host: str, port: int) -> bool:
    """Tell whether a server listens there."""
    try:
        with socket.create_connection((_EVERYWHERE.get(host, host), port), timeout=1):
            return True
    except OSError:
        return False


def address_of(host: str, port: int) -> str:
    """Return where a server that listens on `host` is found from this machine."""
    return _joined(_EVERYWHERE.get(host, host), port)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
