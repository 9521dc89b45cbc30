"""Serve the REST application with uvicorn."""

from __future__ import annotations

import asyncio
import math
import socket
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Any

import uvicorn

from modelyard.access.tls import CertificateFiles, certificate_files, server_context
from modelyard.ml_core.desk import AFTER_TRAININGS_S, Desk
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.app import create_app
from modelyard.rest_api.express.at_once import AtOnceProtocol, KnownHeads
from modelyard.rest_api.framing import FramingProtocol
from modelyard.rest_api.listening import EVERY_ADDRESS, listen
from modelyard.rest_api.tls import ByCertificate, Loop
from modelyard.settings import Settings

_NOT_STARTED = 3
_TICK_S = 0.1
"""As often as uvicorn looks whether it is to stop."""


def serve(yard: Yard, settings: Settings, listening: int | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are finished first, trainings within their grace period.

    `listening` is the descriptor of a socket that listens already, which several processes may share.
    """
    server = make_server(yard, settings)
    if listening is not None:
        sockets = [socket.socket(fileno=listening)]
    elif settings.host == EVERY_ADDRESS:
        sockets = [listen(settings)]  # asyncio would listen on IPv6 alone
    else:
        sockets = None
    with suppress(KeyboardInterrupt):  # uvicorn raises the signal again when all is done
        server.run(sockets)
    if not server.started:
        sys.exit(_NOT_STARTED)


def make_server(yard: Yard, settings: Settings) -> uvicorn.Server:
    """Make the server of a core, which it closes at its end. `run` serves until `handle_exit` is called."""
    desk = Desk(yard, settings.max_concurrent_predictions)
    gate = create_app(desk, settings)
    at_once = partial(AtOnceProtocol, gate, desk, KnownHeads(gate, desk))
    protocol: Any = at_once if settings.rest_express else FramingProtocol
    files = certificate_files(settings)
    if files is not None and files.current().authorities is not None:
        protocol = partial(ByCertificate, gate, protocol)
    config = uvicorn.Config(
        gate,
        host=settings.host,
        port=settings.rest_port,
        access_log=False,
        log_config=None,
        server_header=False,
        http=protocol,
        ws="none",
        proxy_headers=False,  # nothing asks for the caller's address
        timeout_graceful_shutdown=math.ceil(settings.train_grace_s + AFTER_TRAININGS_S),
        timeout_keep_alive=75,
        **({} if files is None else _by_tls(files)),
    )
    return _Server(config, desk, settings.drain_s)


def _by_tls(files: CertificateFiles) -> dict[str, Any]:
    files.announce()
    return {
        "ssl_context_factory": lambda _config, _default: server_context(files),
        "loop": f"{Loop.__module__}:{Loop.__name__}",
    }


class _Server(uvicorn.Server):
    """uvicorn, which tells the desk when it listens and when it is to stop, and takes its leave before it does."""

    def __init__(self, config: uvicorn.Config, desk: Desk, drain_s: float) -> None:
        super().__init__(config)
        self._desk = desk
        self._drain_s = drain_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then open the desk."""
        await super().startup(sockets)
        if self.started:
            self._desk.open()

    async def main_loop(self) -> None:
        """Serve until a signal, and on until a balancer has seen that this server leaves; Ctrl-C again ends that."""
        await super().main_loop()
        self._desk.leave()
        until = time.monotonic() + self._drain_s
        while time.monotonic() < until and not self.force_exit:
            await asyncio.sleep(_TICK_S)
        self._desk.drain()
