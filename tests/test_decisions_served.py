"""A decision that is set by one process is obeyed by every other with its next request, by every way to an answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import polars as pl
import pytest

from modelyard.grpc_server.client import GrpcClient
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.pb.modelyard_pb2_grpc import ModelServiceStub
from modelyard.ml_core.yard import Yard
from modelyard.schemas import Decision, PredictRequest, TrainRequest
from tests import doors
from tests.waiting import PATIENCE_S

X = [[(i * 37 % 101) / 10] for i in range(100)]
Y = ["yes" if row[0] + (i * 53 % 17) / 4 > 7 else "no" for i, row in enumerate(X)]


@dataclass(frozen=True, slots=True)
class Doors:
    core: Yard
    rest: httpx.Client
    plain_rest: httpx.Client
    grpc_target: str


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """The core, a REST server with and one without its quick ways, and a gRPC server, all on one folder.

    The server with the quick ways is a process of its own; the others are cores of their own in this one.
    """
    folder = tmp_path_factory.mktemp("served") / "models_storage"
    with ExitStack() as stack:
        core = stack.enter_context(doors.core(folder))
        core.train(TrainRequest(model_class_key="logistic_regression", X=X, y=Y, name="churn"))
        core.train(
            TrainRequest(model_class_key="catboost_classifier", X=X, y=Y, name="trees", hyperparams={"iterations": 10})
        )
        urls = [
            stack.enter_context(doors.rest_server(folder)),
            stack.enter_context(doors.rest_thread(folder, rest_express=False)),
        ]
        quick, plain = (stack.enter_context(httpx.Client(base_url=url)) for url in urls)
        yield Doors(core, quick, plain, stack.enter_context(doors.grpc_thread(folder)))


def ask(http: httpx.Client, rows: list[list[float]], **fields: Any) -> Any:
    answer = http.post("/predict", json={"model_id": "churn", "X": rows, **fields})
    assert answer.is_success, answer.text
    return answer.json()


def always(label: str) -> Decision:
    return Decision(rule="threshold", label=label, threshold=0.0)


@pytest.mark.parametrize("name", ["churn", "trees"])
def test_every_way_obeys_a_change_with_the_next_request(yard: Doors, name: str) -> None:
    with GrpcClient(yard.grpc_target) as client:
        for label in ("yes", "no", "yes"):
            yard.core.set_decision(name, always(label))
            for http in (yard.rest, yard.plain_rest):
                for rows in (X[:1], X[:1], X[:50], X * 30):  # at once, in turns, as a small and as a large table
                    found = ask(http, rows, model_id=name)
                    assert set(found["predictions"]) == {label}
                    assert found["decision"] == {"rule": "threshold", "class": label, "threshold": 0.0}
            for rows in (X[:1], X * 30):
                assert set(client.predict(PredictRequest(model_id=name, X=rows)).predictions) == {label}
    other = "no"
    for http in (yard.rest, yard.plain_rest):
        answer = http.put(f"/models/{name}/decision", json={"rule": "threshold", "class": other, "threshold": 0})
        assert answer.json()["decision"]["class"] == other
        assert set(yard.core.predict(PredictRequest(model_id=name, X=X[:3])).predictions) == {other}
        other = "yes"


def test_a_requests_own_decision_is_obeyed_by_the_quick_ways(yard: Doors) -> None:
    yard.core.set_decision("churn", always("yes"))
    for http in (yard.rest, yard.plain_rest):
        for _ in range(3):
            own = {"rule": "capacity", "share": 0.1}
            found = ask(http, X[:5], decision=own)
            assert own.items() <= found["decision"].items()
            assert set(ask(http, X[:5])["predictions"]) == {"yes"}
            wrong = http.post("/predict", json={"model_id": "churn", "X": X[:1], "decision": {"rule": "capacity"}})
            assert wrong.status_code == 400
            assert wrong.json()["detail"] == "rule 'capacity' takes field 'share', got none"


def test_files_carry_the_decision_in_a_header(yard: Doors, tmp_path: Path) -> None:
    yard.core.set_decision("churn", Decision(rule="costs", costs={"yes": {"no": 10.0}, "no": {"yes": 1.0}}))
    file = tmp_path / "table.csv"
    pl.DataFrame(X, schema=["f0"], orient="row").write_csv(file)
    headers = {"Accept": "text/csv", "Content-Type": "text/csv"}
    answer = yard.rest.post("/predict/file?model_id=churn", content=file.read_bytes(), headers=headers)
    told = json.loads(answer.headers["x-decision"])
    assert (told["rule"], told["class"]) == ("costs", "yes")
    assert "costs" not in told
    own = '{"rule": "threshold", "threshold": 0}'
    form = {"model_id": "churn", "decision": own}
    with file.open("rb") as table:
        answer = yard.rest.post("/predict/file", data=form, files={"file": table}, headers={"Accept": "text/csv"})
    assert set(answer.text.split()[1:]) == {"yes"}


def test_a_stream_obeys_the_decision_of_its_beginning(yard: Doors) -> None:
    yard.core.set_decision("churn", always("yes"))
    chunk = pb.PredictStreamRequest(
        chunk=pb.Table(rows=pb.Rows(rows=[pb.Row(values=[pb.Value(double_value=row[0])]) for row in X[:5]]))
    )
    changed = threading.Event()

    def requests() -> Iterator[pb.PredictStreamRequest]:
        yield pb.PredictStreamRequest(predict=pb.PredictRequest(model_id="churn"))
        yield chunk
        assert changed.wait(PATIENCE_S)
        yield chunk

    with grpc.insecure_channel(yard.grpc_target) as channel:
        stub: Any = ModelServiceStub(channel)  # type: ignore[no-untyped-call]
        answers = stub.PredictStream(requests())
        answered = [next(answers)]
        yard.core.set_decision("churn", always("no"))
        changed.set()
        answered += list(answers)
    labels = [[value.string_value for value in answer.predictions] for answer in answered]
    assert labels == [["yes"] * 5] * 2
    assert ask(yard.rest, X[:1])["predictions"] == ["no"]
