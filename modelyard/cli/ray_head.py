"""How Ray is started: a node, or a cluster of this machine alone, for trying. It imports no Ray."""

from __future__ import annotations

import ctypes
import secrets
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_worker_niceness": "0",  # else foremen stand back behind everything, and no run has the priority it should
    # A node that is gone is noticed within 10 s, for which Ray takes a minute otherwise.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1500",
    "RAY_health_check_failure_threshold": "4",
    # A node ends so long after it has lost the head, which has given it up by then; Ray takes a minute otherwise.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "15",
}
"""The environment of heads and nodes."""

_END_S = 10.0
_PR_SET_PDEATHSIG = 1


def ray_environment(address: str) -> dict[str, str]:
    """Return the environment of servers of a cluster at `address`, with a token of its own, and of its nodes."""
    return {
        **SETTINGS,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "MODELYARD_RAY_ADDRESS": address,
    }


def run_head(port: int) -> int:
    """Run a cluster of this machine, of all its cores, until SIGTERM; return the exit code.

    It ends with this process in any case. Its own files are gone at the end.
    """
    with tempfile.TemporaryDirectory(prefix="modelyard-ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(  # noqa: S603 - the program beside our own Python
            [*head(port), "--node-ip-address=127.0.0.1", f"--temp-dir={folder}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - this process has no other threads that matter
        )
        try:
            return process.wait()
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
            process.kill()


def _end_with_parent() -> None:
    """Ask the system for a SIGTERM when the parent is gone: Ray then ends all that it has started."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


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
