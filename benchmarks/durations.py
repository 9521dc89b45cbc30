"""What is promised in seconds, beside what it takes.

Run as `python -m benchmarks.durations`, while nothing else runs: each promise is about an idle machine. It needs
Chromium, and ends with an error if a promise is not kept.
"""

from __future__ import annotations

import logging
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser

from modelyard.bootstrap import build
from modelyard.settings import Settings
from tests import clearml_double, dashboards, doors
from tests.processes import descendants, parents, runs
from tests.storage_drafts import add_model, new_model, open_store
from tests.waiting import PATIENCE_S, wait_until

RUNS = 3
MANY_MODELS = 10_000
MANY_PAGES = {
    "models": "of 2000 names",
    "predict": "Columns that the table needs",
    "compare": "Hyperparams that differ",
    "train": "Take the sample",
    "name?name=model-0000": "Newest: v5",
    "model?id=model-0000": "All metrics",
    "jobs": "Nothing has been trained yet",
}
"""Pages, and words that stand where their first useful view is."""
REST = [sys.executable, "-m", "modelyard", "rest"]
ROWS = 2000
TABLE: dict[str, Any] = {
    "X": {"age": [float(row % 67) for row in range(ROWS)], "city": [f"c{row % 13}" for row in range(ROWS)]},
    "y": ["yes" if row % 3 else "no" for row in range(ROWS)],
    "evaluation": {"method": "none"},
}
QUICK = {**TABLE, "model_class_key": "logistic_regression", "name": "asked"}
LONG = {**TABLE, "model_class_key": "catboost_classifier", "hyperparams": {"iterations": 20_000, "depth": 8}}


@dataclass(frozen=True, slots=True)
class Promise:
    """Something that takes at most so long, and how long it took: the best of a few times."""

    what: str
    at_most: float
    taken: float
    unit: str = "ms"

    def row(self) -> str:
        """Return its line of the table."""
        digits = 0 if self.taken >= 10 else 1
        return f"| {self.what} | {self.at_most:,g} {self.unit} | {self.taken:,.{digits}f} {self.unit} |\n"


def run() -> Iterator[str]:
    """Measure, and yield the table; raise SystemExit if a promise was not kept."""
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as name:
        folder = Path(name)
        promises = [_start(folder), _first_page(folder), *_pages_of_many(folder), _look_up(folder)]
        promises += [*_trainings(folder), *_ends(folder)]
    yield "| | promised | taken |\n| --- | ---: | ---: |\n" + "".join(promise.row() for promise in promises)
    broken = [promise.what for promise in promises if promise.taken > promise.at_most]
    if broken:
        raise SystemExit(f"not kept: {', '.join(broken)}")


def _start(folder: Path) -> Promise:
    taken = []
    for number in range(RUNS):  # the first one reads its libraries from the disk
        began = time.perf_counter()
        with _serving(folder / f"start-{number}"):
            taken.append(_ms_since(began))
    return Promise("a REST server's first answer after its start", 2500, min(taken))


def _first_page(folder: Path) -> Promise:
    with dashboards.dashboard(folder / "page") as dashboard, dashboards.chromium() as browser:
        taken = min(_ms_to_the_first_page(browser, dashboard.url) for _ in range(RUNS))
    return Promise("the dashboard's first page in a browser", 2000, taken)


def _ms_to_the_first_page(browser: Browser, url: str) -> float:
    context = browser.new_context()
    page = context.new_page()
    began = time.perf_counter()
    page.goto(url)
    page.get_by_text("Active models").wait_for()
    taken = _ms_since(began)
    context.close()
    return taken


def _pages_of_many(folder: Path) -> Iterator[Promise]:
    """Yield what pages take until they are of use, in a yard of MANY_MODELS models."""
    place = folder / "many"
    store = open_store(place)
    made = {"metrics": {"validation_accuracy": 0.9}, "report": b'{"metrics":{},"columns":{},"rows":{}}'}
    for number in range(MANY_MODELS):
        add_model(store, new_model(name=f"model-{number % (MANY_MODELS // 5):04}", **made))
    store.close()
    logging.disable(logging.WARNING)  # that none of them can be loaded ahead
    with dashboards.dashboard(place) as dashboard, dashboards.chromium() as browser:
        for page, words in MANY_PAGES.items():
            taken = min(_ms_to_a_page(browser, f"{dashboard.url}/{page}", words) for _ in range(RUNS))
            yield Promise(f"the page {page} of {MANY_MODELS:,} models", 1500, taken)


def _ms_to_a_page(browser: Browser, url: str, words: str) -> float:
    """Return how long a page takes of a visitor whose browser has the scripts already."""
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    page.goto(url)
    page.get_by_text(words).first.wait_for()
    began = time.perf_counter()
    page.goto(url)
    page.get_by_text(words).first.wait_for()
    taken = _ms_since(began)
    context.close()
    return taken


