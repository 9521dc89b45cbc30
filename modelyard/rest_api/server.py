"""Serve the REST application with uvicorn."""

from __future__ import annotations

import ctypes
import math
import socket
import sys
from contextlib import suppress
from types import FrameType

import uvicorn

from modelyard.ml_core.serving.loaded import spare_the_collector
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.app import create_app
from modelyard.rest_api.gathering import GatheringProtocol
from modelyard.settings import Settings

_NOT_STARTED = 3
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_KEPT_BYTES = 32 * 2**20
_MARGIN_S = 2
"""What answers may take after the trainings they wait for have ended, or were ended."""


def serve(yard: Yard, settings: Settings, listening: int | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are finished first, trainings within their grace period.

    `listening` is the descriptor of a socket that listens already, which several processes may share.
    """
    config = uvicorn.Config(
        create_app(yard, settings),
        host=settings.host,
        port=settings.rest_port,
        access_log=False,
        log_config=None,
        server_header=False,
        http=GatheringProtocol,
        ws="none",
        proxy_headers=False,  # nothing asks for the caller's address
        timeout_graceful_shutdown=math.ceil(settings.train_grace_s) + _MARGIN_S,
        timeout_keep_alive=75,
    )
    server = _Server(config, yard)
    with suppress(KeyboardInterrupt):  # uvicorn raises the signal again when all is done
        server.run(None if listening is None else [socket.socket(fileno=listening)])
    if not server.started:
        sys.exit(_NOT_STARTED)


class _Server(uvicorn.Server):
    """uvicorn, which tells the core at once that it is to stop."""

    def __init__(self, config: uvicorn.Config, yard: Yard) -> None:
        super().__init__(config)
        self._yard = yard

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then get ready to predict meanwhile."""
        await super().startup(sockets)
        if self.started:
            spare_the_collector()
            _keep_freed_memory()
            self._yard.warm_up()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal to stop."""
        self._yard.drain()
        super().handle_exit(sig, frame)


def _keep_freed_memory() -> None:
    """Have glibc keep what large bodies lay in for the next ones; other C libraries do as they do.

    By default it goes back to the kernel after each request, and fetching it page by page again takes longer than
    copying the body.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
