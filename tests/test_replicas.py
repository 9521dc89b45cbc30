"""Two replicas of each door behind a balancer, on PostgreSQL and a bucket: restarted, killed and paused under load."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import ModelyardError, Unavailable
from modelyard.grpc_server.client import GrpcClient
from modelyard.rest_api.client import RestClient
from modelyard.schemas import Job, JobQuery, ModelQuery, TrainRequest
from modelyard.verbs import Verbs
from tests import doors
from tests.balancers import Balancer, balancer
from tests.churn import ASKED, ORDER
from tests.loads import Load, patiently
from tests.postgres_server import PostgresServer
from tests.processes import descendants, runs
from tests.s3_server import S3Server
from tests.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.timeout(600)

DRAIN_S = 5
"""As docker-compose.scale.yml has it."""


class Replica:
    """A server that is stopped and started again, on a host of its own: its folder is nobody else's."""

    def __init__(self, name: str, folder: Path, stack: ExitStack, settings: dict[str, str]) -> None:
        self.name = name
        self.door = name.partition("-")[0]
        self.port = doors.free_port()
        self.ready_at = self.port if self.door == "rest" else doors.free_port()
        self._folder = folder / name / "yard"
        self._folder.parent.mkdir()
        self._stack = stack
        ports = {f"MODELYARD_{self.door.upper()}_PORT": str(self.port)}
        if self.door == "grpc":
            ports["MODELYARD_METRICS_PORT"] = str(self.ready_at)
        self._settings = {**settings, **ports}
        self.process = self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "modelyard", self.door]
        self.process = self._stack.enter_context(doors.serving(command, self._folder, **self._settings))
        return self.process

    def wait_until_ready(self) -> None:
        doors.wait_until_healthy(f"http://127.0.0.1:{self.ready_at}", "/health/ready")

    def restart(self) -> None:
        self.process.terminate()
        assert self.process.wait(PATIENCE_S) == 0
        self.start()
        self.wait_until_ready()


class Cluster:
    """The replicas by name, and the balancer before them."""

    def __init__(self, replicas: dict[str, Replica], before: Balancer) -> None:
        self.replicas = replicas
        self._before = before

    def rest(self) -> RestClient:
        return RestClient(f"http://127.0.0.1:{self._before.rest}")

    def grpc(self) -> GrpcClient:
        return GrpcClient(f"127.0.0.1:{self._before.grpc}")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer, s3: S3Server) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    bucket = s3.new_bucket()
    settings = {
        "MODELYARD_DATABASE_URL": postgres.new_yard(),
        "MODELYARD_ARTIFACTS_URL": bucket["artifacts_url"],
        "MODELYARD_S3_ENDPOINT": bucket["s3_endpoint"],
        "MODELYARD_DRAIN_S": str(DRAIN_S),
        "MODELYARD_TRAIN_GRACE_S": str(PATIENCE_S),
        "MODELYARD_TRAIN_WORKERS": "1",
    }
    with ExitStack() as stack:
        names = ("rest-1", "rest-2", "grpc-1", "grpc-2")
        replicas = {name: Replica(name, folder, stack, settings) for name in names}
        places = {name: one.address for name, one in replicas.items()}
        checks = {name: one.ready_at for name, one in replicas.items() if one.door == "grpc"}
        before = stack.enter_context(balancer(folder, places, checks))
        for one in replicas.values():
            one.wait_until_ready()
        yield Cluster(replicas, before)
        for one in replicas.values():
            one.process.kill()  # nobody is left to take leave of


def follow(client: Verbs) -> None:
    job = client.submit_training(ORDER)
    assert [state.status for state in client.watch_job(job.job_id)][-1] == "succeeded"


def test_replicas_are_restarted_one_after_another_and_no_call_fails(cluster: Cluster) -> None:
    load = Load()
    with ExitStack() as stack:
        rest, grpc = (stack.enter_context(client) for client in (cluster.rest(), cluster.grpc()))
        wait_until(lambda: _succeeds(lambda: rest.train(ORDER)))
        wait_until(lambda: _succeeds(lambda: grpc.predict(ASKED)))
        load.add("rest predicts", lambda: rest.predict(ASKED))
        load.add("grpc predicts", lambda: grpc.predict(ASKED))
        load.add("rest follows", lambda: follow(rest))
        load.add("grpc trains", lambda: grpc.train(ORDER))
        stack.callback(load.end)
        load.wait_for_more()
        for n in (1, 2):
            pair = [threading.Thread(target=cluster.replicas[f"{door}-{n}"].restart) for door in ("rest", "grpc")]
            for one in pair:
                one.start()
            for one in pair:
                one.join()
            load.wait_for_more()
        load.end()
    assert load.failures == []


