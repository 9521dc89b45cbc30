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

LIVE_INTERVAL = timedelta(seconds=2)
"""How often a run is shown. A shorter run is told at its end alone, because importing the library takes as long."""


class RunLog(Protocol):
    """How far a run is, and what it has said."""

    def progress(self) -> JobProgress:
        """Return how far it is."""

    def said_since(self, start: int) -> tuple[str, int]:
        """Return the last of what it has said from byte `start` on, and the byte where that ends."""


@dataclass(frozen=True, slots=True)
class News:
    """Lines for the console, and how much of a run is done (percent), up to a byte of its log and a step of its fit."""

    lines: list[str]
    percent: int
    said_to: int
    step: int | None
    at: datetime


class LiveRuns:
    """The running jobs of a yard. `log_of` opens the log of a job's run."""

    def __init__(self, runs: TrackedRuns, log_of: Callable[[str], RunLog]) -> None:
        self._runs = runs
        self._log_of = log_of
        self._told: dict[str, News] = {}
        self._given_up: set[str] = set()

    def due(self) -> list[str]:
        """Return the jobs that have run long enough to be shown, first or again."""
        shown_at = {key: told.at for key, told in self._told.items()}
        latest = datetime.now(UTC) - LIVE_INTERVAL
        running = self._runs.running()
        return sorted(key for key in running.keys() - self._given_up if shown_at.get(key, running[key]) <= latest)

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
        return News(lines, int(progress.fraction * 100), said_to, progress.step, datetime.now(UTC))

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
        """Return the last of what a run has said, and the byte where that ends."""
        return self._log_of(job_id).said_since(0)
