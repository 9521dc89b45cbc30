"""A process that is forked for one run: it is a spare until it gets its assignment.

What a process does for the first time costs it 35 to 85 ms: threads that a fork does not carry over, pages that it
shares until they are written to, and what libraries work out at their first use. A spare is forked ahead of the next
run and rehearses, so that the run pays for none of that. The process of a search's run stays for the next one.
"""

from __future__ import annotations

import os
import socket
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import orjson

from modelyard.jobs.local import run_process

MOST_BETWEEN_S = 2.0
"""A process waits so long for the next run of its search."""

_MESSAGE_BYTES = 1 << 16

READY = b"ready\n"
TAKEN = READY + b"taken\n"
DONE = TAKEN + b"done\n"
"""What a process has said when it waits for its assignment, before it does anything of it, and when all is done."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A run that a process is to carry out, as it passes from process to process; a slot's open file goes with it.

    `folder` is the run's spool, `key` that of its ending, in hex; `timeout_s` and `memory_bytes` are its limits, 0 for
    none. `job_id` of a search's run is `SEARCH/RUN`.
    """

    job_id: str
    folder: str
    key: str = field(repr=False)
    niceness: int
    timeout_s: float
    memory_bytes: int

    @property
    def search(self) -> str:
        """The job whose runs may share a process; empty if the run stands alone."""
        return self.job_id.rpartition("/")[0]


class Fork:
    """One such process: the fork server's view of it, and in the process itself its way back to the fork server.

    `slot` is that of its first run, if it is forked for one.
    """

    def __init__(self, niceness: int, rehearse: Callable[[], None] | None = None, slot: int = -1) -> None:
        self.niceness = niceness
        self.pid = 0
        self.assignment: Assignment | None = None
        self.search = ""  # of the runs before
        self.slot = slot
        self.is_killed = False
        self.broken_limit: str | None = None
        self.channel, self._theirs = socket.socketpair()
        self._rehearse = rehearse
        self._said = b""
        self._began = 0.0
        self._goes_at = inf  # if it has no run by then

    # In the fork server.

    def is_forked(self, pid: int) -> None:
        """Note the process."""
        self.pid = pid
        self._theirs.close()
        self.channel.setblocking(False)

    def hear(self) -> bool:
        """Note what the process says. Returns False when it will say nothing more."""
        with suppress(BlockingIOError):
            try:
                while said := self.channel.recv(_MESSAGE_BYTES):
                    self._said += said
            except ConnectionError:
                return False
            return False
        return True

    def has_said(self, words: bytes) -> bool:
        """Whether the process has said READY, TAKEN or DONE, as far as it was heard."""
        return self._said.startswith(words)

    def give(self, assignment: Assignment, slot: int) -> None:
        """Hand a run over to the process. If it is dead the run has not begun: see `has_missed_it`."""
        self.assignment, self.slot, self._began = assignment, slot, time.monotonic()
        self._said, self._goes_at = self._said[: len(READY)], inf
        with suppress(OSError):
            socket.send_fds(self.channel, [orjson.dumps(assignment)], [slot])

    def end_run(self) -> None:
        """Note that the run has ended, and let go of its slot. The process may stay for the next of its search."""
        assert self.assignment is not None
        self.search, self.assignment = self.assignment.search, None
        if self.search:
            self._goes_at = time.monotonic() + MOST_BETWEEN_S
        self.free_slot()

    def waits_for(self, assignment: Assignment) -> bool:
        """Whether the process has done a run of the same search, and is there for the next."""
        is_free = self.assignment is None and not self.is_killed and self.has_said(DONE)
        return is_free and bool(self.search) and self.search == assignment.search

    def kill(self, broken_limit: str | None = None) -> None:
        """Kill the process and those it has started."""
        self.is_killed, self.broken_limit = True, broken_limit
        run_process.kill_group(self.pid)

    @property
    def is_limited(self) -> bool:
        """Whether the process must be looked after: its run has limits, or it waits for the next of a search."""
        if self.assignment is None:
            return self._goes_at < inf
        return bool(self.assignment.timeout_s or self.assignment.memory_bytes)

    def over_limit(self) -> str | None:
        """Return which limit the process is over: `time`, of its run or between two, `memory` or None."""
        if self.is_killed:
            return None
        if self.assignment is None:
            return "time" if time.monotonic() > self._goes_at else None
        if self.has_said(DONE):
            return None
        if self.assignment.timeout_s and time.monotonic() - self._began > self.assignment.timeout_s:
            return "time"
        if self.assignment.memory_bytes and _resident_bytes(self.pid) > self.assignment.memory_bytes:
            return "memory"
        return None

    def has_missed_it(self) -> bool:
        """Whether this dead process had waited for its assignment, and died by itself before it took it."""
        has_waited = self._rehearse is not None or bool(self.search)
        return has_waited and not self.is_killed and not self.has_said(TAKEN)

    def is_crowded(self) -> bool:
        """Whether the run took too much memory in a process that may still have had some of the runs before."""
        return bool(self.search) and self.broken_limit == "memory"

    def last_words(self, status: int) -> str:
        """Say why a spare with this wait status ended: its traceback or its exit code."""
        return self._said.removeprefix(READY).decode(errors="replace") or (
            f"exit code {os.waitstatus_to_exitcode(status)}"
        )

    def close(self) -> None:
        """Close the channel to the process, and free its run's slot."""
        self.channel.close()
        self.free_slot()

    def free_slot(self) -> None:
        """Let go of the run's slot."""
        if self.slot >= 0:
            os.close(self.slot)
            self.slot = -1

    # In the process.

    def carry_out(self, function: run_process.RunFunction) -> None:
        """Rehearse, wait for the assignment, run the function for it, and say so; again for a search's next runs."""
        self.close()  # what is the fork server's
        try:
            if self._rehearse is not None:
                self._rehearse()
        except BaseException:
            self._theirs.sendall(traceback.format_exc().encode()[-_MESSAGE_BYTES:])
            raise
        self._theirs.sendall(READY)
        run_process.end_with(self._theirs)
        while self._carry_out_next(function):
            pass

    def _carry_out_next(self, function: run_process.RunFunction) -> bool:
        """Wait for an assignment, and carry it out. Returns whether the process may get another."""
        message, slots, _, _ = socket.recv_fds(self._theirs, _MESSAGE_BYTES, 1)
        if not message:
            return False  # the fork server is gone
        self._theirs.sendall(TAKEN.removeprefix(READY))
        os.set_inheritable(slots[0], False)
        assignment = Assignment(**orjson.loads(message))
        run_process.carry_out(Path(assignment.folder), bytes.fromhex(assignment.key), function)
        os.close(slots[0])
        self._theirs.sendall(DONE.removeprefix(TAKEN))
        return bool(assignment.search)


def _resident_bytes(pid: int) -> int:
    """Return the resident memory of a process; 0 if the system does not tell, or it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0