def _look_up(folder: Path) -> Promise:
    store = open_store(folder / "look-up")
    add_model(store, new_model(name="churn"))
    store.resolve_active("churn")
    taken = []
    for _ in range(RUNS):
        began = time.perf_counter()
        for _ in range(200):
            store.resolve_active("churn")
        taken.append(_ms_since(began) * 1000 / 200)
    store.close()
    return Promise("the store's look-up for a prediction", 100, min(taken), "µs")


def _trainings(folder: Path) -> Iterator[Promise]:
    with _serving(folder / "trainings") as server:
        server.http.post("/train", json=QUICK).raise_for_status()
        idle = _median_of_predictions(server.http)
        job_id, _ = server.train_for_long()
        busy = _median_of_predictions(server.http)
        assert server.http.delete(f"/jobs/{job_id}").json()["status"] == "cancelled"  # so it ran all the while
        yield Promise("a prediction while a training runs, beside one of an idle server", 3, busy / idle, "times")
        here = [_cancel(server, lambda job_id: server.http.delete(f"/jobs/{job_id}")) for _ in range(RUNS)]
        yield Promise("cancel: the answer", 50, min(answered for answered, _ in here))
        yield Promise("cancel: the end of the run's processes", 250, min(gone for _, gone in here))
        other = build(Settings(storage_dir=server.folder))
        elsewhere = [_cancel(server, other.cancel_job) for _ in range(RUNS)]
        other.close()
        yield Promise("cancel by another process: the answer", 50, min(answered for answered, _ in elsewhere))
        yield Promise(
            "cancel by another process: the end of the run's processes", 1000, min(gone for _, gone in elsewhere)
        )


def _median_of_predictions(http: httpx.Client) -> float:
    taken = []
    for _ in range(400):
        began = time.perf_counter()
        http.post("/predict", json={"model_id": "asked", "X": [[41.0, "c5"]]}).raise_for_status()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _ends(folder: Path) -> Iterator[Promise]:
    with _serving(folder / "killed") as server:
        server.train_for_long()
        family = descendants(server.process.pid)
        began = time.perf_counter()
        server.process.kill()
        _wait_until_gone(family)
        yield Promise("a server is killed: the end of its runs", 2000, _ms_since(began))
    with _serving(folder / "too-long", MODELYARD_TRAIN_TIMEOUT_S="1") as server:
        server.http.post("/train", json=QUICK)  # it may be the first to run out of time: the fork server gets ready
        job_id = server.order()
        run = wait_until(lambda: runs(server.process.pid))
        wait_until(lambda: server.http.get(f"/jobs/{job_id}").json()["status"] == "failed")
        began = time.perf_counter()
        _wait_until_gone(run)
        yield Promise("a training over its time is told: the end of its processes", 1000, _ms_since(began))
    with (
        clearml_double.listening(clearml_double.Double(frozen=True)) as clearml,
        _serving(folder / "frozen", **clearml.environment(folder)) as server,
    ):
        server.http.post("/train", json=QUICK).raise_for_status()
        wait_until(lambda: "auth.login" in clearml.calls)
        began = time.perf_counter()
        server.process.terminate()
        server.process.wait(PATIENCE_S)
        yield Promise("the end of a server whose ClearML hangs", 5000, _ms_since(began))


@dataclass(frozen=True, slots=True)
class _Server:
    """A REST server on a folder, and how to have something train there."""

    process: subprocess.Popen[bytes]
    http: httpx.Client
    folder: Path

    def order(self) -> str:
        """Order a long training and return its id."""
        job_id: str = self.http.post("/train?wait=false", json=LONG).raise_for_status().json()["job_id"]
        return job_id

    def train_for_long(self) -> tuple[str, set[int]]:
        """Order a long training; return its id and its processes once it is at work."""
        job_id = self.order()
        wait_until(lambda: self.http.get(f"/jobs/{job_id}").json()["progress"]["step"] is not None)
        return job_id, runs(self.process.pid)


@contextmanager
def _serving(folder: Path, **settings: str) -> Iterator[_Server]:
    port = doors.free_port()
    url = f"http://127.0.0.1:{port}"
    with (
        doors.serving(REST, folder, MODELYARD_REST_PORT=str(port), **settings) as process,
        httpx.Client(base_url=url, timeout=PATIENCE_S) as http,
    ):
        doors.wait_until_healthy(url)
        yield _Server(process, http, folder)


def _cancel(server: _Server, cancel: Callable[[str], object]) -> tuple[float, float]:
    """Return how long the answer took, and until no process of the run was left, in ms."""
    job_id, run = server.train_for_long()
    began = time.perf_counter()
    cancel(job_id)
    answered = _ms_since(began)
    _wait_until_gone(run)
    return answered, _ms_since(began)


def _wait_until_gone(pids: set[int]) -> None:
    while pids & parents().keys():
        time.sleep(0.001)


def _ms_since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    for table in run():
        print(table, flush=True)
