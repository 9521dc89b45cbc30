"""Serve the REST application with uvicorn."""

from __future__ import annotations

import uvicorn

from modelyard.ml_core.yard import Yard
from modelyard.rest_api.app import create_app
from modelyard.settings import Settings

GRACE_S = 10
"""How long requests under way may go on after SIGTERM."""


def serve(yard: Yard, settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are finished first."""
    uvicorn.run(
        create_app(yard, settings),
        host=settings.host,
        port=settings.rest_port,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=75,
    )
