"""The metrics as Prometheus reads them: what all workers of a server have counted, and what is so at this moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

from prometheus_client import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

from modelyard.monitoring.metrics import CALL_SECONDS, CALLS, JOB_SECONDS, JOBS, LOADED, ROWS
from modelyard.monitoring.numbers import Key, Numbers, Part
from modelyard.schemas import JobStatus, Status

_BY_NAME = ("name", "version")
_ROWS = (
    ("modelyard_predicted_rows", "Rows predicted, by the model's name and version."),
    ("modelyard_unknown_categories", "Cells of predicted rows with a category that training had not seen."),
    ("modelyard_missing_cells", "Missing cells of predicted rows."),
)


@dataclass(frozen=True, slots=True)
class State:
    """What is so at this moment, by the store: the same for all processes of a folder."""

    jobs: Mapping[tuple[str, JobStatus], int]
    """How many there are of each kind and status."""

    models: Mapping[Status, int]
    """How many there are of each status."""

    tracking_pending: int
    """Trainings that the tracker has not been told of yet."""


class _Families:
    """A collector of prometheus_client for one answer."""

    def __init__(self, numbers: Numbers, state: State | None) -> None:
        self._parts = numbers.parts
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """Yield every family of metrics; those of the store are missing if it could not be asked."""
        counted = _sums(self._parts)
        yield from _of_calls({key[1:]: found for key, found in counted.items() if key[0] == CALLS})
        yield from _of_rows({key[1:]: found for key, found in counted.items() if key[0] == ROWS})
        seconds = HistogramMetricFamily(
            "modelyard_job_seconds", "How long the runs of ended jobs took, by kind.", labels=("kind",)
        )
        for (first, *labels), found in counted.items():
            if first == JOBS:
                seconds.add_metric(labels, *_histogram(JOB_SECONDS, found))
        yield seconds
        alive = [(worker, part) for worker, part in enumerate(self._parts) if part.pid is not None]
        yield GaugeMetricFamily(
            "modelyard_loaded_models_bytes",
            "Memory that loaded models take, in all workers together.",
            value=sum(_sums(part for _, part in alive).get((LOADED,), [0.0])),
        )
        if self._state is not None:
            yield from _of_state(self._state)
        yield from _of_processes(alive)


def exposition(numbers: Numbers, state: State | None) -> bytes:
    """Return the metrics in the text format `metrics.MEDIA_TYPE`, without those of the store if `state` is None."""
    return generate_latest(_Families(numbers, state))


def _sums(parts: Iterable[Part]) -> dict[Key, list[float]]:
    """Return what parts have counted, summed up by keys."""
    sums: dict[Key, list[float]] = {}
    for part in parts:
        for key, at, count in part.places():
            found: list[float] = list(part.values[at : at + count])
            before = sums.get(key)
            sums[key] = found if before is None else [a + b for a, b in zip(before, found, strict=True)]
    return sums


def _histogram(bounds: Sequence[float], found: Sequence[float]) -> tuple[list[tuple[str, float]], float]:
    """Return the buckets, each with all that is in smaller ones, and the sum of what was observed."""
    names = [*map(str, bounds), "+Inf"]
    return list(zip(names, accumulate(found[:-1]), strict=True)), found[-1]


def _of_calls(counted: Mapping[Key, Sequence[float]]) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "modelyard_requests", "Calls that have ended, by door, verb and code word.", labels=("door", "verb", "code")
    )
    seconds = HistogramMetricFamily(
        "modelyard_request_seconds", "How long calls took in the server, by door and verb.", labels=("door", "verb")
    )
    by_verb: dict[Key, list[float]] = defaultdict(lambda: [0.0] * (len(CALL_SECONDS) + 2))
    for labels, found in counted.items():
        requests.add_metric(labels, sum(found[:-1]))
        by_verb[labels[:2]] = [a + b for a, b in zip(by_verb[labels[:2]], found, strict=True)]
    for labels, summed in by_verb.items():
        seconds.add_metric(labels, *_histogram(CALL_SECONDS, summed))
    yield requests
    yield seconds


def _of_rows(counted: Mapping[Key, Sequence[float]]) -> Iterator[Metric]:
    for place, (name, says) in enumerate(_ROWS):
        family = CounterMetricFamily(name, says, labels=_BY_NAME)
        for labels, found in counted.items():
            family.add_metric(labels, found[place])
        yield family


def _of_state(state: State) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("modelyard_jobs", "Jobs there are, by kind and status.", labels=("kind", "status"))
    for labels, count in state.jobs.items():
        jobs.add_metric(labels, count)
    yield jobs
    models = GaugeMetricFamily("modelyard_models", "Models there are, by status.", labels=("status",))
    for status, count in state.models.items():
        models.add_metric((status,), count)
    yield models
    yield GaugeMetricFamily(
        "modelyard_tracking_pending",
        "Trainings that the tracker has not been told of yet.",
        value=state.tracking_pending,
    )


def _of_processes(alive: Sequence[tuple[int, Part]]) -> Iterator[Metric]:
    """Yield what prometheus_client tells of a process, of each worker; its name stays if another takes its place."""
    families: dict[str, Metric] = {}
    for worker, part in alive:
        for found in ProcessCollector(pid=partial(int, part.pid or 0), registry=None).collect():
            family = families.setdefault(found.name, Metric(found.name, found.documentation, found.type))
            for sample in found.samples:
                family.add_sample(sample.name, {**sample.labels, "worker": str(worker)}, sample.value)
    yield from families.values()
