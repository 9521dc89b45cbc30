"""The tracker of a folder, as the core and the command line see it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from modelyard.errors import ModelyardError, Unavailable
from modelyard.schemas import Backlog
from modelyard.storage import ModelStore, Pending, TrackedRuns
from modelyard.tracking.deliverer import Deliverer
from modelyard.tracking.orders import Orders
from modelyard.tracking.outbox import DeliveryState, Outbox

log = logging.getLogger("modelyard.tracking")

_LOOK_INTERVAL_S = 0.2


@dataclass(frozen=True, slots=True)
class Refused:
    """A run that ClearML will not take, and why."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Flushed:
    """How many runs ClearML has been told of, and how many it refused."""

    told: int
    refused: int


@dataclass(frozen=True, slots=True)
class TrackingStatus:
    """What is yet to be told, what was refused for good, and how the last attempt went."""

    pending: list[Pending]
    refused: list[Refused]
    state: DeliveryState


class Tracker:
    """The tracker of a yard, with a folder `outbox` of its own, which is made with its first file."""

    def __init__(self, store: ModelStore, runs: TrackedRuns, outbox: Path, *, project: str, timeout_s: float) -> None:
        self._runs = runs
        self._outbox = Outbox(outbox)
        self._orders = Orders(store, runs, self._outbox, project)
        self._deliverer = Deliverer(runs, self._orders, self._outbox, timeout_s)

    def note(self, key: str) -> None:
        """Note a model that was stored or a job that ended without one. Raises nothing.

        Should it fail, nothing is lost: what is to be told is pending in the database.
        """
        try:
            self._orders.keep(key)
        except ModelyardError as error:
            log.warning("%s is not in the outbox yet: %s", key, error.detail)
        except Exception:  # no training may suffer from its tracking
            log.exception("%s is not in the outbox yet", key)
        self._deliverer.wake()

    def serve(self) -> None:
        """Deliver from now on, what was left undelivered first."""
        self._deliverer.start()

    def close(self) -> None:
        """Stop delivering, at once."""
        self._deliverer.close()

    def backlog(self) -> Backlog:
        """Return what has not been told, and why, if that fails."""
        pending, failed = self._runs.counts()
        return Backlog(pending=pending, failed=failed, problem=self._outbox.state().problem if pending else None)

    def status(self) -> TrackingStatus:
        """Return all that is known of what has not been told."""
        return TrackingStatus(self._runs.pending(), self._refused(), self._outbox.state())

    def retry(self, keys: list[str] | None = None) -> list[str]:
        """Have what was refused told again, all of it or the runs of these ids; return which they are."""
        marked = self._runs.mark_pending(self._runs.failed() if keys is None else keys, only_if="failed")
        for key in marked:
            self._outbox.bring_back(key)
        self._outbox.ask()
        return marked

    def flush(self, timeout_s: float) -> Flushed:
        """Return when all that is pending now has been told or refused, and how much was.

        A server that delivers does it; else this process. Raises Unavailable with the reason if that fails or takes
        longer than `timeout_s`.
        """
        asked_at = datetime.now(UTC)
        deadline = time.monotonic() + timeout_s
        waited_for = {one.key for one in self._runs.pending()}
        self._outbox.ask()
        self._deliverer.start()
        while True:
            left = waited_for & {one.key for one in self._runs.pending()}
            if not left:
                refused = waited_for.intersection(self._runs.failed())
                return Flushed(len(waited_for) - len(refused), len(refused))
            state = self._outbox.state()
            if state.problem is not None and state.tried_at is not None and state.tried_at > asked_at:
                runs = "1 run waits" if len(left) == 1 else f"{len(left)} runs wait"
                raise Unavailable(f"{state.problem}; {runs} in {self._outbox.path}")
            if time.monotonic() > deadline:
                raise Unavailable(f"{len(left)} runs were not delivered within {timeout_s:g} s")
            time.sleep(_LOOK_INTERVAL_S)

    def _refused(self) -> list[Refused]:
        found = []
        for key in self._runs.failed():
            run = self._runs.find(key)
            if run is not None:
                found.append(Refused(key, run.tracking.reason or ""))
        return found
