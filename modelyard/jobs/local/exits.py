"""Why a run has left no ending: how its process ended, in words."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any

from modelyard.errors import DeadlineExceeded, Internal, ModelyardError, ResourceExhausted, Unavailable
from modelyard.jobs.local.forks import Assignment
from modelyard.jobs.local.run_process import EXIT_UNWRITABLE
from modelyard.jobs.runner import RunEnd


def run_end(message: Mapping[str, Any], assignment: Assignment) -> RunEnd:
    """Put into words what the fork server says of a run's end."""
    if "reason" in message:
        return never_began(message["reason"])
    if message["limit"] is not None:
        return RunEnd(_over_limit(message["limit"], assignment))
    return RunEnd(_exited(os.waitstatus_to_exitcode(message["status"])))


def never_began(reason: str) -> RunEnd:
    """Say why a run could not be started."""
    return RunEnd(Internal(f"the training could not be run: {reason}"))


def lost(exit_code: int) -> RunEnd:
    """Say that a run ended because its fork server did."""
    return RunEnd(
        Unavailable(f"the training was interrupted because its fork server ended with {exit_code}; train again"),
        "interrupted",
    )


def _over_limit(limit: str, assignment: Assignment) -> ModelyardError:
    if limit == "time":
        return DeadlineExceeded(
            f"the training took longer than {assignment.timeout_s:g} s, which MODELYARD_TRAIN_TIMEOUT_S allows"
        )
    megabytes = assignment.memory_bytes / 2**20
    return ResourceExhausted(f"the training took more memory than MODELYARD_TRAIN_MEMORY_MB allows, {megabytes:g} MB")


def _exited(code: int) -> ModelyardError:
    if code == -signal.SIGKILL:
        return Internal("the training was killed by the system (SIGKILL), probably because memory ran out")
    if code < 0:
        return Internal(f"the training crashed: its process was ended by {_signal_name(-code)}")
    if code == EXIT_UNWRITABLE:
        return Unavailable("the training could not write its files, nor why: probably the disk is full")
    return Internal(f"the training ended with exit code {code} and without a result")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
