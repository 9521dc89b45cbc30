"""The metrics of a yard: not a verb of the clients, because programs that read metrics speak HTTP."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, get_args

from modelyard.calls import Calls, verb
from modelyard.errors import Unavailable
from modelyard.jobs import Jobs
from modelyard.monitoring.metrics import TRAIN, Metrics
from modelyard.schemas import JobStatus
from modelyard.storage import ModelStore

if TYPE_CHECKING:
    from modelyard.monitoring.exposition import State
    from modelyard.tracking.tracker import Tracker


class MetricsVerb:
    """The part of a yard that tells what was counted, and how many jobs and models there are."""

    calls: Calls
    jobs: Jobs
    _store: ModelStore
    _tracker: Tracker | None
    _metrics: Metrics

    @verb
    def metrics(self) -> bytes:
        """Return the metrics of this process and of the workers beside it, in `monitoring.metrics.MEDIA_TYPE`.

        Without the folder they are those that were counted.
        """
        from modelyard.monitoring.exposition import exposition  # its library takes 60 ms to import

        state: State | None = None
        with suppress(Unavailable):
            state = self._state()
        return exposition(self._metrics.numbers, state)

    def _state(self) -> State:
        from modelyard.monitoring.exposition import State

        none: dict[tuple[str, JobStatus], int] = {(TRAIN, status): 0 for status in get_args(JobStatus)}
        return State(
            jobs={**none, **self.jobs.counts()},
            models=self._store.count_by_status(),
            tracking_pending=0 if self._tracker is None else self._tracker.pending(),
        )
