"""Jobs behind REST, on real servers: without waiting, followed, hung up on, refused, killed and stopped."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests import doors
from tests.processes import descendants, wait_until_gone
from tests.waiting import PATIENCE_S, wait_until

X: list[dict[str, Any]] = [{"age": 20 + i % 40, "job": ["clerk", "smith", None][i % 3]} for i in range(60)]
Y = ["yes" if row["age"] > 40 else "no" for row in X]
QUICK: dict[str, Any] = {"model_class_key": "logistic_regression", "X": X, "y": Y, "evaluation": {"method": "none"}}
LONG: dict[str, Any] = {
    "model_class_key": "catboost_classifier",
    "X": X,
    "y": Y,
    "hyperparams": {"iterations": 1_000_000},
    "evaluation": {"method": "none"},
}


@dataclass(frozen=True, slots=True)
class Server:
    """A REST server."""

    http: httpx.Client

    def order(self, body: dict[str, Any], **headers: str) -> dict[str, Any]:
        """Order a training without waiting for it."""
        answer = self.http.post("/train?wait=false", json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        assert answer.headers["location"] == f"/jobs/{job['job_id']}"
        return job

    def newest(self) -> dict[str, Any]:
        """Return the job that was ordered last, an empty one where there is none."""
        jobs: list[dict[str, Any]] = self.http.get("/jobs?limit=1").json()["jobs"]
        return jobs[0] if jobs else {}

    def status(self, job: dict[str, Any]) -> str:
        """Return a job's status."""
        return str(self.http.get(f"/jobs/{job['job_id']}").json()["status"])

    def until(self, job: dict[str, Any], status: str) -> None:
        """Wait for a job's status."""
        wait_until(lambda: self.status(job) == status)

    def until_at_work(self, job: dict[str, Any]) -> None:
        """Wait until a job's run has begun to fit."""
        wait_until(lambda: self.http.get(f"/jobs/{job['job_id']}").json()["progress"]["step"] is not None)


@contextmanager
def served(folder: Path, grace_s: float = 0) -> Iterator[tuple[Server, subprocess.Popen[bytes]]]:
    """Start a server as a process of its own."""
    port = doors.free_port()
    command = [sys.executable, "-m", "modelyard", "rest", "--port", str(port)]
    settings = {"MODELYARD_TRAIN_GRACE_S": str(grace_s), "MODELYARD_TRAIN_WORKERS": "1"}
    with doors.serving(command, folder, **settings) as process:
        doors.wait_until_healthy(url := f"http://127.0.0.1:{port}")
        with httpx.Client(base_url=url, timeout=PATIENCE_S) as http:
            yield Server(http), process


