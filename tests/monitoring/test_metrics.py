"""What is counted, and how it is told."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from modelyard.calls import Call, Calls
from modelyard.monitoring import metrics as metrics_module
from modelyard.monitoring.exposition import State, exposition
from modelyard.monitoring.metrics import CALL_SECONDS, Metrics
from modelyard.monitoring.numbers import Numbers, Place, shared_memory
from modelyard.schemas import Job
from tests.scraping import Samples, labels, read

OTHER_WORKER = """
import sys
from modelyard.monitoring.metrics import Metrics
from modelyard.monitoring.numbers import Numbers, Place
metrics = Metrics(Numbers(Place(int(sys.argv[1]), 1)))
metrics.count_rows("credit", 1, 10, 0, 0)
metrics.set_loaded_bytes(500)
"""


def told(metrics: Metrics, state: State | None = None) -> Samples:
    return read(exposition(metrics.numbers, state))


def call(verb: str, code: str = "OK", seconds: float = 0.01, door: str = "rest") -> Call:
    made = Call(Calls(), door, "a call", request_id="1")
    made.verb, made.code, made.seconds = verb, code, seconds
    return made


def job(**given: Any) -> Job:
    now = datetime.now(UTC)
    return Job(job_id="1", status="succeeded", model_class_key="linear_regression", created_at=now, **given)


def test_calls_are_counted_by_door_verb_and_code_and_timed_by_door_and_verb() -> None:
    metrics = Metrics()
    for made in (call("predict"), call("predict"), call("predict", "NOT_FOUND", 61.0), call("train", door="grpc")):
        metrics.listen(made)
    found = told(metrics)
    of_predict = labels(door="rest", verb="predict")
    assert found["modelyard_requests_total", labels(door="rest", verb="predict", code="OK")] == 2
    assert found["modelyard_requests_total", labels(door="rest", verb="predict", code="NOT_FOUND")] == 1
    assert found["modelyard_requests_total", labels(door="grpc", verb="train", code="OK")] == 1
    assert found["modelyard_request_seconds_count", of_predict] == 3
    assert found["modelyard_request_seconds_sum", of_predict] == pytest.approx(61.02)
    assert found["modelyard_request_seconds_bucket", labels(door="rest", verb="predict", le="60.0")] == 2
    assert found["modelyard_request_seconds_bucket", labels(door="rest", verb="predict", le="+Inf")] == 3


def test_a_call_counts_in_the_bucket_of_the_bound_that_it_does_not_pass() -> None:
    metrics = Metrics()
    for bound in CALL_SECONDS:
        metrics.listen(call("predict", seconds=bound))
    found = told(metrics)
    for place, bound in enumerate(CALL_SECONDS):
        key = "modelyard_request_seconds_bucket", labels(door="rest", verb="predict", le=str(bound))
        assert found[key] == place + 1


def test_a_call_without_a_verb_has_the_verb_other() -> None:
    metrics = Metrics()
    metrics.listen(call("", "NOT_FOUND"))
    assert told(metrics)["modelyard_requests_total", labels(door="rest", verb="other", code="NOT_FOUND")] == 1


def test_jobs_are_timed_from_the_begin_of_their_run() -> None:
    metrics = Metrics()
    began = datetime.now(UTC)
    metrics.count_job(job(started_at=began, ended_at=began + timedelta(seconds=2)))
    metrics.count_job(job(ended_at=began))  # cancelled while it waited
    found = told(metrics)
    assert found["modelyard_job_seconds_count", labels(kind="train")] == 1
    assert found["modelyard_job_seconds_sum", labels(kind="train")] == 2
    assert found["modelyard_job_seconds_bucket", labels(kind="train", le="1.0")] == 0
    assert found["modelyard_job_seconds_bucket", labels(kind="train", le="2.5")] == 1


def test_names_and_versions_beyond_the_most_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_module, "MOST_VERSIONS", 203)
    metrics = Metrics()
    for number in range(250):
        metrics.count_rows(f"name{number}", 1, 10, 2, 1)
    for version in range(2, 7):
        metrics.count_rows("name0", version, 1, 0, 0)
    rows = {key: value for (name, key), value in told(metrics).items() if name == "modelyard_predicted_rows_total"}
    assert len(rows) == 200 + 3 + 1
    assert rows[labels(name="name0", version="4")] == 1
    assert rows[labels(name="other", version="other")] == 50 * 10 + 2
    found = told(metrics)
    assert found["modelyard_unknown_categories_total", labels(name="other", version="other")] == 100
    assert found["modelyard_missing_cells_total", labels(name="name7", version="1")] == 1


def test_what_is_so_at_the_moment_is_told_unless_the_store_cannot_be_asked() -> None:
    state = State(jobs={("train", "running"): 2}, models={"active": 5, "deleted": 1}, tracking_pending=4)
    found = told(Metrics(), state)
    assert found["modelyard_jobs", labels(kind="train", status="running")] == 2
    assert found["modelyard_models", labels(status="deleted")] == 1
    assert found["modelyard_tracking_pending", ()] == 4
    without = {name for name, _ in told(Metrics())}
    assert {name for name, _ in found} - without == {"modelyard_jobs", "modelyard_models", "modelyard_tracking_pending"}


def test_workers_are_told_of_together_and_a_dead_ones_memory_is_not() -> None:
    descriptor = shared_memory(2)
    alive = Metrics(Numbers(Place(descriptor, 0)))
    alive.listen(call("predict"))
    alive.set_loaded_bytes(1000)
    subprocess.run([sys.executable, "-c", OTHER_WORKER, str(descriptor)], pass_fds=[descriptor], check=True)
    found = told(alive)
    os.close(descriptor)
    assert found["modelyard_requests_total", labels(door="rest", verb="predict", code="OK")] == 1
    assert found["modelyard_predicted_rows_total", labels(name="credit", version="1")] == 10
    assert found["modelyard_loaded_models_bytes", ()] == 1000
    assert found["process_cpu_seconds_total", labels(worker="0")] > 0
    assert ("process_cpu_seconds_total", labels(worker="1")) not in found


def test_no_count_is_lost_among_threads() -> None:
    metrics = Metrics()

    def count() -> None:
        for _ in range(20_000):
            metrics.listen(call_made)

    call_made = call("predict")
    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told(metrics)["modelyard_requests_total", labels(door="rest", verb="predict", code="OK")] == 80_000
