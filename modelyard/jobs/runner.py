"""The protocols of runners and owners: jobs know no more of where runs take place and which process owns a job.

The spool is the same for every runner: a run finds its order there, and its progress, its log and its ending are there
before its end is told, or can be collected then. The ending is under a key that its owner has made for this run alone,
in memory. `local` runs processes of this machine, which end with their owner; `ray` those of a cluster, which go on
without it: where they run the key is known as well, and whoever adopts a run is told it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from modelyard.errors import ModelyardError
from modelyard.schemas import JobError, JobStatus

UNEXPECTED = "something went wrong inside; the log has the reason under this job's id"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the runs of a yard may take: `workers` at a time, `timeout_s` and `memory_bytes` each, 0 for any.

    `niceness` is the priority they run with; `grace_s` is how long they may go on after their process is told to stop.
    `queue` is how many jobs may wait.
    """

    workers: int = 1
    queue: int = 100
    timeout_s: float = 0.0
    memory_bytes: int = 0
    niceness: int = 10
    grace_s: float = 10.0


@dataclass(frozen=True, slots=True)
class RunEnd:
    """What the runner saw of a run's end. It counts if the run left no ending in its spool.

    `error` says why there is none; `status` is what becomes of the job. `key`, that of the ending, is there if the run
    took place elsewhere: what it has made is to be collected.
    """

    error: ModelyardError | JobError
    status: JobStatus = "failed"
    key: bytes | None = field(default=None, repr=False)


class Place(Protocol):
    """A place that is kept for one run."""

    def start(self, job_id: str, spool: Path, key: bytes, ended: Callable[[RunEnd], None]) -> None:
        """Start the run of a job, which holds the place to its end. `ended` is called once, in any thread.

        The `job_id` of a search's run is `SEARCH/RUN`, so that a runner may keep a process for the next run of it.
        The run writes its ending under `key`, which goes to it by a way of which nobody else can read: no file,
        no argument, no environment.
        """

    def free(self) -> None:
        """Give the place back unless a run has it."""


class Runner(Protocol):
    """Starts runs, keeps them to their limits of time and memory, kills them, and tells of their ends."""

    outlived: bool
    """Whether runs go on when their owner has ended, so that others can adopt them."""

    def prepare(self) -> None:
        """Get ready for the first run. Returns at once."""

    def reserve(self) -> Place | None:
        """Keep a place for a run; None if as many run as may. Raises Unavailable."""

    def adopt(self, job_id: str, spool: Path, ended: Callable[[RunEnd], None]) -> None:
        """Look after the run of a job from now on that another process has started. `ended` is as for a start.

        A run that is not found has ended with its cluster.
        """

    def sweep(self, job_id: str) -> None:
        """Kill the runs of a search that other processes have started and cannot look after any more."""

    def kill(self, job_id: str) -> None:
        """Kill a run. Its end is told in any case, also if it had ended by itself."""

    def close(self) -> None:
        """Leave nothing behind. No run is left then, but those that are outlived."""


class Owners(Protocol):
    """The processes that share a yard: each job is one's, which looks after it for as long as it is alive."""

    mine: str | None
    """The id by which this process owns jobs; None before `claim` and after `release`."""

    def claim(self) -> str:
        """Return the id by which this process owns jobs, and is alive for the others, from the first call on."""

    def release(self) -> None:
        """Stop being alive for the others."""

    def is_alive(self, owner_id: str) -> bool:
        """Whether the process of an id is alive."""

    def has_others(self) -> bool:
        """Whether any other process is alive. Raises Unavailable."""

    def forget_dead(self) -> None:
        """Remove what dead processes have left. Raises Unavailable."""
