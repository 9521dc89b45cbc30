"""The ways in which a job ends without a model, in words; and what a run's process takes in memory."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from modelyard.errors import Cancelled, DeadlineExceeded, Internal, ModelyardError, ResourceExhausted, Unavailable
from modelyard.jobs.launcher import RunEnd
from modelyard.jobs.run_process import EXIT_UNWRITABLE


def cancelled(job_id: str) -> Cancelled:
    """Say that a job was cancelled."""
    return Cancelled(f"job {job_id} was cancelled")


def interrupted() -> Unavailable:
    """Say that a job's server ended before it."""
    return Unavailable("the training was interrupted, for its server ended; train again")


def too_long(timeout_s: float) -> DeadlineExceeded:
    """Say that a run took too long."""
    return DeadlineExceeded(f"the training took longer than {timeout_s:g} s, which MODELYARD_TRAIN_TIMEOUT_S allows")


def too_large(memory_bytes: int) -> ResourceExhausted:
    """Say that a run took too much memory."""
    megabytes = memory_bytes / 2**20
    return ResourceExhausted(f"the training took more memory than MODELYARD_TRAIN_MEMORY_MB allows, {megabytes:g} MB")


def crashed(end: RunEnd) -> ModelyardError:
    """Say what is known of a run that ended without a word."""
    if end.status is None:
        return Internal(f"the training could not be run: {end.reason}")
    code = os.waitstatus_to_exitcode(end.status)
    if code == -signal.SIGKILL:
        return Internal("the training was killed by the system (SIGKILL), probably because memory ran out")
    if code < 0:
        return Internal(f"the training crashed: its process was ended by {_signal_name(-code)}")
    if code == EXIT_UNWRITABLE:
        return Unavailable("the training could not write its files, nor why: probably the disk is full")
    return Internal(f"the training ended with exit code {code} and without a result")


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process; 0 where the system does not tell, or it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
