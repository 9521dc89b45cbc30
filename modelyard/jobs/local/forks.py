"""A process for the next run, forked ahead of its order: it has rehearsed, so that the run pays for no first time.

First times cost a run 35 to 85 ms: threads that a fork does not carry over, pages that it shares until they are written
to, and what libraries work out when they are first used. There is one spare at most, made after a run has ended.
"""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson

from modelyard.jobs import run_process

SPARE_AFTER_S = 0.02
"""A spare is made so long after a run's end: first let its model be stored, and those who wait for it be told."""

MOST_IDLE_S = 600.0
"""A spare that nobody has needed for so long is let go, and its memory with it."""

Order = tuple[dict[str, Any], int]
"""The owner's message to start a run, and the file of its slot."""

Fork = Callable[[int, Callable[[], Order]], int]
"""Forks a run's process of some niceness, which carries out what the function returns there. Raises OSError."""

_MESSAGE_BYTES = 1 << 16
_READY = b"ready"
_TAKEN = b"taken"


class Spares:
    """The fork server's one spare, if it has any: there is none before the first run, nor without a rehearsal."""

    def __init__(self, fork: Fork, rehearse: Callable[[], None] | None) -> None:
        self._fork = fork
        self._rehearse = rehearse
        self._spare: Spare | None = None
        self._due: int | None = None

    def run_has_ended(self, niceness: int) -> None:
        """Have a spare made for the next run of as much niceness, where there is none."""
        if self._spare is None:
            self._due = niceness

    def patience_s(self) -> float | None:
        """Return after how many seconds without anything to do it is time for `change`; None for never."""
        if self._spare is not None:
            return MOST_IDLE_S
        return None if self._due is None or self._rehearse is None else SPARE_AFTER_S

    def change(self) -> None:
        """Make a spare, or let go of the one that was idle; where none can be made, runs do without."""
        if self._spare is not None:
            self.end()
        elif self._due is not None and self._rehearse is not None:
            spare, rehearse = Spare(self._due), self._rehearse
            self._due = None
            with suppress(OSError):
                spare.is_forked(self._fork(spare.niceness, lambda: spare.await_order(rehearse)))
                self._spare = spare

    def take(self, order: Order) -> Spare | None:
        """Hand an order over to the spare and return it; None if there is none that is ready for this order.

        Whether it takes the order is known when it says so, or has died without a word: see `Spare.has_taken`.
        """
        spare = self._spare
        if spare is None or not spare.hand_over(order):
            return None
        self._spare = None
        return spare

    def found_dead(self) -> str | None:
        """Say why where the spare has ended by itself."""
        why = None if self._spare is None else self._spare.death()
        if why is not None:
            self.close()
        return why

    def end(self) -> None:
        """End the spare."""
        if self._spare is not None:
            run_process.kill_group(self._spare.pid)
            os.waitpid(self._spare.pid, 0)
            self.close()

    def close(self) -> None:
        """Let go of the spare without ending it."""
        if self._spare is not None:
            self._spare.close()
            self._spare = None


class Spare:
    """One spare, and the way to it. Its threads keep the niceness that it has rehearsed with."""

    def __init__(self, niceness: int) -> None:
        self.pid = 0
        self.niceness = niceness
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    def is_forked(self, pid: int) -> None:
        """Take note of its process."""
        self.pid = pid
        self._theirs.close()

    def await_order(self, rehearse: Callable[[], None]) -> Order:
        """Rehearse, and return the order when it comes. This is what the spare itself does."""
        self._ours.close()
        with self._theirs as channel:
            try:
                rehearse()
            except BaseException:
                channel.send(traceback.format_exc().encode()[-_MESSAGE_BYTES:])
                raise
            channel.send(_READY)
            message, (slot,), _, _ = socket.recv_fds(channel, _MESSAGE_BYTES, 1)
            order = orjson.loads(message), slot
            channel.send(_TAKEN)  # from here on the order is this process's, before it does anything of it
        return order

    def hand_over(self, order: Order) -> bool:
        """Hand over an order. Returns False if the spare has another niceness, is not ready or has died."""
        message, slot = order
        if message["niceness"] != self.niceness or self._says(socket.MSG_PEEK) != _READY:
            return False
        try:
            socket.send_fds(self._ours, [orjson.dumps(message)], [slot])
        except OSError:
            return False
        self._says()
        return True

    def has_taken(self) -> bool:
        """Whether the spare has said that it took the order that was handed over; the answer is final if it is dead."""
        return self._says(socket.MSG_PEEK) == _TAKEN

    def death(self) -> str | None:
        """Say why if the spare has ended."""
        done, status = os.waitpid(self.pid, os.WNOHANG)
        return self.why(status) if done else None

    def why(self, status: int) -> str:
        """Say why the spare, whose wait status this is, has ended without an order."""
        said = self._says(socket.MSG_PEEK).removeprefix(_READY).decode(errors="replace")
        return said or f"exit code {os.waitstatus_to_exitcode(status)}"

    def close(self) -> None:
        """Close the way to it."""
        self._ours.close()
        self._theirs.close()

    def _says(self, flags: int = 0) -> bytes:
        """Return the next that it has said, if anything; with MSG_PEEK without taking it away."""
        try:
            return self._ours.recv(_MESSAGE_BYTES, flags | socket.MSG_DONTWAIT)
        except OSError:
            return b""
