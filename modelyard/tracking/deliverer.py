"""The one who delivers: rounds of telling, one after the other, in order, with pauses that grow while it fails.

Of all processes of a folder one delivers, the one that holds the outbox's lock. A round that ends anywhere, by a kill,
too, is taken up by the next: what was told in part is told again, to the same task.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from modelyard.errors import DataLoss, ModelyardError, NotFound, Unavailable
from modelyard.schemas import Tracking
from modelyard.storage import TrackedRuns
from modelyard.tracking.child import READY_TIMEOUT_S, Child
from modelyard.tracking.orders import Order, Orders
from modelyard.tracking.outbox import DeliveryState, Outbox
from modelyard.tracking.protocol import ENDS, Answer

log = logging.getLogger("modelyard.tracking")

_LOOK_INTERVAL_S = 1.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 300.0
_UPLOAD_BYTES_PER_S = 256 * 1024
_TRIES = 3
"""How often telling of one run may crash the child or make the server fail before that counts against the run."""


@dataclass(frozen=True, slots=True)
class Round:
    """What came of a round: how many runs were told of, and why it ended before all were, if it did."""

    sent: int
    problem: str | None = None


class Deliverer:
    """The deliverer of one process; nothing begins before `start` or `run_round`."""

    def __init__(self, runs: TrackedRuns, orders: Orders, outbox: Outbox, timeout_s: float) -> None:
        self._runs = runs
        self._orders = orders
        self._outbox = outbox
        self._timeout_s = timeout_s
        self._faults: Counter[str] = Counter()
        self._child: Child | None = None
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
            if self._child is not None:
                self._child.kill()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    # The thread.

    def _work(self) -> None:
        with ExitStack() as stack:
            while not self._stops:
                try:
                    if self._has_lock(stack):
                        break
                except ModelyardError as error:
                    self._note(Round(0, error.detail))
                self._pause()
            while not self._stops:
                self._look()
                self._pause()

    def _has_lock(self, stack: ExitStack) -> bool:
        try:
            stack.enter_context(self._outbox.lock().held(0.0))
        except Unavailable:
            return False  # another process delivers, for now
        return True

    def _pause(self) -> None:
        self._wake.wait(_LOOK_INTERVAL_S)
        self._wake.clear()

    def _look(self) -> None:
        try:
            if self._is_due():
                done = self.run_round()
                if done is not None and done.problem is None:
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
        return asked or self._may_be_left or self._runs.counts()[0] > 0

    # A round.

    def run_round(self) -> Round | None:
        """Tell of all that is pending, as far as it goes; None if nothing is. For one who holds the lock."""
        keys = self._keys()
        if not keys:
            self._may_be_left = False
            return None
        done = self._tell_all(keys)
        if not self._stops:
            self._note(done)
        return done

    def _keys(self) -> list[str]:
        """Return what is to be told, in order; what made the server fail again and again goes last."""
        pending = [one.key for one in self._runs.pending()]
        left = set(self._outbox.keys()).difference(pending)
        return sorted([*sorted(left), *pending], key=lambda key: self._faults[key] >= _TRIES)

    def _tell_all(self, keys: list[str]) -> Round:
        child: Child | None = None
        sent = 0
        try:
            for key in keys:
                order = self._order(key)
                if order is None:
                    continue
                if child is None:
                    child = self._start_child()
                    problem = self._greet(child)
                    if problem is not None:
                        return Round(sent, problem)
                problem = self._tell(child, order, healthy=sent > 0)
                if problem is not None:
                    return Round(sent, problem)
                sent += 1
            return Round(sent)
        finally:
            if child is not None:
                with self._guard:
                    self._child = None
                child.end()

    def _order(self, key: str) -> Order | None:
        try:
            return self._orders.order(key)
        except (DataLoss, NotFound) as error:  # what is damaged or half gone must not keep the others waiting
            self._refuse(key, error.detail)
            return None

    def _start_child(self) -> Child:
        try:
            child = Child(self._outbox.talk)
        except OSError as error:
            raise Unavailable(f"the process that tells ClearML cannot be started: {error.strerror or error}") from error
        with self._guard:
            self._child = child
            if self._stops:
                child.kill()
        return child

    def _greet(self, child: Child) -> str | None:
        try:
            hello = child.answer(READY_TIMEOUT_S)
        except TimeoutError:
            child.kill()
            return f"ClearML did not let us in within {READY_TIMEOUT_S:g} s"
        if hello is None:
            return f"the process that tells ClearML {child.how_it_ended()}; {self._outbox.talk} may say why"
        return None if hello.kind == "ready" else hello.reason

    def _tell(self, child: Child, order: Order, *, healthy: bool) -> str | None:
        """Tell of one run. Returns why no more can be told in this round, None if the next one's turn is."""
        child.tell(self._orders.with_parent(order))
        timeout_s = self._timeout_s + order.bytes / _UPLOAD_BYTES_PER_S
        try:
            while (answer := child.answer(timeout_s)) is not None:
                if answer.kind == "began" and answer.task_id is not None:
                    self._outbox.note_task(order.key, answer.task_id)
                if answer.kind in ENDS:
                    return self._settle(order, answer, healthy=healthy)
        except TimeoutError:
            child.kill()
            return f"ClearML took longer than {timeout_s:g} s, which MODELYARD_TRACKING_TIMEOUT_S allows"
        if self._stops:
            return "this server is shutting down"
        self._faults[order.key] += 1
        how = child.how_it_ended()
        if self._faults[order.key] >= _TRIES:
            self._refuse(order.key, f"the process that told ClearML of it {how}, {_TRIES} times")
            return "the process that tells ClearML has to be started anew"
        return f"the process that tells ClearML {how}; {self._outbox.talk} may say why"

    def _settle(self, order: Order, answer: Answer, *, healthy: bool) -> str | None:
        if answer.kind == "sent":
            self._note_sent(order, answer)
            return None
        if answer.kind == "refused":
            self._refuse(order.key, answer.reason)
            return None
        if answer.kind == "unreachable":
            return answer.reason
        self._faults[order.key] += 1
        is_enough = self._faults[order.key] >= _TRIES
        if is_enough and (healthy or answer.kind == "broken"):
            self._refuse(order.key, f"{answer.reason} ({self._faults[order.key]} times)")
            return None
        return answer.reason

    def _note_sent(self, order: Order, answer: Answer) -> None:
        if order.told is not None:
            tracking = Tracking(status="sent", task_id=answer.task_id, url=answer.url)
            # Those that were told of before their parent learn of it now.
            children = self._runs.children_told(order.key) if "record" in order.said else []
            self._runs.settle(order.key, order.told, tracking, concerns=children)
        self._outbox.remove(order.key)
        self._faults.pop(order.key, None)
        log.info("ClearML has been told of %s", order.key, extra={"facts": {"task_id": answer.task_id}})

    def _refuse(self, key: str, reason: str) -> None:
        self._runs.refuse(key, reason)
        self._outbox.set_aside(key)
        self._faults.pop(key, None)
        log.warning("ClearML will not take %s, which is set aside: %s", key, reason)

    # How it goes.

    def _note(self, done: Round) -> None:
        """Write down how it went, and log what is new of it."""
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
