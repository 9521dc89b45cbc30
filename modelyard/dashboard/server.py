"""Serve the dashboard with Streamlit: its address, limits and looks, and nothing sent to anyone."""

from __future__ import annotations

import gc
import importlib
import math
from dataclasses import astuple
from pathlib import Path
from typing import Any

from streamlit.web import bootstrap

from modelyard.dashboard.doors import Doors
from modelyard.dashboard.theme import THEME

SCRIPT = Path(__file__).parent / "entry" / "app.py"
_AHEAD = ("modelyard.dashboard.app", "modelyard.rest_api.client", "pandas")
"""What Streamlit and `connect_server` would import only for the first visitor; gRPC's client may be missing."""


def serve(
    doors: Doors,
    *,
    host: str,
    port: int,
    accepted_hosts: tuple[str, ...] | None,
    max_upload_mb: float,
    certificate: Path | None = None,
    key: Path | None = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C, by TLS if there are a certificate and its key.

    Browsers may call by the accepted hosts, None: by any; uploads may be as large as the doors take them.
    """
    get_ready()
    options = _options(host, port, max_upload_mb) | {
        # A page that a browser was tricked into opening must not reach a yard on this machine.
        "server.allowedHosts": ["*"] if accepted_hosts is None else list(accepted_hosts)
    }
    if certificate and key:
        options |= {"server.sslCertFile": str(certificate), "server.sslKeyFile": str(key)}
    bootstrap.load_config_options(options)
    bootstrap.run(str(SCRIPT), False, list(astuple(doors)), options)


def get_ready() -> None:
    """Import what pages need, and let the garbage collector look past it.

    Streamlit collects all garbage after each run of its script, and so of each fragment that moves by itself: that took
    two thirds of a page's CPU time, with the page's last elements waiting for it.
    """
    for name in _AHEAD:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _options(host: str, port: int, max_upload_mb: float) -> dict[str, Any]:
    options: dict[str, Any] = {
        "global.disableWidgetStateDuplicationWarning": True,  # forms have defaults, and what was chosen comes back
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "server.maxUploadSize": math.ceil(max_upload_mb),
        "server.fileWatcherType": "none",
        "server.showEmailPrompt": False,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "runner.magicEnabled": False,
        "logger.hideWelcomeMessage": True,
        "logger.level": "warning",
    }
    return options | {f"theme.{name}": value for name, value in THEME.items()}
