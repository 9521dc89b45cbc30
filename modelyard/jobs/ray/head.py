"""How Ray is started: a node, or a cluster of this machine alone, for trying. It imports no Ray."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_raylet_start_wait_time_s": "120",
    # A node that is gone is noticed within 10 s, for which Ray takes a minute otherwise.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1500",
    "RAY_health_check_failure_threshold": "4",
}
"""The environment of heads and nodes."""


def program() -> Path | None:
    """Return Ray's program, which is beside our Python; None if Ray is not part of this installation."""
    path = Path(sys.executable).with_name("ray")
    return path if path.exists() else None


def head(port: int) -> list[str]:
    """Return the command of a cluster's first process on this port. It is foreground, and takes its options further."""
    return [*_start(), "--head", f"--port={port}", "--include-dashboard=false"]


def node(address: str) -> list[str]:
    """Return the command of a node of the cluster at `address`."""
    return [*_start(), f"--address={address}"]


def _start() -> list[str]:
    # Nothing of ours is in Ray's own store: tables are in the yard's.
    return [str(program()), "start", "--block", "--disable-usage-stats", "--object-store-memory=100000000"]
