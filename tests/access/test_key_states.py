"""A key that stops being valid stops with the next request and the next event, on whatever way a caller has open."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import httpx
import orjson
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from modelyard.errors import ModelyardError, Unauthenticated
from modelyard.grpc_server.client import GrpcClient
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.pb.modelyard_pb2_grpc import ModelServiceStub
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.client import RestClient
from modelyard.schemas import Job, PredictRequest
from modelyard.verbs import Verbs
from tests import doors
from tests.access.callers import make_key, many_guesses
from tests.access.foreign import X, Y, order
from tests.waiting import PATIENCE_S, wait_until

CLIENTS: dict[str, type[RestClient] | type[GrpcClient]] = {"rest": RestClient, "grpc": GrpcClient, "aio": GrpcClient}
NOT_VALID = "the key is not valid: it is misspelt, unknown, revoked or expired"
ASKED = PredictRequest(model_id="one", X=X[:1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("states") / "yard"


@pytest.fixture(scope="module")
def yard(folder: Path) -> Iterator[Yard]:
    """The core on the folder: what it does comes from another process's hands, as far as servers can tell."""
    with doors.core(folder) as opened:
        opened.train(order("one"))
        yield opened


@pytest.fixture(scope="module")
def addresses(folder: Path, yard: Yard) -> Iterator[dict[str, str]]:
    with (
        many_guesses(),
        doors.rest_thread(folder, auth="keys") as rest,
        doors.grpc_thread(folder, auth="keys", grpc_transport="core") as core,
        doors.grpc_thread(folder, auth="keys", grpc_transport="aio") as aio,
    ):
        yield {"rest": rest, "grpc": core, "aio": aio}


