"""All doors of one yard as child processes: started together, replaced when one dies, stopped together."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from modelyard.cli import children, screen
from modelyard.cli.children import Child
from modelyard.cli.ray_head import ray_environment
from modelyard.errors import Unavailable

if TYPE_CHECKING:
    from modelyard.settings import Settings

_LOOK_AGAIN_S = 0.05
_RAY_HOST = "127.0.0.1"
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
    http, grpc = ("https://", "grpcs://") if settings.tls else ("http://", "")
    return (
        Door("rest", "REST", settings.rest_port, f"{http}{{}} (documentation: {http}{{}}/docs)"),
        Door("grpc", "gRPC", settings.grpc_port, f"{grpc}{{}} (modelyard.v1.ModelService, with reflection)"),
        Door("dashboard", "Dashboard", settings.dashboard_port, f"{http}{{}}"),
    )


def run_all(settings: Settings) -> int:
    """Run every door until a signal or until one of them gives up; return the exit code."""
    doors = [_with_port(door, settings.host) for door in doors_of(settings)]
    # The dashboard has to find the others.
    environment = {**os.environ, **{door.variable: str(door.port) for door in doors}}
    environment["MODELYARD_RUNNER"] = settings.runner
    started = list(doors)
    if settings.runner == "ray" and settings.ray_address is None:
        port = require_free(_RAY_HOST, 0, "MODELYARD_RAY_ADDRESS")
        environment |= ray_environment(f"{_RAY_HOST}:{port}")
        started.insert(0, Door("ray-head", "The Ray cluster", port, ""))
    events = children.Events()
    running: dict[Child, Door] = {}

    def start(door: Door) -> Child:
        return children.start(settings, door.command, ("--port", str(door.port)), events, environment=environment)

    with children.signals_into(events), _announced(doors):
        try:
            running |= {start(door): door for door in started}
            threading.Thread(target=_show_addresses, args=(doors, settings), daemon=True).start()
            return children.keep_running(running, start, events, lambda door: door.title)
        finally:
            children.stop(list(running), settings, events)


def run_together(settings: Settings) -> bool:
    """Whether one process runs all doors of these ports, whether or not they answer yet."""
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


def _show_addresses(doors: Sequence[Door], settings: Settings) -> None:
    """Show the addresses once all answer."""
    while not all(answers(settings.host, door.port) for door in doors):
        time.sleep(_LOOK_AGAIN_S)
    made = screen.table("server", "address")
    for door in doors:
        address = address_of(settings.host, door.port)
        screen.add_row(made, door.title, door.shown.replace("{}", address))
    screen.show(made, f"Storage: {settings.storage_dir.resolve()}. Ctrl-C stops everything.")
    sys.stdout.flush()


def _with_port(door: Door, host: str) -> Door:
    """Return the door with a port that is free: its own or, for port 0, any."""
    return replace(door, port=require_free(host, door.port, f"--{door.command}-port or {door.variable}"))


def require_free(host: str, port: int, how: str) -> int:
    """Return the port, for 0 any free one.

    Raises Unavailable if it cannot be listened on, saying `how` to choose another.
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
    """Whether a server listens there."""
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
