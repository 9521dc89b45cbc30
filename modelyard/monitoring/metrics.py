"""What a process counts of its calls, predictions and jobs. How it is told stands in `exposition.py`."""

from __future__ import annotations

from bisect import bisect_left
from threading import Lock

from modelyard.calls import Call
from modelyard.monitoring.numbers import Numbers
from modelyard.schemas import Job

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of the text that Prometheus reads."""

CALLS, ROWS, JOBS, LOADED = "calls", "rows", "jobs", "loaded"
"""The first words of keys. Then come: door, verb, code; name, version; kind; nothing."""

CALL_SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""The upper bounds of the buckets in which calls are counted by how long they took."""

JOB_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""The same for jobs, from the begin of their run."""

TRAIN = "train"
"""The kind of a job that says no other."""

OTHER = "other"
"""The verb of a call that names none (an unknown path, a page of the documentation), and of models beyond the most."""

MOST_NAMES = 200
MOST_VERSIONS = 2000
"""So many names are told apart, and so many versions of all of them together."""


class Metrics:
    """The counts of this process. All methods may be called by any thread, and take about half a microsecond."""

    def __init__(self, numbers: Numbers | None = None) -> None:
        self.numbers = Numbers() if numbers is None else numbers
        self._calls: dict[tuple[str, str, str], int] = {}
        self._models: dict[tuple[str, int], int] = {}
        self._names: set[str] = set()
        self._lock = Lock()
        self.set_loaded_bytes(0)

    def listen(self, call: Call) -> None:
        """Count a call that has ended."""
        values = self.numbers.values
        with self._lock:
            at = self._calls.get((call.door, call.verb, call.code)) or self._place_of(call)
            values[at + bisect_left(CALL_SECONDS, call.seconds)] += 1
            values[at + len(CALL_SECONDS) + 1] += call.seconds

    def count_job(self, job: Job) -> None:
        """Count a job that has ended, unless its run never began."""
        if job.started_at is None or job.ended_at is None:
            return
        seconds = (job.ended_at - job.started_at).total_seconds()
        with self._lock:
            at = self.numbers.at((JOBS, job.kind), len(JOB_SECONDS) + 2)
            self.numbers.values[at + bisect_left(JOB_SECONDS, seconds)] += 1
            self.numbers.values[at + len(JOB_SECONDS) + 1] += seconds

    def count_rows(self, name: str, version: int, rows: int, unknown: int, missing: int) -> None:
        """Count rows that a model has predicted, their cells with unknown categories, and their missing cells."""
        with self._lock:
            at = self._models.get((name, version)) or self._place_of_model(name, version)
            self.numbers.values[at] += rows
            self.numbers.values[at + 1] += unknown
            self.numbers.values[at + 2] += missing

    def set_loaded_bytes(self, size: int) -> None:
        """Say how much memory the loaded models of this process take."""
        with self._lock:
            self.numbers.values[self.numbers.at((LOADED,))] = size

    def _place_of(self, call: Call) -> int:
        key = (call.door, call.verb, call.code)
        at = self.numbers.at((CALLS, call.door, call.verb or OTHER, call.code), len(CALL_SECONDS) + 2)
        self._calls[key] = at
        return at

    def _place_of_model(self, name: str, version: int) -> int:
        if len(self._models) >= MOST_VERSIONS or (name not in self._names and len(self._names) >= MOST_NAMES):
            return self.numbers.at((ROWS, OTHER, OTHER), 3)
        self._names.add(name)
        at = self._models[name, version] = self.numbers.at((ROWS, name, str(version)), 3)
        return at
