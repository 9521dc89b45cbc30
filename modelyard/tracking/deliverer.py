"""The thread that delivers: it looks every second, and pauses longer and longer while ClearML cannot be told.

Of all processes of a folder one delivers: the one that holds the lock.
"""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

from modelyard.errors import ModelyardError, Unavailable
from modelyard.storage import Locks, TrackedRuns
from modelyard.tracking.outbox import DeliveryState, Outbox
from modelyard.tracking.rounds import Round, Rounds

log = logging.getLogger("modelyard.tracking")

_LOCK = "tracking"
LOOK_INTERVAL_S = 1.0
"""How long the thread waits between two looks if nothing wakes it: deletions and edits of models do not."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 300.0


class Deliverer:
    """The deliverer of one process. Nothing begins before `start`."""

    def __init__(self, runs: TrackedRuns, rounds: Rounds, outbox: Outbox, locks: Locks) -> None:
        self._runs = runs
        self._rounds = rounds
        self._outbox = outbox
        self._locks = locks
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._stops = False
        self._thread: threading.Thread | None = None
        self._failures = 0
        self._may_be_left = True
        self._state = DeliveryState()

    def start(self) -> None:
        """Deliver from now on, in a thread, whenever there is something to deliver."""
        with self._guard:
            if self._thread is None and not self._stops:
                self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
                self._thread.start()
        self._wake.set()

    def wake(self) -> None:
        """Make the thread look at once, if there is one."""
        self._wake.set()

    def close(self) -> None:
        """Stop at once: what is being told is told again at the next start."""
        with self._guard:
            self._stops = True
        self._rounds.stop()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        with ExitStack() as stack:
            stack.callback(self._rounds.end)
            while not self._stops:
                try:
                    stack.enter_context(self._locks.held(_LOCK))
                    break
                except Unavailable:
                    self._pause()  # another process delivers, for now
            while not self._stops:
                self._look()
                self._rounds.rest()
                self._pause()

    def _pause(self) -> None:
        self._wake.wait(LOOK_INTERVAL_S)
        self._wake.clear()

    def _look(self) -> None:
        try:
            if self._is_due():
                done = self._rounds.run()
                self._may_be_left = done is not None
                if done is not None and not self._stops:
                    self._note(done)
                    if done.problem is None:
                        self._wake.set()  # more may have come meanwhile
        except ModelyardError as error:
            self._note(Round(0, error.detail))
        except Exception:  # a thread that ends would never tell of anything again
            log.exception("trainings cannot be tracked now")
            self._note(Round(0, "something went wrong inside; the log has the reason"))

    def _is_due(self) -> bool:
        asked = self._outbox.take_request()
        due = self._state.next_try_at
        if not asked and due is not None and datetime.now(UTC) < due:
            return False
        return asked or self._may_be_left or self._runs.counts()[0] > 0 or bool(self._runs.running())

    def _note(self, done: Round) -> None:
        """Write down how a round went, and log what is new of it."""
        now = datetime.now(UTC)
        before = self._state
        pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**self._failures)
        if done.problem is None:
            self._failures = 0
            self._state = DeliveryState(tried_at=now)
            if before.problem is not None:
                log.info("trainings are tracked again")
        else:
            self._failures = 0 if done.sent else min(self._failures + 1, 10)
            since = before.since if before.problem == done.problem else now
            due = now + timedelta(seconds=pause_s)
            self._state = DeliveryState(tried_at=now, problem=done.problem, since=since, next_try_at=due)
            if before.problem != done.problem:
                log.warning("trainings go on, but are not tracked for now: %s", done.problem)
        try:
            self._outbox.write_state(self._state)
        except ModelyardError as error:
            log.warning("%s", error.detail)
