"""The metrics as both doors tell them: who may read them, and that they tell what happened."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from modelyard.bootstrap import build
from modelyard.errors import Unavailable
from modelyard.grpc_server import metrics_server
from modelyard.grpc_server import server as grpc_door
from modelyard.grpc_server.client import GrpcClient
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.pb.modelyard_pb2_grpc import ModelServiceStub
from modelyard.ml_core.yard import Yard
from modelyard.rest_api.client import RestClient
from modelyard.schemas import PredictRequest, TrainRequest
from modelyard.settings import Settings
from tests import doors
from tests.access.callers import make_key
from tests.certificates import Authority
from tests.scraping import labels, read, scrape
from tests.waiting import PATIENCE_S, wait_until

TABLE = TrainRequest(
    model_class_key="logistic_regression",
    name="credit",
    X=[
        {"age": 39, "job": "clerk"},
        {"age": 50, "job": "smith"},
        {"age": 38, "job": "smith"},
        {"age": 53, "job": "clerk"},
    ],
    y=["no", "yes", "no", "yes"],
    evaluation={"method": "none"},
)

Serve = Callable[..., AbstractContextManager[tuple[str, str]]]
"""Serves a folder with settings; yields the door's address and that of its metrics."""


@pytest.fixture(params=["rest", "grpc"])
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Serve:
    @contextmanager
    def served(**settings: Any) -> Iterator[tuple[str, str]]:
        scheme = "https" if "tls_cert_file" in settings else "http"
        if request.param == "rest":
            with doors.rest_thread(tmp_path / "yard", **settings) as url:
                yield url, f"{url}/metrics"
        else:
            port = doors.free_port()
            with doors.grpc_thread(tmp_path / "yard", metrics_port=port, **settings) as target:
                yield target, f"{scheme}://127.0.0.1:{port}/metrics"

    return served


def test_a_door_tells_of_its_calls_jobs_and_models(serve: Serve) -> None:
    with serve() as (address, metrics):
        kind = RestClient if address.startswith("http") else GrpcClient
        door = "rest" if kind is RestClient else "grpc"
        with kind(address) as yard:
            yard.train(TABLE)
            for _ in range(3):
                yard.predict(PredictRequest(model_id="credit", X=[{"age": 44, "job": "clerk"}]))
            found = scrape(metrics)
    assert found["modelyard_requests_total", labels(door=door, verb="train", code="OK")] == 1
    assert found["modelyard_requests_total", labels(door=door, verb="predict", code="OK")] == 3
    assert 0 < found["modelyard_request_seconds_sum", labels(door=door, verb="predict")] < PATIENCE_S
    assert found["modelyard_jobs", labels(kind="train", status="succeeded")] == 1
    assert found["modelyard_jobs", labels(kind="train", status="running")] == 0
    assert found["modelyard_job_seconds_count", labels(kind="train")] == 1
    assert found["modelyard_models", labels(status="active")] == 1
    assert found["modelyard_tracking_pending", ()] == 0
    assert found["modelyard_loaded_models_bytes", ()] > 0
    assert found["process_resident_memory_bytes", labels(worker="0")] > 0


def test_a_request_that_cannot_be_read_counts_for_the_verb_of_its_way(serve: Serve) -> None:
    with serve() as (address, metrics):
        if address.startswith("http"):
            answers = [
                httpx.post(f"{address}/predict", content=b"{"),
                httpx.post(f"{address}/predict", content=b"{", headers={"Content-Type": "text/csv"}),
                httpx.put(f"{address}/models/credit/decision", content=b"{}"),
                httpx.get(f"{address}/models/credit/decision?limit=1"),
            ]
            assert {answer.json()["code"] for answer in answers} == {"INVALID_ARGUMENT"}
        else:
            with grpc.insecure_channel(address.removeprefix("grpc://")) as channel:
                service = ModelServiceStub(channel)  # type: ignore[no-untyped-call]
                for ask, message in (
                    (service.Predict, pb.PredictRequest()),
                    (service.Predict, pb.PredictRequest(model_id="credit")),
                    (service.SetDecision, pb.SetDecisionRequest(model_id="credit")),
                    (service.GetDecision, pb.GetDecisionRequest()),
                ):
                    with pytest.raises(grpc.RpcError):
                        ask(message, timeout=PATIENCE_S)
        found = scrape(metrics)
    told = [(dict(of), n) for (name, of), n in found.items() if name == "modelyard_requests_total"]
    refused = {of["verb"]: n for of, n in told if of["code"] == "INVALID_ARGUMENT"}
    assert refused["predict"] == 2
    assert refused["set_decision"] == refused["get_decision"] == 1
    assert refused.keys() == {"predict", "set_decision", "get_decision"}


