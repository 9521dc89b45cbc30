"""Jobs of many runs: a search makes one run after another, and some side by side, until its last one makes the model.

What a run is to do next is planned by whoever knows searches (`Planner`), from what the runs before have told; that is
kept in the job's document. So a search goes on in any process of the yard, and loses the runs that were under way.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from modelyard.errors import Internal, Unavailable
from modelyard.jobs.finishing import Ending, logged, why_to_log
from modelyard.jobs.lifecycle import Lifecycle
from modelyard.jobs.runner import UNEXPECTED, RunEnd
from modelyard.jobs.spool import Spool, StepTold
from modelyard.schemas import JobError, JobProgress

log = logging.getLogger("modelyard.jobs")

Told = Mapping[str, Any]
"""What a run has told, which is the planner's affair; `at_s` is how many seconds the search had taken then."""


@dataclass(frozen=True, slots=True)
class Step:
    """One run of a search: its name, its folder, where its order stands, and whether it ends the search.

    `facts` are what is kept of it even if it fails.
    """

    name: str
    folder: Path
    facts: Told = field(default_factory=dict)
    is_last: bool = False


class Planner(Protocol):
    """Says what the runs of a search are to do; `folder` is the spool of its job, `told` what they told, in order."""

    def next_step(
        self, folder: Path, told: Sequence[Told], running: Collection[str], spent_s: float
    ) -> Step | JobError | None:
        """Write the order of the next run; None if there is none before one of those `running`, by name, has ended.

        An error says why the search cannot go on: the job fails with it. Raises OSError.
        """
        ...

    def failed(self, step: Step, error: JobError) -> Told:
        """Return what is kept of a run that failed."""
        ...

    def progress(self, folder: Path, told: Sequence[Told], running: Collection[str]) -> JobProgress:
        """Return how far a search is, of which the runs `running` are under way."""
        ...


@dataclass(slots=True)
class Search:
    """A search that this process carries through: what its runs have told, and the names of those under way."""

    spool: Spool
    told: list[Told]
    running: set[str] = field(default_factory=set)
    _since: float = field(default_factory=time.monotonic)

    @property
    def spent_s(self) -> float:
        """How long the search has taken, without the time in which no process looked after it."""
        before: float = self.told[-1]["at_s"] if self.told else 0.0
        return before + time.monotonic() - self._since

    def tell(self, told: Told) -> None:
        """Note what a run has told."""
        self.told.append(told)
        self._since = time.monotonic()


class Searches:
    """The searches of this process."""

    def __init__(self, spool_of: Callable[[str], Spool], lifecycle: Lifecycle, planner: Planner | None) -> None:
        self._spool_of = spool_of
        self._lifecycle = lifecycle
        self._planner = planner
        self._under_way: dict[str, Search] = {}

    def ids(self) -> list[str]:
        """Return the ids of their jobs, the first begun first."""
        return list(self._under_way)

    def take_up(self, job_id: str) -> None:
        """Carry a search through from now on, from where it stands, unless it is carried through already."""
        if job_id in self._under_way:
            return
        told = self._lifecycle.get(job_id).told
        search = self._under_way[job_id] = Search(self._spool_of(job_id), list(told))
        self._write_progress(search)

    def next_step(self, job_id: str) -> Step | JobError | None:
        """Return the next run of a search, which then is under way; None if there is none now, else why not."""
        assert self._planner is not None
        search = self._under_way[job_id]
        try:
            step = self._planner.next_step(search.spool.path, search.told, search.running, search.spent_s)
        except OSError as error:
            return JobError.of(Unavailable(f"the files of the search cannot be read or written: {error.strerror}"))
        except Exception:  # whatever a plan meets, the jobs of others go on
            log.exception("search %s cannot go on", job_id)
            return JobError.of(Internal(UNEXPECTED))
        if isinstance(step, Step):
            search.running.add(step.name)
            self._write_progress(search)
        return step

    def tell(self, job_id: str, step: Step, how: Ending) -> None:
        """Keep what a run has told, or why it failed. Raises Unavailable."""
        assert self._planner is not None
        search = self._under_way[job_id]
        said = _told(how)
        if isinstance(said, JobError):
            log.warning("job %s/%s failed: %s%s", job_id, step.name, why_to_log(said), logged(Spool(step.folder)))
            said = self._planner.failed(step, said)
        search.spool.keep_of_run(step.folder)
        timed = {**said, "at_s": round(search.spent_s, 3)}
        if self._lifecycle.tell(job_id, timed):
            search.tell(timed)
            self._write_progress(search)

    def end_run(self, job_id: str, step: Step) -> None:
        """Note that a run is under way no longer."""
        self._under_way[job_id].running.discard(step.name)

    def forget(self, job_id: str) -> None:
        """Let go of a search that has ended, with its spool, unless runs of it are still to end."""
        search = self._under_way[job_id]
        if not search.running:
            del self._under_way[job_id]
            search.spool.remove()

    def release(self) -> None:
        """Let others go on with the searches. Raises Unavailable."""
        for job_id in self.ids():
            self._lifecycle.requeue(job_id)
            del self._under_way[job_id]

    def _write_progress(self, search: Search) -> None:
        assert self._planner is not None
        with suppress(OSError, Unavailable):  # it is told again with the next trial
            search.spool.write_progress(self._planner.progress(search.spool.path, search.told, search.running))
            search.spool.tell_progress()


def _told(how: Ending) -> Told | JobError:
    match how:
        case StepTold():
            return how.said
        case JobError():
            return how
        case RunEnd():
            return how.error if isinstance(how.error, JobError) else JobError.of(how.error)
    return JobError.of(Internal("the run has made a model, which was not its order"))
