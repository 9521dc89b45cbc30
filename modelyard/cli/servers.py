"""`rest` and `grpc` serve one door each; `up` starts every door there is, each in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from modelyard.cli.connection import Storage, settings_with

if TYPE_CHECKING:
    from types import FrameType

    from modelyard.access.tls import CertificateFiles
    from modelyard.dashboard.doors import Doors
    from modelyard.settings import Settings

Host = Annotated[
    str | None, typer.Option("--host", help="The address to listen on (or MODELYARD_HOST).", show_default=False)
]
Owned = Annotated[bool, typer.Option("--owned", hidden=True)]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Servers")(up)
    app.command(rich_help_panel="Servers")(rest)
    app.command(rich_help_panel="Servers")(grpc)
    app.command(rich_help_panel="Servers")(dashboard)
    app.command("ray-head", hidden=True)(ray_head)


def rest(  # noqa: PLR0917 - typer calls it by name
    host: Host = None,
    port: Annotated[
        int | None, typer.Option("--port", help="The port (or MODELYARD_REST_PORT).", show_default=False)
    ] = None,
    storage: Storage = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes that share the port.")] = 1,
    owned: Owned = False,
    socket: Annotated[int | None, typer.Option("--socket", hidden=True)] = None,
    numbers: Annotated[int | None, typer.Option("--numbers", hidden=True)] = None,
    part: Annotated[int, typer.Option("--part", hidden=True)] = 0,
) -> None:
    """Serve REST until Ctrl-C."""
    from modelyard.bootstrap import serve_rest
    from modelyard.cli.doors import require_free
    from modelyard.cli.workers import run_workers
    from modelyard.monitoring.numbers import Place

    settings = _server_settings(host=host, rest_port=port, storage_dir=storage)
    if socket is None:
        require_free(settings.host, settings.rest_port, "--port or MODELYARD_REST_PORT")
    if workers > 1:
        raise typer.Exit(run_workers(settings, workers))
    _stop_on_signals(owned=owned)
    serve_rest(settings, socket, None if numbers is None else Place(numbers, part))


def grpc(
    host: Host = None,
    port: Annotated[
        int | None, typer.Option("--port", help="The port (or MODELYARD_GRPC_PORT).", show_default=False)
    ] = None,
    storage: Storage = None,
    owned: Owned = False,
) -> None:
    """Serve gRPC until Ctrl-C."""
    from modelyard.bootstrap import serve_grpc
    from modelyard.cli.doors import require_free

    settings = _server_settings(host=host, grpc_port=port, storage_dir=storage)
    require_free(settings.host, settings.grpc_port, "--port or MODELYARD_GRPC_PORT")
    _stop_on_signals(owned=owned)
    serve_grpc(settings)


def dashboard(
    host: Host = None,
    port: Annotated[
        int | None, typer.Option("--port", help="The port (or MODELYARD_DASHBOARD_PORT).", show_default=False)
    ] = None,
    storage: Annotated[str | None, typer.Option("--storage", hidden=True)] = None,
    owned: Owned = False,
) -> None:
    """Serve the dashboard until Ctrl-C; it works on the servers, REST and gRPC."""
    from modelyard.access.tls import certificate_files
    from modelyard.cli.doors import require_free
    from modelyard.cli.renewing import renewing
    from modelyard.dashboard.server import serve

    settings = _server_settings(host=host, dashboard_port=port, storage_dir=storage)
    files = certificate_files(settings)
    require_free(settings.host, settings.dashboard_port, "--port or MODELYARD_DASHBOARD_PORT")
    _stop_on_signals(owned=owned)
    with renewing(files):
        serve(
            doors_of_dashboard(settings, files),
            host=settings.host,
            port=settings.dashboard_port,
            accepted_hosts=settings.accepted_hosts,
            max_upload_mb=settings.max_body_mb,
            certificate=settings.tls_cert_file,
            key=settings.tls_key_file,
        )


def _server_settings(**overrides: Any) -> Settings:
    """Read the settings. What keeps a server from serving is said here: once, and before anything begins."""
    from modelyard.access.tls import certificate_files

    settings = settings_with(**overrides)
    settings.check_exposure()
    certificate_files(settings)
    return settings


def doors_of_dashboard(settings: Settings, files: CertificateFiles | None) -> Doors:
    """Return where the dashboard finds the servers, and how it knows them."""
    from modelyard.cli.doors import address_of
    from modelyard.dashboard.doors import Doors

    rest = address_of(settings.host, settings.rest_port)
    grpc = address_of(settings.host, settings.grpc_port)
    if files is None:
        return Doors(settings.dashboard_rest_url or f"http://{rest}", settings.dashboard_grpc_target or grpc)
    if settings.dashboard_rest_url or settings.dashboard_grpc_target:
        return Doors(
            settings.dashboard_rest_url or f"https://{rest}", settings.dashboard_grpc_target or f"grpcs://{grpc}"
        )
    # The servers of this machine show the dashboard's own certificate, which need not name their address.
    name = files.current().pair.name.replace("*", "yard")
    return Doors(f"https://{rest}", f"grpcs://{grpc}", str(settings.tls_cert_file), name)


def up(  # noqa: PLR0917 - typer calls it by name
    host: Host = None,
    rest_port: Annotated[
        int | None,
        typer.Option("--rest-port", "--port", help="REST's port (or MODELYARD_REST_PORT).", show_default=False),
    ] = None,
    grpc_port: Annotated[
        int | None, typer.Option("--grpc-port", help="gRPC's port (or MODELYARD_GRPC_PORT).", show_default=False)
    ] = None,
    dashboard_port: Annotated[
        int | None,
        typer.Option(
            "--dashboard-port", help="The dashboard's port (or MODELYARD_DASHBOARD_PORT).", show_default=False
        ),
    ] = None,
    storage: Storage = None,
    runner: Annotated[
        str | None,
        typer.Option("--runner", help="Where trainings run: local or ray (or MODELYARD_RUNNER).", show_default=False),
    ] = None,
) -> None:
    """Start every server; Ctrl-C stops them all."""
    from modelyard.cli.doors import run_all

    settings = _server_settings(
        host=host,
        rest_port=rest_port,
        grpc_port=grpc_port,
        dashboard_port=dashboard_port,
        storage_dir=storage,
        runner=runner,
    )
    raise typer.Exit(run_all(settings))


def ray_head(
    port: Annotated[int, typer.Option("--port")],
    host: Annotated[str | None, typer.Option("--host")] = None,
    storage: Storage = None,
    owned: Owned = False,
) -> None:
    """Run a Ray cluster of this machine until SIGTERM, for `up`."""
    from modelyard.cli.ray_head import run_head

    _stop_on_signals(owned=owned)
    raise typer.Exit(run_head(port))


def _stop_on_signals(*, owned: bool) -> None:
    """End well on SIGTERM; a server that `up` owns also ends when `up` is gone, however that came about."""
    signal.signal(signal.SIGTERM, _end)
    if owned:
        threading.Thread(target=_end_with_owner, name="owner", daemon=True).start()


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def _end_with_owner() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