@pytest.mark.parametrize("monitoring", [True, False])
def test_predicted_rows_are_counted_whether_or_not_drift_is_watched(serve: Serve, *, monitoring: bool) -> None:
    of_model = labels(name="credit", version="1")
    with serve(monitoring=monitoring) as (address, metrics):
        with (RestClient if address.startswith("http") else GrpcClient)(address) as yard:
            yard.train(TABLE)
            yard.predict(PredictRequest(model_id="credit", X=[{"age": 44, "job": "clerk"}]))
            yard.predict(
                PredictRequest(model_id="credit", X=[{"age": None, "job": "baker"}, {"age": 1, "job": "smith"}])
            )
        wait_until(lambda: scrape(metrics).get(("modelyard_predicted_rows_total", of_model)) == 3)
        found = scrape(metrics)
    assert found["modelyard_unknown_categories_total", of_model] == 1
    assert found["modelyard_missing_cells_total", of_model] == 1


def test_with_keys_metrics_are_for_readers_of_all_models(serve: Serve, tmp_path: Path) -> None:
    with doors.core(tmp_path / "yard") as yard:
        reader = make_key(yard, "prometheus", "reader")
        limited = make_key(yard, "limited", "admin", "credit*")
    with serve(auth="keys") as (_, metrics):
        nobody = httpx.get(metrics)
        assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, "Bearer")
        assert httpx.get(metrics, headers={"Authorization": "Bearer my_wrong"}).status_code == 401
        refused = httpx.get(metrics, headers={"Authorization": f"Bearer {limited}"})
        assert refused.status_code == 403
        assert "is limited to some models and may not use 'metrics'" in refused.text
        assert scrape(metrics, headers={"Authorization": f"Bearer {reader}"})


def test_a_foreign_host_is_refused(serve: Serve) -> None:
    with serve() as (_, metrics):
        refused = httpx.get(metrics, headers={"Host": "evil.example"})
        assert refused.status_code == 403
        assert "'evil.example' is not a name of this server" in refused.text


def test_with_tls_metrics_are_told_by_it_and_want_the_callers_certificate(serve: Serve, tmp_path: Path) -> None:
    ca = Authority(tmp_path / "ca")
    made = ca.make()
    trusting = ssl.create_default_context(cafile=str(ca.cert))
    with serve(**made.settings(ca)) as (_, metrics):
        assert httpx.get(metrics, verify=trusting).status_code == 403
        trusting.load_cert_chain(made.cert, made.key)
        assert scrape(metrics, verify=trusting)


def test_the_port_of_grpc_knows_no_other_path(tmp_path: Path) -> None:
    port = doors.free_port()
    with doors.grpc_thread(tmp_path / "yard", metrics_port=port):
        answer = httpx.get(f"http://127.0.0.1:{port}/nothing")
        said = "NOT_FOUND: there is no GET '/nothing', only /metrics and /health/ready\n"
        assert (answer.status_code, answer.text) == (404, said)
        found = scrape(f"http://127.0.0.1:{port}/metrics?of=job")  # as scrape_configs may add
    assert found["modelyard_requests_total", labels(door="grpc", verb="other", code="NOT_FOUND")] == 1


def test_a_port_of_metrics_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings(storage_dir=tmp_path / "yard", grpc_port=0, metrics_port=port)

        async def serve(yard: Yard) -> None:
            async with grpc_door.running(yard, settings):
                raise AssertionError

        words = f"cannot tell metrics: Address already in use .*{port}.*; MODELYARD_METRICS_PORT sets the port"
        with build(settings) as yard, pytest.raises(Unavailable, match=words):
            asyncio.run(serve(yard))


def test_who_sends_no_request_is_cut_off_and_too_many_are_closed_at_once(tmp_path: Path) -> None:
    port = doors.free_port()
    with doors.grpc_thread(tmp_path / "yard", metrics_port=port, request_timeout_s=1):
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(metrics_server.MOST_AT_ONCE + 1)]
        for one in silent:
            one.settimeout(PATIENCE_S)
            assert one.recv(1) == b""
            one.close()
        assert scrape(f"http://127.0.0.1:{port}/metrics")


def test_without_the_folder_the_counts_are_told_still(tmp_path: Path) -> None:
    with doors.core(tmp_path / "yard") as yard:
        yard.list_models()
        before = read(yard.metrics())
        (tmp_path / "yard" / "db.jsonl").rename(tmp_path / "elsewhere")
        (tmp_path / "yard" / "db.jsonl").mkdir()
        found = read(yard.metrics())
        (tmp_path / "yard" / "db.jsonl").rmdir()
        (tmp_path / "elsewhere").rename(tmp_path / "yard" / "db.jsonl")
    assert found["modelyard_requests_total", labels(door="local", verb="list_models", code="OK")] == 1
    told = {name for name, _ in before} - {name for name, _ in found}
    assert told == {"modelyard_jobs", "modelyard_models", "modelyard_tracking_pending"}
