"""The runs that are going on: what the console of their tasks in ClearML has not shown yet.

Only a courtesy: whatever is not told while a run goes on is told at its end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from modelyard.schemas import JobProgress
from modelyard.storage import TrackedRuns

LIVE_AFTER = timedelta(seconds=2)
"""A shorter run is told at its end alone: its task would be complete before anybody could look."""


class RunLog(Protocol):
    """How far a run is, and what it has said."""

    def progress(self) -> JobProgress:
        """Return how far it is."""

    def said_since(self, start: int) -> tuple[str, int]:
        """Return what it has said from byte `start` on, as far as that is kept, and the byte where that ends."""


@dataclass(frozen=True, slots=True)
class News:
    """Lines for the console, how much of the run is done (percent), and the marks up to which this is told."""

    lines: list[str]
    percent: int
    said_to: int
    step: int | None


class LiveRuns:
    """The running jobs of a yard. `log_of` opens the log of a job's run."""

    def __init__(self, runs: TrackedRuns, log_of: Callable[[str], RunLog]) -> None:
        self._runs = runs
        self._log_of = log_of
        self._told: dict[str, News] = {}
        self._given_up: set[str] = set()

    @property
    def any_running(self) -> bool:
        """Whether there may be news soon."""
        return bool(self._runs.running().keys() - self._given_up)

    def due(self) -> list[str]:
        """Return the jobs that have run long enough to be shown."""
        latest = datetime.now(UTC) - LIVE_AFTER
        return sorted(key for key, at in self._runs.running().items() if at <= latest and key not in self._given_up)

    def news(self, job_id: str) -> News | None:
        """Return what is new of a run; None if nothing is."""
        told = self._told.get(job_id)
        log = self._log_of(job_id)
        said, said_to = log.said_since(self.said_to(job_id))
        progress = log.progress()
        lines = said.splitlines()
        if progress.step is not None and (told is None or progress.step != told.step):
            loss = "" if progress.metric is None else f", loss {progress.metric:.6g}"
            lines.append(f"step {progress.step} of {progress.total}{loss}")
        if told is not None and not lines:
            return None
        return News(lines, int(progress.fraction * 100), said_to, progress.step)

    def said_to(self, job_id: str) -> int:
        """Return the byte of a run's log up to which its task shows it."""
        told = self._told.get(job_id)
        return 0 if told is None else told.said_to

    def note_told(self, job_id: str, news: News) -> None:
        """Note that ClearML shows the news."""
        self._told[job_id] = news

    def give_up(self, job_id: str) -> None:
        """Show nothing more of a run until its end."""
        self._given_up.add(job_id)

    def forget(self, job_id: str) -> None:
        """Forget a run whose end was told."""
        self._told.pop(job_id, None)
        self._given_up.discard(job_id)

    def whole_log(self, job_id: str) -> tuple[str, int]:
        """Return all that is kept of what a run has said, and the byte where that ends."""
        return self._log_of(job_id).said_since(0)
