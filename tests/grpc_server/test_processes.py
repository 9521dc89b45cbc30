"""The gRPC server as a process: callers that leave, the end by a signal, memory, and REST on the same folder."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import polars as pl
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from modelyard import errors
from modelyard.grpc_server.client import GrpcClient
from modelyard.grpc_server.client.table_chunks import chunks
from modelyard.grpc_server.client.to_messages import labels, training_message
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.pb.modelyard_pb2_grpc import ModelServiceStub
from modelyard.rest_api.client import RestClient
from modelyard.schemas import Evaluation, Job, PredictRequest, TrainRequest
from tests import doors
from tests.waiting import PATIENCE_S, wait_until

X: dict[str, list[Any]] = {
    "age": [20.0 + i % 40 for i in range(400)],
    "job": [["clerk", "smith", None][i % 3] for i in range(400)],
}
Y = ["yes" if age > 40 else "no" for age in X["age"]]
NONE = Evaluation(method="none")


def order(**fields: Any) -> TrainRequest:
    known: dict[str, Any] = {"model_class_key": "logistic_regression", "X": X, "y": Y, "evaluation": NONE}
    return TrainRequest(**{**known, **fields})


def long_order(name: str, iterations: int = 2000) -> TrainRequest:
    hyperparams = {"iterations": iterations, "depth": 4}
    return order(model_class_key="catboost_classifier", name=name, hyperparams=hyperparams)


def message(request: TrainRequest) -> pb.TrainRequest:
    made = training_message(request)
    assert isinstance(made, pb.TrainRequest)
    made.X.CopyFrom(next(chunks(request.X, 2**24))[0])
    made.y.extend(labels(request))
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("yard") / "models_storage"


@pytest.fixture(scope="module")
def target(folder: Path) -> Iterator[str]:
    with doors.grpc_server(folder) as address:
        yield address


@pytest.fixture
def client(target: str) -> Iterator[GrpcClient]:
    with GrpcClient(target) as opened:
        yield opened


def running_job(client: GrpcClient, name: str) -> Job:
    def find() -> Job | None:
        return next((job for job in client.list_jobs().jobs if job.name == name and job.status == "running"), None)

    return wait_until(find)


def test_a_training_goes_on_when_its_caller_hangs_up(target: str, client: GrpcClient) -> None:
    late = long_order("hung-up", iterations=3000)  # a quick machine must not be done before its caller leaves
    with grpc.insecure_channel(target) as channel:
        stub: Any = ModelServiceStub(channel)  # type: ignore[no-untyped-call]
        call = stub.Train.future(message(late))
        job = running_job(client, "hung-up")
        call.cancel()
    assert client.get_job(job.job_id).status in ("running", "succeeded")
    *_, last = client.watch_job(job.job_id)
    assert last.status == "succeeded"
    assert client.get_model("hung-up").model_id == last.model_id


def test_a_training_goes_on_when_its_caller_runs_out_of_time(target: str, client: GrpcClient) -> None:
    endless = message(long_order("late", iterations=1_000_000))
    with grpc.insecure_channel(target) as channel:
        stub: Any = ModelServiceStub(channel)  # type: ignore[no-untyped-call]
        for patience_s in (0.5, 5.0, 50.0):  # on a busy machine a call may run out of time before it has come in
            call = stub.Train.future(endless, timeout=patience_s, metadata=(("idempotency-key", "late"),))
            assert call.exception().code() is grpc.StatusCode.DEADLINE_EXCEEDED
            if any(job.name == "late" for job in client.list_jobs().jobs):
                break
    job = running_job(client, "late")
    wait_until(lambda: (client.get_job(job.job_id).progress.step or 0) > (job.progress.step or 0))
    assert client.cancel_job(job.job_id).status == "cancelled"


def test_a_prediction_ends_when_its_caller_leaves(target: str, client: GrpcClient, folder: Path) -> None:
    client.train(order(name="left"))
    with grpc.insecure_channel(target) as channel:
        stub: Any = ModelServiceStub(channel)  # type: ignore[no-untyped-call]
        asked = threading.Event()

        def requests() -> Iterator[pb.PredictStreamRequest]:
            yield pb.PredictStreamRequest(predict=pb.PredictRequest(model_id="left"))
            yield pb.PredictStreamRequest(chunk=next(chunks(X, 2**24))[0])
            asked.wait(PATIENCE_S)

        call = stub.PredictStream(requests(), metadata=(("x-request-id", "leaving"),))
        next(call)
        call.cancel()
        log = folder.with_suffix(".log")
        wait_until(lambda: "PredictStream request_id=leaving" in log.read_text())
        asked.set()


def test_half_a_table_is_not_trained_on(target: str, client: GrpcClient, folder: Path) -> None:
    jobs = len(client.list_jobs().jobs)
    header = training_message(order(name="half"))
    assert isinstance(header, pb.TrainRequest)
    log = folder.with_suffix(".log")
    sent, told = threading.Event(), threading.Event()

    def requests() -> Iterator[pb.TrainStreamRequest]:
        yield pb.TrainStreamRequest(train=header)
        yield pb.TrainStreamRequest(chunk=pb.TrainChunk(X=next(chunks(X, 2**24))[0], y=labels(order())))
        sent.set()
        told.wait(PATIENCE_S)  # the table's end would come with the end of this

    with grpc.insecure_channel(target) as channel:
        stub: Any = ModelServiceStub(channel)  # type: ignore[no-untyped-call]
        for number in range(5):
            sent.clear()
            call = stub.TrainStream.future(requests(), metadata=(("x-request-id", f"half-{number}"),))
            assert sent.wait(PATIENCE_S)
            call.cancel()
            line = f"TrainStream request_id=half-{number} status=CANCELLED"
            wait_until(lambda line=line: line in log.read_text())  # type: ignore[misc]
        told.set()
    assert len(client.list_jobs().jobs) == jobs


def test_a_job_is_ordered_watched_and_cancelled(client: GrpcClient) -> None:
    job = client.submit_training(long_order("cancelled"))
    assert (job.name, job.status in ("queued", "running")) == ("cancelled", True)
    running_job(client, "cancelled")
    client.cancel_job(job.job_id)
    *_, last = client.watch_job(job.job_id)
    assert last.status == "cancelled"
    assert last.error is not None
    with pytest.raises(errors.FailedPrecondition):
        client.cancel_job(job.job_id)
    with pytest.raises(errors.JobNotFound):
        client.get_job("01900000-0000-7000-8000-000000000000")
    with pytest.raises(errors.ModelNotFound):
        client.get_model("cancelled")


def test_rest_and_grpc_share_a_folder(client: GrpcClient, folder: Path) -> None:
    with doors.rest_thread(folder) as url, RestClient(url) as rest:
        by_grpc = client.train(order(name="shared"))
        assert rest.get_model("shared") == by_grpc.model_copy(update={"message": ""})
        rows = PredictRequest(model_id="shared", X=X, probabilities=True)
        assert rest.predict(rows) == client.predict(rows)
        by_rest = rest.train(order(name="shared"))
        assert client.get_model("shared").model_id == by_rest.model_id
        assert client.predict(rows).model_id == by_rest.model_id
        rest.delete(by_rest.model_id)
        assert client.predict(rows).model_id == by_grpc.model_id
        client.delete(by_grpc.model_id, hard=True)
        with pytest.raises(errors.ModelNotFound):
            rest.predict(rows)
        assert rest.restore(by_rest.model_id).status == "active"
        assert client.predict(rows).model_id == by_rest.model_id
        said, also = client.health(), rest.health()
        assert (said.status, said.storage, said.models) == (also.status, also.storage, also.models)
        assert client.get_report("shared") == rest.get_report("shared")
        assert client.get_history("shared") == rest.get_history("shared")
        assert client.list_model_classes() == rest.list_model_classes()
        assert client.get_artifact("shared") == rest.get_artifact("shared")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_prediction_stream_takes_the_memory_of_a_chunk(folder: Path, tmp_path: Path) -> None:
    rows = 20_000
    chunk = next(chunks(pl.DataFrame({f"c{i}": [float(row) for row in range(rows)] for i in range(10)}), 2**24))[0]
    with doors.grpc_server(tmp_path / "models_storage") as target, GrpcClient(target) as client:
        client.train(order(X={f"c{i}": [float(row % (7 + i)) for row in range(400)] for i in range(10)}, name="many"))
        pid = _listener(int(target.rpartition(":")[2]))
        header = pb.PredictStreamRequest(predict=pb.PredictRequest(model_id="many"))

        def send(count: int) -> int:
            def requests() -> Iterator[pb.PredictStreamRequest]:
                yield header
                for _ in range(count):
                    yield pb.PredictStreamRequest(chunk=chunk)

            with grpc.insecure_channel(target, options=[("grpc.max_receive_message_length", -1)]) as channel:
                stub: Any = ModelServiceStub(channel)  # type: ignore[no-untyped-call]
                return sum(len(answer.predictions) for answer in stub.PredictStream(requests()))

        assert send(50) == 50 * rows  # by then the allocator has what it keeps
        before = _peak_mib(pid)
        assert send(150) == 150 * rows
        sent_mib = 140 * chunk.ByteSize() / 2**20
        assert _peak_mib(pid) - before < sent_mib / 5


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_thread_waits_for_those_who_wait(target: str, client: GrpcClient) -> None:
    threads = Path(f"/proc/{_listener(int(target.rpartition(':')[2]))}/task")
    job = client.submit_training(long_order("awaited", iterations=1_000_000), idempotency_key="awaited")
    running_job(client, "awaited")
    before = len(list(threads.iterdir()))
    with grpc.insecure_channel(target) as channel:
        stub: Any = ModelServiceStub(channel)  # type: ignore[no-untyped-call]
        watching = [stub.WatchJob(pb.WatchJobRequest(job_id=job.job_id)) for _ in range(30)]
        same_key = (("idempotency-key", "awaited"),)
        order = message(long_order("awaited", iterations=1_000_000))
        waiting = [stub.Train.future(order, metadata=same_key) for _ in range(20)]
        assert {next(call).status for call in watching} == {"running"}
        wait_until(lambda: len(list(threads.iterdir())) < before + 15)
        client.cancel_job(job.job_id)
        assert {[state.status for state in call][-1] for call in watching} == {"cancelled"}
        assert {call.exception(PATIENCE_S).code() for call in waiting} == {grpc.StatusCode.CANCELLED}


def test_sigterm_says_not_serving_first_finishes_what_runs_and_exits_with_0(storage_dir: Path) -> None:
    port = doors.free_port()
    command = [sys.executable, "-m", "modelyard", "grpc", "--port", str(port)]
    with (
        doors.serving(command, storage_dir, MODELYARD_TRAIN_GRACE_S=str(PATIENCE_S)) as process,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        grpc.channel_ready_future(channel).result(PATIENCE_S)
        stub: Any = ModelServiceStub(channel)  # type: ignore[no-untyped-call]
        health = health_pb2_grpc.HealthStub(channel)
        states = health.Watch(health_pb2.HealthCheckRequest(service="modelyard.v1.ModelService"))
        assert next(states).status == health_pb2.HealthCheckResponse.SERVING
        with GrpcClient(f"127.0.0.1:{port}") as client:
            training = stub.Train.future(message(long_order("last", iterations=800)))
            running_job(client, "last")
            process.send_signal(signal.SIGTERM)
            assert next(states).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert not training.done()
            wait_until(lambda: _refused(client))
        assert training.result(PATIENCE_S).name == "last"
        assert process.wait(PATIENCE_S) == 0


def _refused(client: GrpcClient) -> bool:
    try:
        client.health()
    except errors.Unavailable:
        return True
    return False


def _listener(port: int) -> int:
    """Return the process that listens on a port."""
    found = subprocess.run(["ss", "-ltnpH", f"sport = :{port}"], capture_output=True, text=True, check=True).stdout
    return int(found.partition("pid=")[2].partition(",")[0])


def _peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
