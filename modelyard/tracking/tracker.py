"""The tracker of a folder, as the core and the command line see it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from modelyard.errors import ModelyardError, Unavailable
from modelyard.schemas import Backlog
from modelyard.storage import Pending, Storage
from modelyard.tracking.deliverer import Deliverer
from modelyard.tracking.instructions import Instructions
from modelyard.tracking.live_runs import LiveRuns, RunLog
from modelyard.tracking.outbox import DeliveryState, Outbox
from modelyard.tracking.rounds import Rounds

log = logging.getLogger("modelyard.tracking")

_LOOK_INTERVAL_S = 0.2


@dataclass(frozen=True, slots=True)
class Refused:
    """A run that ClearML will not take, and why."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Flushed:
    """How many runs ClearML was told of, and how many it refused."""

    told: int
    refused: int


@dataclass(frozen=True, slots=True)
class TrackingStatus:
    """What is to be told, what was refused for good, and how the last attempt went."""

    pending: list[Pending]
    refused: list[Refused]
    state: DeliveryState


class Tracker:
    """The tracker of a yard whose storage says which runs are tracked. `log_of` opens the log of a job's run."""

    def __init__(self, storage: Storage, log_of: Callable[[str], RunLog], *, project: str, timeout_s: float) -> None:
        assert storage.tracked_runs is not None
        self._runs = storage.tracked_runs
        self._outbox = Outbox(storage.outbox, storage.notes)
        live = LiveRuns(self._runs, log_of)
        self._instructions = Instructions(storage.models, self._runs, live, self._outbox, project)
        rounds = Rounds(self._runs, self._instructions, live, self._outbox, timeout_s)
        self._deliverer = Deliverer(self._runs, rounds, self._outbox, storage.locks)

    def note(self, key: str) -> None:
        """Note a model that was stored or a job that ended without one. Raises nothing.

        If it fails nothing is lost: what is to be told is pending in the database.
        """
        try:
            self._instructions.keep(key)
        except ModelyardError as error:
            log.warning("%s is not in the outbox yet: %s", key, error.detail)
        except Exception:  # no training may suffer from its tracking
            log.exception("%s is not in the outbox yet", key)
        self._deliverer.wake()

    def serve(self) -> None:
        """Deliver from now on, beginning with what an earlier server left."""
        self._deliverer.start()

    def close(self) -> None:
        """Stop delivering at once."""
        self._deliverer.close()

    def pending(self) -> int:
        """Return how much is to be told."""
        return self._runs.counts()[0]

    def backlog(self) -> Backlog:
        """Return how much is to be told, and why it is not, if that fails."""
        pending, failed = self._runs.counts()
        return Backlog(pending=pending, failed=failed, problem=self._outbox.state().problem if pending else None)

    def status(self) -> TrackingStatus:
        """Return all that is known of what is to be told."""
        return TrackingStatus(self._runs.pending(), self._refused(), self._outbox.state())

    def retry(self, keys: list[str] | None = None) -> list[str]:
        """Mark refused runs as pending again, all of them or those of these ids; return which were marked."""
        marked = self._runs.mark_pending(self._runs.failed() if keys is None else keys, only_if="failed")
        for key in marked:
            self._outbox.bring_back(key)
        self._outbox.ask()
        return marked

    def flush(self, timeout_s: float) -> Flushed:
        """Wait until all that has happened so far is told or refused, and return how much that was.

        The process that delivers does it; if there is none, this one. A retraining whose parent is told only now counts
        again, because its task is linked to the parent's. Raises Unavailable with the reason if telling fails or takes
        longer than `timeout_s`.
        """
        asked_at = datetime.now(UTC)
        deadline = time.monotonic() + timeout_s
        waited_for = {one.key for one in self._runs.pending()}
        self._outbox.ask()
        self._deliverer.start()
        while True:
            pending = self._runs.pending()
            left = {one.key for one in pending if one.key in waited_for or one.at <= asked_at}
            waited_for |= left
            if not left:
                refused = waited_for.intersection(self._runs.failed())
                return Flushed(len(waited_for) - len(refused), len(refused))
            state = self._outbox.state()
            if state.problem is not None and state.tried_at is not None and state.tried_at > asked_at:
                runs = "1 run waits" if len(left) == 1 else f"{len(left)} runs wait"
                raise Unavailable(f"{state.problem}; {runs} in {self._outbox.path}")
            if time.monotonic() > deadline:
                runs = "1 run was" if len(left) == 1 else f"{len(left)} runs were"
                raise Unavailable(f"{runs} not delivered within {timeout_s:g} s")
            time.sleep(_LOOK_INTERVAL_S)

    def _refused(self) -> list[Refused]:
        found = []
        for key in self._runs.failed():
            run = self._runs.find(key)
            if run is not None:
                found.append(Refused(key, run.tracking.reason or ""))
        return found
