"""`health` asks the servers of this machine how they are: for container engines, service managers and people."""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.errors import InvalidRequest, Unavailable

if TYPE_CHECKING:
    from modelyard.cli.doors import Door
    from modelyard.settings import Settings

TIMEOUT_S = 4.0
"""How long a server may take to answer."""

_PATHS = {"rest": "/health/ready", "dashboard": "/_stcore/health"}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Servers")(health)


def health(
    servers: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[rest|grpc|dashboard]...",
            help="Which servers; by default those that run, and all that `up` runs.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Ask the servers of this machine how they are; exit code 0 when all can serve, 5 when one cannot."""
    from modelyard.cli import screen
    from modelyard.cli.connection import settings_with
    from modelyard.cli.doors import address_of

    settings = settings_with()
    made = screen.table("server", "address", "health")
    problems = {}
    for door in _asked(servers or [], settings):
        address = address_of(settings.host, door.port)
        problem = problem_of(door, settings)
        screen.add_row(made, door.title, address, screen.text(problem or "ok", "red" if problem else "green"))
        if problem:
            problems[door.title] = problem
    screen.show(made)
    if problems:
        raise Unavailable("; ".join(f"{title}: {problem}" for title, problem in problems.items()))


def problem_of(door: Door, settings: Settings) -> str:
    """Ask one server; return what keeps it from serving, nothing if it can."""
    from modelyard.cli.doors import address_of

    address = address_of(settings.host, door.port)
    if door.command == "grpc":
        from modelyard.grpc_server import probe

        return probe.problem_of(probe.local_target(door.port) if settings.tls else address, TIMEOUT_S)
    # The certificate need not name this address, and is not what is asked about.
    context = ssl._create_unverified_context() if settings.tls else None  # noqa: S323
    return _http_problem_of(address, _PATHS[door.command], context)


def _asked(names: list[str], settings: Settings) -> list[Door]:
    from modelyard.cli.doors import answers, doors_of, run_together

    doors = {door.command: door for door in doors_of(settings)}
    unknown = [name for name in names if name not in doors]
    if unknown:
        raise InvalidRequest(f"server must be one of {', '.join(doors)}, got {unknown[0]!r}")
    if names:
        return [doors[name] for name in names]
    if run_together(settings):
        return list(doors.values())
    found = [door for door in doors.values() if answers(settings.host, door.port)]
    if not found:
        ports = ", ".join(str(door.port) for door in doors.values())
        raise Unavailable(f"no server listens on this machine's ports {ports}")
    return found


def _http_problem_of(address: str, path: str, context: ssl.SSLContext | None) -> str:
    connection = (
        http.client.HTTPConnection(address, timeout=TIMEOUT_S)
        if context is None
        else http.client.HTTPSConnection(address, timeout=TIMEOUT_S, context=context)
    )
    try:
        connection.request("GET", path, headers={"Host": "localhost"})
        answer = connection.getresponse()
        return "" if answer.status == 200 else f"{answer.status} {answer.read(2000).decode(errors='replace')}"
    except TimeoutError:
        return f"no answer within {TIMEOUT_S:g} s"
    except (OSError, http.client.HTTPException, socket.gaierror) as error:
        return f"no answer: {error}"
    finally:
        connection.close()
