"""What every run does in its own process, around the function that trains."""

from __future__ import annotations

import ctypes
import logging
import os
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelyard.errors import Internal, ModelyardError, ResourceExhausted, Unavailable
from modelyard.jobs.runner import UNEXPECTED
from modelyard.jobs.spool import Finished, ProgressReporter, Spool, StepTold

log = logging.getLogger("modelyard.jobs")

RunFunction = Callable[[Path, ProgressReporter], Finished | StepTold]
"""Trains: reads its order from the run's spool, leaves files in the spool's folder `result`, and says what it made.

A run of a search may only tell something instead.
"""

EXIT_UNWRITABLE = os.EX_IOERR
"""The exit code of a run's process that cannot even write down why it ends."""

_FIRST_TO_BE_KILLED = b"1000"
_PR_SET_PDEATHSIG = 1


def be_nice(niceness: int) -> None:
    """Give this process, and those it starts, a lower priority: at least this niceness."""
    if niceness > os.getpriority(os.PRIO_PROCESS, 0):
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
    if hasattr(os, "SCHED_BATCH"):
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def own_group(pid: int) -> None:
    """Take a run out of the terminal's group. The run and its parent both do it, whoever comes first.

    It stays in the session: Linux weighs priorities within a session only (autogroup), so elsewhere its low priority
    would count for nothing.
    """
    try:
        os.setpgid(pid, pid)
    except (ProcessLookupError, PermissionError):
        return


def kill_group(pid: int) -> None:
    """Kill a run and the processes it has started."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def be_killed_with_parent() -> None:
    """Ask the system to kill this process when its parent ends, if the system can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_with(lifeline: socket.socket) -> None:
    """End this process when the other end of `lifeline` is closed, in a thread."""
    threading.Thread(target=_end_at_close, args=(lifeline,), name="lifeline", daemon=True).start()


def carry_out(folder: Path, key: bytes, function: RunFunction) -> None:
    """Run the function for the order in `folder` and leave the run's ending there, under the run's key."""
    spool = Spool(folder)
    with _speaking_to(spool.log):
        try:
            made = function(folder, ProgressReporter(spool))
            if isinstance(made, StepTold):
                spool.write_told(made, key)
            else:
                spool.write_finished(made, key)
        except ModelyardError as error:
            _write_error(spool, error, key)
        except MemoryError:
            _write_error(spool, ResourceExhausted("the training needs more memory than there is"), key)
        except OSError as error:
            log.error("the files of the run fail it\n%s", without_values(error))  # noqa: TRY400
            why = error.strerror or error
            _write_error(spool, Unavailable(f"the training's files cannot be read or written: {why}"), key)
        except Exception as error:  # noqa: BLE001 - the job's caller is told that it failed, its log why
            log.error("unexpected error\n%s", without_values(error))  # noqa: TRY400
            _write_error(spool, Internal(UNEXPECTED), key)


def without_values(error: BaseException) -> str:
    """Return the frames and types of an exception and of those behind it. Their messages may quote cells: left out."""
    behind = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = "" if behind is None else f"{without_values(behind)}\nwhich led to:\n"
    kind = type(error)
    return f"{before}{''.join(traceback.format_tb(error.__traceback__))}{kind.__module__}.{kind.__qualname__}"


def _write_error(spool: Spool, error: ModelyardError, key: bytes) -> None:
    """Say why the run has made nothing. Its result is removed first, because the disk may be full."""
    spool.remove_result()
    try:
        spool.write_error(error, key)
    except OSError:
        os._exit(EXIT_UNWRITABLE)


def _end_at_close(lifeline: socket.socket) -> None:
    poll = select.poll()
    poll.register(lifeline, select.POLLHUP)  # what is said there is for others to read
    poll.poll()
    os._exit(1)


def be_first_to_be_killed() -> None:
    """Tell the system to end this process before any other when memory runs out."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_bytes(_FIRST_TO_BE_KILLED)


@contextmanager
def _speaking_to(path: Path) -> Iterator[None]:
    """Within the block, send standard output, standard error and the log to a file; after it, nowhere.

    The owner reads the file when the run has ended. A link is not followed: what a run says may be a table's own words,
    not to land in a file of anyone's choice.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
    with os.fdopen(file, "w", buffering=1) as stream:
        _send_output_to(file)
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
        logging.captureWarnings(capture=True)
        yield
    with Path(os.devnull).open("w") as nowhere:
        _send_output_to(nowhere.fileno())


def _send_output_to(file: int) -> None:
    os.dup2(file, 1)
    os.dup2(file, 2)