@pytest.fixture(params=list(CLIENTS))
def door(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def key_name(request: pytest.FixtureRequest) -> str:
    """A name of a key that no other test has."""
    return f"k{zlib.crc32(request.node.name.encode())}"


@pytest.fixture
def key(yard: Yard, key_name: str) -> str:
    return make_key(yard, key_name, "admin")


@pytest.fixture
def client(addresses: dict[str, str], door: str, key: str) -> Iterator[RestClient | GrpcClient]:
    with CLIENTS[door](addresses[door], key=key) as opened:
        yield opened


def expire(yard: Yard, name: str) -> None:
    """Have a key end now: it is rotated, and the old one has no grace."""
    yard.rotate_key(name)


@pytest.mark.parametrize("end", [Yard.revoke_key, expire])
def test_a_key_ends_with_the_next_request_on_a_connection_that_is_open(
    yard: Yard, client: RestClient, key_name: str, end: Callable[[Yard, str], None]
) -> None:
    """After three predictions the server answers by its quickest way."""
    for _ in range(3):
        client.predict(ASKED)
    end(yard, key_name)
    for ask in (lambda: client.predict(ASKED), client.whoami, client.list_models):
        with pytest.raises(Unauthenticated, match=NOT_VALID):
            ask()


def test_a_rotated_key_is_valid_within_its_grace_and_the_new_one_at_once(
    yard: Yard, addresses: dict[str, str], door: str, client: RestClient, key_name: str
) -> None:
    new = yard.rotate_key(key_name, grace_s=3600)
    client.predict(ASKED)
    with CLIENTS[door](addresses[door], key=new.key) as other:
        assert other.predict(ASKED).predictions
        newest = yard.rotate_key(key_name)
        for former in (client, other):
            with pytest.raises(Unauthenticated):
                former.predict(ASKED)
    with CLIENTS[door](addresses[door], key=newest.key) as last:
        assert last.whoami().name == key_name


def test_a_grace_and_an_expiry_run_out_by_themselves(
    yard: Yard, addresses: dict[str, str], door: str, client: RestClient, key_name: str
) -> None:
    client.predict(ASKED)
    yard.rotate_key(key_name, grace_s=0.3)
    short = make_key(yard, f"{key_name}-short", "reader", days=0.3 / 86_400)

    def is_refused(ask: Callable[[], Any]) -> bool:
        try:
            ask()
        except Unauthenticated:
            return True
        return False

    wait_until(lambda: is_refused(lambda: client.predict(ASKED)))
    with CLIENTS[door](addresses[door], key=short) as other:
        wait_until(lambda: is_refused(other.whoami))


def test_a_key_that_another_process_has_revoked_ends_too(folder: Path, client: RestClient, key_name: str) -> None:
    client.predict(ASKED)
    command = [sys.executable, "-m", "modelyard", "keys", "revoke", key_name, "--storage", str(folder)]
    subprocess.run(command, check=True, env=os.environ, capture_output=True)
    with pytest.raises(Unauthenticated):
        client.predict(ASKED)


LONG = order("long").model_copy(
    update={"model_class_key": "catboost_classifier", "hyperparams": {"iterations": 1_000_000}}
)


class Watching:
    """Somebody who follows a job in a thread: `seen` are its states, `ended` waits for the error at its end."""

    def __init__(self, client: Verbs, job_id: str) -> None:
        self.seen: list[Job] = []
        self._error: ModelyardError | None = None
        self._client, self._job_id = client, job_id
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def _follow(self) -> None:
        try:
            for job in self._client.watch_job(self._job_id):
                self.seen.append(job)
        except ModelyardError as error:
            self._error = error

    def ended(self) -> ModelyardError | None:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self._error


def test_who_watches_a_job_hears_no_more_of_it_and_is_told_why(yard: Yard, addresses: dict[str, str]) -> None:
    keys = {door: make_key(yard, f"watches-by-{door}", "reader") for door in CLIENTS}
    job = yard.submit_training(LONG)
    try:
        with ExitStack() as opened:
            clients = {door: opened.enter_context(CLIENTS[door](addresses[door], key=keys[door])) for door in CLIENTS}
            watching = {door: Watching(client, job.job_id) for door, client in clients.items()}
            wait_until(lambda: all(one.seen for one in watching.values()))
            for door in CLIENTS:
                yard.revoke_key(f"watches-by-{door}")
            errors = {door: one.ended() for door, one in watching.items()}
    finally:
        yard.cancel_job(job.job_id)
    assert {door: (type(error), str(error)) for door, error in errors.items()} == dict.fromkeys(
        CLIENTS, (Unauthenticated, NOT_VALID)
    )


def test_a_stream_of_events_ends_with_the_problem_and_a_line_in_the_log(
    yard: Yard, addresses: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    key = make_key(yard, "streams", "reader")
    job = yard.submit_training(LONG)
    headers = {"authorization": f"Bearer {key}", "x-request-id": "streamed"}
    try:
        with (
            caplog.at_level("INFO", "modelyard.rest"),
            httpx.stream("GET", f"{addresses['rest']}/jobs/{job.job_id}/events", headers=headers) as answer,
        ):
            lines = answer.iter_lines()
            assert any(line.startswith("event: job") for line in lines)
            yard.revoke_key("streams")
            *_, event, data, _ = lines
    finally:
        yard.cancel_job(job.job_id)
    assert event == "event: problem"
    problem = orjson.loads(data.removeprefix("data: "))
    assert (problem["status"], problem["code"], problem["request_id"]) == (401, "UNAUTHENTICATED", "streamed")
    assert not [record for record in caplog.records if record.exc_info]


class Sent:
    """Messages that a caller sends one by one, while the call is open."""

    def __init__(self) -> None:
        self._messages: SimpleQueue[Any] = SimpleQueue()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._messages.get, None)

    def send(self, *messages: Any) -> None:
        for message in messages:
            self._messages.put(message)


def rows() -> pb.Table:
    cells = [[pb.Value(int64_value=row["age"]), pb.Value(string_value=row["job"])] for row in X]
    return pb.Table(rows=pb.Rows(names=["age", "job"], rows=[pb.Row(values=values) for values in cells]))


@pytest.fixture(params=["grpc", "aio"])
def stub(request: pytest.FixtureRequest, addresses: dict[str, str]) -> Iterator[tuple[Any, Any]]:
    """The stubs of the service and of reflection."""
    with grpc.insecure_channel(addresses[request.param]) as channel:
        yield ModelServiceStub(channel), reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[no-untyped-call]


def code_of(call: Any) -> str:
    """Return how a call ends."""
    with pytest.raises(grpc.RpcError):
        list(call)
    return f"{call.code().name}: {call.details()}"


def test_a_stream_of_predictions_ends_with_the_next_chunk(yard: Yard, stub: Any, key: str, key_name: str) -> None:
    sent = Sent()
    call = stub[0].PredictStream(iter(sent), metadata=[("authorization", f"Bearer {key}")], timeout=PATIENCE_S)
    chunk = pb.PredictStreamRequest(chunk=rows())
    sent.send(pb.PredictStreamRequest(predict=pb.PredictRequest(model_id="one")), chunk)
    assert next(call).model_id
    yard.revoke_key(key_name)
    sent.send(chunk)
    assert code_of(call) == f"UNAUTHENTICATED: {NOT_VALID}"
    sent.send(None)


def test_a_table_that_goes_on_after_its_key_is_trained_on_by_nobody(
    yard: Yard, stub: Any, key: str, key_name: str
) -> None:
    sent = Sent()
    call = stub[0].TrainStream.future(iter(sent), metadata=[("authorization", f"Bearer {key}")], timeout=PATIENCE_S)
    before = yard.list_jobs().jobs[0]
    chunk = pb.TrainStreamRequest(chunk=pb.TrainChunk(X=rows(), y=[pb.Value(string_value=label) for label in Y]))
    sent.send(pb.TrainStreamRequest(train=pb.TrainRequest(model_class_key="logistic_regression", name="cut")), chunk)
    wait_until(lambda: {one.name: one.last_used_on for one in yard.list_keys().keys}[key_name])
    yard.revoke_key(key_name)
    sent.send(chunk, None)
    with pytest.raises(grpc.RpcError) as found:
        call.result()
    assert found.value.code().name == "UNAUTHENTICATED"
    assert yard.list_jobs().jobs[0] == before


def test_reflection_ends_with_the_next_question(yard: Yard, stub: Any, key: str, key_name: str) -> None:
    sent = Sent()
    metadata = [("authorization", f"Bearer {key}")]
    call = stub[1].ServerReflectionInfo(iter(sent), metadata=metadata, timeout=PATIENCE_S)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    sent.send(asked)
    assert next(call).list_services_response.service
    yard.revoke_key(key_name)
    sent.send(asked)
    assert code_of(call) == f"UNAUTHENTICATED: {NOT_VALID}"
    sent.send(None)