@contextmanager
def served_here(folder: Path, **settings: Any) -> Iterator[Server]:
    """Serve in a thread of this process."""
    with (
        doors.rest_thread(folder, train_grace_s=0, train_workers=1, **settings) as url,
        httpx.Client(base_url=url, timeout=PATIENCE_S) as http,
    ):
        yield Server(http)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Share one server among the tests that leave no job behind."""
    with served_here(tmp_path_factory.mktemp("yard") / "models_storage", queue_limit=1) as made:
        yield made


def events(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line.startswith("data:"):
            yield orjson.loads(line.removeprefix("data:"))


def test_a_job_is_ordered_followed_and_found(server: Server) -> None:
    job = server.order({**QUICK, "name": "followed"})
    assert job.keys() >= {"job_id", "status", "progress", "model_id", "error", "created_at", "started_at", "ended_at"}
    with server.http.stream("GET", f"/jobs/{job['job_id']}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        states = list(events(answer))
    assert states[-1]["status"] == "succeeded"
    assert states[-1] == server.http.get(f"/jobs/{job['job_id']}").json()
    assert server.http.get("/models/followed").json()["model_id"] == states[-1]["model_id"]
    assert server.http.get("/jobs?status=succeeded&limit=1").json()["jobs"] == states[-1:]


def test_a_browser_that_has_seen_the_end_is_told_to_ask_no_more(server: Server) -> None:
    job = server.order(QUICK)
    path = f"/jobs/{job['job_id']}/events"
    said = server.http.get(path).text.strip().split("\n\n")
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in said if block[0] != ":"]
    assert [list(block) for block in blocks] == [["retry", "id", "event", "data"]] * len(blocks)
    assert len({block["id"] for block in blocks}) == len(blocks)
    again = server.http.get(path, headers={"Last-Event-ID": blocks[-1]["id"]})
    assert (again.status_code, again.content) == (204, b"")
    missed = server.http.get(path, headers={"Last-Event-ID": "running-0.100000"})
    assert [state["status"] for state in events(missed)] == ["succeeded"]
    assert server.http.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/jobs/nobody", "/jobs/nobody/events"])
def test_a_job_that_does_not_exist_is_404(server: Server, path: str) -> None:
    answer = server.http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_a_cancelled_job_ends_for_all_who_wait_for_it(server: Server) -> None:
    job = server.order(LONG, **{"Idempotency-Key": "waited-for"})
    server.until_at_work(job)
    answers: list[httpx.Response] = []
    waiting = threading.Thread(
        target=lambda: answers.append(server.http.post("/train", json=LONG, headers={"Idempotency-Key": "waited-for"}))
    )
    waiting.start()
    with server.http.stream("GET", f"/jobs/{job['job_id']}/events") as answer:
        following = events(answer)
        assert next(following)["status"] == "running"
        cancelled = server.http.delete(f"/jobs/{job['job_id']}")
        assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelled")
        assert list(following)[-1]["status"] == "cancelled"
    waiting.join()
    assert (answers[0].status_code, answers[0].json()["code"]) == (409, "CANCELLED")
    again = server.http.delete(f"/jobs/{job['job_id']}")
    assert (again.status_code, again.json()["code"]) == (409, "FAILED_PRECONDITION")


def test_a_full_queue_says_when_to_come_back(server: Server) -> None:
    jobs = [server.order(LONG), server.order(LONG)]
    refused = server.http.post("/train", json=LONG)
    assert (refused.status_code, refused.json()["code"]) == (429, "RESOURCE_EXHAUSTED")
    assert int(refused.headers["retry-after"]) > 0
    for job in reversed(jobs):
        server.http.delete(f"/jobs/{job['job_id']}")


def test_a_caller_that_hangs_up_does_not_stop_its_run(server: Server) -> None:
    body = {**QUICK, "model_class_key": "catboost_classifier", "hyperparams": {"iterations": 3000}, "name": "left"}
    content = orjson.dumps(body)
    address = (server.http.base_url.host, server.http.base_url.port)
    with socket.create_connection(address) as caller:
        caller.sendall(
            b"POST /train HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(content) + content
        )
        wait_until(lambda: server.newest().get("name") == "left")
        job = server.newest()
        server.until_at_work(job)
    assert server.status(job) == "running"
    server.until(job, "succeeded")
    assert server.http.get("/models/left").status_code == 200


def test_small_answers_do_not_wait_for_trainings(server: Server) -> None:
    """More callers wait for a training than the server has threads."""
    model = server.http.post("/train", json={**QUICK, "name": "served"}).json()
    job = server.order(LONG, **{"Idempotency-Key": "crowd"})
    content, headers = orjson.dumps(LONG), {"Idempotency-Key": "crowd"}
    answers: list[httpx.Response] = []

    def wait() -> None:
        answers.append(server.http.post("/train", content=content, headers=headers))

    crowd = [threading.Thread(target=wait) for _ in range(60)]
    for one in crowd:
        one.start()
    answer = server.http.post("/predict/file", data={"model_id": model["model_id"]}, files={"file": orjson.dumps(X)})
    assert answer.status_code == 200
    assert answers == []
    server.http.delete(f"/jobs/{job['job_id']}")
    for one in crowd:
        one.join()
    assert [waited.status_code for waited in answers] == [409] * 60


def test_after_a_kill_the_next_server_takes_over(storage_dir: Path) -> None:
    with served(storage_dir) as (first, process):
        running = first.order(LONG, **{"Idempotency-Key": "k"})
        queued = first.order({**QUICK, "name": "queued"})
        first.until_at_work(running)
        family = descendants(process.pid)
        assert len(family) == 2
        process.kill()
        process.wait()
        wait_until_gone(family)
    with served_here(storage_dir) as second:
        assert second.status(running) == "interrupted"
        second.until(queued, "succeeded")
        assert second.http.get("/models").json()["models"][0]["name"] == "queued"
        again = second.order(LONG, **{"Idempotency-Key": "k"})
        assert again["job_id"] != running["job_id"]
        second.until_at_work(again)
        assert second.http.delete(f"/jobs/{again['job_id']}").status_code == 202


@pytest.mark.parametrize(("grace_s", "status"), [(PATIENCE_S, 201), (0, 503)], ids=["within", "beyond"])
def test_a_server_that_is_stopped_gives_its_runs_their_grace(storage_dir: Path, grace_s: float, status: int) -> None:
    iterations = 2000 if status == 201 else 1_000_000
    body = {**LONG, "hyperparams": {"iterations": iterations}, "name": "late"}
    with served(storage_dir, grace_s) as (server, process):
        answers: list[httpx.Response] = []
        waiting = threading.Thread(target=lambda: answers.append(server.http.post("/train", json=body)))
        waiting.start()
        wait_until(lambda: bool(server.http.get("/jobs").json()["jobs"]))
        job = server.http.get("/jobs").json()["jobs"][0]
        server.until_at_work(job)
        family = descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        waiting.join()
        assert answers[0].status_code == status, answers[0].text
        process.wait(PATIENCE_S)
        wait_until_gone(family)
    with doors.core(storage_dir) as yard:
        assert yard.get_job(job["job_id"]).status == ("succeeded" if status == 201 else "interrupted")
    assert not any(path.is_dir() for path in (storage_dir / "jobs").iterdir())