def test_what_a_killed_replica_was_about_is_told_and_what_a_paused_one_goes_on_with_does_not_count(
    cluster: Cluster,
) -> None:
    killed, other, paused = (cluster.replicas[name] for name in ("rest-1", "rest-2", "grpc-1"))
    load = Load()
    with ExitStack() as stack:
        looking = stack.enter_context(RestClient(f"http://{other.address}"))
        through = stack.enter_context(cluster.rest())
        wait_until(lambda: _succeeds(lambda: through.train(ORDER)))
        with GrpcClient(paused.address) as direct:
            going_on = patiently(lambda: direct.submit_training(_long("paused")))
        in_flight = _in_flight(killed, looking, stack)
        _until_at_work(looking, going_on)
        load.add("predicts", lambda: through.predict(ASKED))
        stack.callback(load.end)
        load.wait_for_more()
        frozen = {paused.process.pid, *descendants(paused.process.pid)}
        _send(frozen, signal.SIGSTOP)
        stack.callback(_send, frozen, signal.SIGCONT)
        killed.process.kill()
        in_flight.check_told()
        load.wait_for_more()
        for job in (in_flight.job, going_on):
            wait_until(lambda: _now(looking, job).status == "interrupted")  # noqa: B023
            error = _now(looking, job).error
            assert error is not None
            assert error.detail == "the training was interrupted, because its server ended; train again"
        load.end()
        assert len(load.failures) <= 1  # the one that was in flight on it
        killed.start()
        killed.wait_until_ready()
        _send(frozen, signal.SIGCONT)
        _check_woken(paused, looking, going_on)
        with RestClient(f"http://{killed.address}") as direct:
            assert patiently(lambda: direct.train(ORDER)).name == "churn"
        made = {model.name for model in patiently(lambda: looking.list_models(ModelQuery(limit=1000))).models}
        assert not {"killed", "paused", "half"} & made
        assert all(job.name != "half" for job in patiently(lambda: looking.list_jobs(JobQuery(limit=1000))).jobs)


class InFlight:
    """What waits at a replica: for a training, for the events of its job, and an upload of which half has come."""

    def __init__(self, job: Job, waiting: list[Future[Any]], upload: socket.socket) -> None:
        self.job = job
        self._waiting = waiting
        self._upload = upload

    def check_told(self) -> None:
        """Check that all are told of the replica's end."""
        for one in self._waiting:
            with pytest.raises(Unavailable):
                one.result(PATIENCE_S)
        with suppress(ConnectionResetError):
            assert self._upload.recv(1) == b""


def _in_flight(replica: Replica, looking: RestClient, stack: ExitStack) -> InFlight:
    direct = stack.enter_context(RestClient(f"http://{replica.address}"))
    threads = stack.enter_context(ThreadPoolExecutor())
    stack.callback(replica.process.kill)
    training = threads.submit(direct.train, _long("killed"))
    job = wait_until(lambda: next((one for one in patiently(looking.list_jobs).jobs if one.name == "killed"), None))
    _until_at_work(looking, job)
    following = threads.submit(lambda: list(direct.watch_job(job.job_id)))
    upload = stack.enter_context(socket.create_connection(("127.0.0.1", replica.port)))
    upload.settimeout(PATIENCE_S)
    form = b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nhalf\r\n--b\r\n'
    form += b'Content-Disposition: form-data; name="file"; filename="t.csv"\r\n\r\nage,member\r\n1,'
    head = b"POST /train/file HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n"
    upload.sendall(head + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + form)
    return InFlight(job, [training, following], upload)


def _check_woken(woken: Replica, looking: RestClient, interrupted: Job) -> None:
    """Check that a replica that was paused serves and trains again, and that the run it had comes to nothing."""
    with GrpcClient(woken.address) as direct:
        wait_until(lambda: _succeeds(lambda: direct.predict(ASKED)))
        wait_until(lambda: not runs(woken.process.pid))
        assert _now(direct, interrupted).status == "interrupted"
        again = patiently(lambda: direct.submit_training(_long("again")))
        _until_at_work(looking, again)
        seen = _now(looking, again).progress.step or 0
        wait_until(lambda: (_now(looking, again).progress.step or 0) > seen)
        assert patiently(lambda: direct.cancel_job(again.job_id)).status == "cancelled"


def _long(name: str) -> TrainRequest:
    rows = [[n % 7, n % 11, n % 13] for n in range(4000)]
    labels = ["odd" if (a * b + c) % 2 else "even" for a, b, c in rows]
    settings = {"iterations": 100_000, "depth": 10}
    return TrainRequest(model_class_key="catboost_classifier", X=rows, y=labels, name=name, hyperparams=settings)


def _now(looking: RestClient | GrpcClient, job: Job) -> Job:
    return patiently(lambda: looking.get_job(job.job_id))


def _until_at_work(looking: RestClient, job: Job) -> None:
    wait_until(lambda: _now(looking, job).progress.step)


def _send(pids: Collection[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _succeeds(act: Callable[[], Any]) -> bool:
    try:
        act()
    except ModelyardError:
        return False
    return True
