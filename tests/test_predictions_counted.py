"""Whatever way a prediction goes, each of its rows is counted once; what is refused is not counted."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import httpx
import polars as pl
import pytest

from modelyard.bootstrap import build
from modelyard.connection import connect
from modelyard.errors import ModelyardError
from modelyard.grpc_server.client import GrpcClient
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.pb import open_inference_pb2 as inference
from modelyard.ml_core.yard import Yard
from modelyard.schemas import Evaluation, PredictRequest, TrainRequest
from modelyard.settings import Settings
from tests import doors
from tests.access.who_may import INFERENCE, ROUTES, RPCS
from tests.command_line import run
from tests.open_inference.test_errors import call, message_of
from tests.scraping import read
from tests.tables.workbooks import write_workbook
from tests.waiting import PATIENCE_S, wait_until

ROWS: list[dict[str, Any]] = [{"age": float(20 + i % 40), "job": ["clerk", "smith"][i % 2]} for i in range(1000)]
Y = ["yes" if row["age"] > 40 else "no" for row in ROWS]
MODELS = {"linear": "logistic_regression", "trees": "catboost_classifier"}
SIZES = (1, 65, 400, 1000)
"""A row, more than go as plain rows, a small body with a large answer, and a body that goes to a thread."""

NOT_PREDICTING = {f"POST {path}{file}" for path in ("/explain", "/tables/check", "/outcomes") for file in ("", "/file")}
NO_PREDICTING_RPC = {"Explain", "CheckTable", "AddOutcomes"}


def predicted_rows(yard: Yard) -> float:
    yard.watching.count()
    return sum(rows for (name, _), rows in read(yard.metrics()).items() if name == "modelyard_predicted_rows_total")


@dataclass
class Served:
    """One door: its core, its address, and a connection that is kept."""

    yard: Yard
    url: str
    http: httpx.Client

    def rows(self) -> float:
        return predicted_rows(self.yard)

    def counts(self, ask: Callable[[], Any], rows: int) -> None:
        """Hold that what is asked is counted as so many rows, once it is answered."""
        before = self.rows()
        ask()
        wait_until(lambda: self.rows() >= before + rows)
        assert self.rows() == before + rows


@pytest.fixture(scope="module")
def unserved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that no server keeps counts in: those come seconds after the answer."""
    folder = tmp_path_factory.mktemp("unserved") / "yard"
    with doors.core(folder) as yard:
        for name, key in MODELS.items():
            evaluation = Evaluation(method="none")
            yard.train(TrainRequest(model_class_key=key, X=ROWS[:80], y=Y[:80], name=name, evaluation=evaluation))
    return folder


@pytest.fixture(scope="module")
def folder(unserved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(unserved, tmp_path_factory.mktemp("counted") / "yard"))


REST: dict[str, dict[str, Any]] = {"express": {}, "framework": {"rest_express": False}}
GRPC: dict[str, dict[str, Any]] = {"core": {"grpc_transport": "core"}, "aio": {"grpc_transport": "aio"}}


@pytest.fixture(scope="module", params=list(REST))
def rest(folder: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    settings = Settings(storage_dir=folder, rest_port=doors.free_port(), **REST[request.param])
    yard = build(settings)
    with doors.serving_rest(yard, settings) as url, httpx.Client(base_url=url, timeout=PATIENCE_S) as http:
        yield Served(yard, url, http)


@pytest.fixture(scope="module", params=list(GRPC))
def rpc(folder: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    settings = Settings(storage_dir=folder, grpc_port=0, **GRPC[request.param])
    yard = build(settings)
    with doors.serving_grpc(yard, settings) as target, httpx.Client() as http:
        yield Served(yard, target, http)


Ask: TypeAlias = Callable[[Served, str, int], Any]


def answered(answer: httpx.Response) -> None:
    assert answer.status_code == 200, answer.text


def columns(rows: int) -> dict[str, list[Any]]:
    return {name: [row[name] for row in ROWS[:rows]] for name in ROWS[0]}


def written(how: str, rows: int) -> bytes:
    out = io.BytesIO()
    getattr(pl.DataFrame(ROWS[:rows]), how)(out)
    return out.getvalue()


def workbook(rows: int, folder: Path) -> bytes:
    cells = [list(ROWS[0]), *(list(row.values()) for row in ROWS[:rows])]
    return write_workbook(folder / "t.xlsx", {"s": cells}).read_bytes()


BODIES: dict[str, Callable[[int], bytes]] = {
    "text/csv": lambda rows: written("write_csv", rows),
    "application/x-ndjson": lambda rows: written("write_ndjson", rows),
    "application/vnd.apache.parquet": lambda rows: written("write_parquet", rows),
    "application/vnd.apache.arrow.stream": lambda rows: written("write_ipc_stream", rows),
}
ACCEPTED = ("application/json", "text/csv", "application/vnd.apache.parquet", "application/vnd.apache.arrow.stream")


def predict(served: Served, model: str, rows: int) -> None:
    for X in (ROWS[:rows], columns(rows), [list(row.values()) for row in ROWS[:rows]]):
        for more in ({}, {"probabilities": True}):
            answered(served.http.post("/predict", json={"model_id": model, "X": X, **more}))


def predict_file(served: Served, model: str, rows: int) -> None:
    for kind, write in BODIES.items():
        query = {"model_id": model}
        answered(served.http.post("/predict/file", params=query, content=write(rows), headers={"content-type": kind}))
    for accept in ACCEPTED:
        files = {"file": written("write_csv", rows)}
        answered(served.http.post("/predict/file", data={"model_id": model}, files=files, headers={"accept": accept}))


def infer(served: Served, path: str, rows: int) -> None:
    inputs = [
        {"name": "age", "datatype": "FP64", "shape": [rows], "data": columns(rows)["age"]},
        {"name": "job", "datatype": "BYTES", "shape": [rows], "data": columns(rows)["job"]},
    ]
    answered(served.http.post(f"/v2/models/{path}/infer", json={"inputs": inputs}))


ASKED: dict[str, tuple[Ask, int]] = {
    "POST /predict": (predict, 6),
    "POST /predict/file": (predict_file, len(BODIES) + len(ACCEPTED)),
    "POST /v2/models/{reference}/infer": (infer, 1),
    "POST /v2/models/{reference}/versions/{version}/infer": (
        lambda served, model, rows: infer(served, f"{model}/versions/1", rows),
        1,
    ),
}
"""How each route that predicts is asked, and how often."""


def test_every_route_that_predicts_is_asked_here() -> None:
    predicting = {route for route, role in ROUTES.items() if role == "predictor"}
    assert predicting - NOT_PREDICTING == set(ASKED)


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("route", ASKED)
def test_each_row_of_a_route_is_counted_once(rest: Served, route: str, model: str, rows: int) -> None:
    ask, times = ASKED[route]
    for _ in range(2):  # a caller who repeats is counted again; then the heads are known
        rest.counts(lambda: ask(rest, model, rows), rows * times)


def test_a_workbook_is_counted(rest: Served, tmp_path: Path) -> None:
    sheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    body, headers = workbook(7, tmp_path), {"content-type": sheet}
    query = {"model_id": "linear"}
    rest.counts(lambda: answered(rest.http.post("/predict/file", params=query, content=body, headers=headers)), 7)


def test_what_rest_refuses_is_not_counted(rest: Served) -> None:
    before = rest.rows()
    wrong: dict[str, Any] = {"model_id": "linear", "X": [*ROWS[:200], {"age": "old", "job": "smith"}]}
    refused = [
        rest.http.post("/predict", json=wrong),
        rest.http.post("/predict", json={**wrong, "X": wrong["X"][-1:]}),
        rest.http.post("/predict", json={"model_id": "linear", "X": ROWS, "interval": 0.9}),
        rest.http.post("/predict", json={"model_id": "gone", "X": ROWS[:1]}),
        rest.http.post("/explain", json={"model_id": "linear", "X": ROWS[:3]}),
        rest.http.post("/evaluate", json={"model_ids": ["linear"], "X": ROWS[:80], "y": Y[:80]}),
        rest.http.post("/predict/file", data={"model_id": "linear"}, files={"file": b"age,job\nold,smith\n"}),
    ]
    assert [answer.status_code for answer in refused] == [400, 400, 400, 404, 200, 200, 400]
    rest.counts(lambda: predict(rest, "linear", 1), 6)
    assert rest.rows() == before + 6


def stream(served: Served, model: str, rows: int) -> None:
    chunk = pb.Table(rows=pb.Rows(names=list(ROWS[0]), rows=[row_of(row) for row in ROWS[:rows]]))
    sent = [pb.PredictStreamRequest(predict=pb.PredictRequest(model_id=model))]
    sent += [pb.PredictStreamRequest(chunk=chunk)] * 3
    sent += [pb.PredictStreamRequest(chunk=pb.Table(arrow=written("write_ipc_stream", rows)))]
    assert [len(answer.predictions) for answer in answers_of(served, sent)] == [rows] * 4


def answers_of(served: Served, sent: list[pb.PredictStreamRequest]) -> Iterator[pb.PredictResponse]:
    path, of = "/modelyard.v1.ModelService/PredictStream", pb.PredictStreamRequest.SerializeToString
    with grpc.insecure_channel(served.url) as channel:
        yield from channel.stream_stream(path, of, pb.PredictResponse.FromString)(iter(sent))


def row_of(row: dict[str, Any]) -> pb.Row:
    return pb.Row(values=[pb.Value(double_value=row["age"]), pb.Value(string_value=row["job"])])


def predict_by_client(served: Served, model: str, rows: int) -> None:
    with GrpcClient(served.url) as client:
        for X in (ROWS[:rows], columns(rows), pl.DataFrame(ROWS[:rows])):
            client.predict(PredictRequest(model_id=model, X=X))


def infer_by_message(served: Served, model: str, rows: int) -> None:
    cells = columns(rows)
    sent = [
        {"name": "age", "datatype": "FP64", "shape": [rows], "data": cells["age"]},
        {"name": "job", "datatype": "BYTES", "shape": [rows], "data": cells["job"]},
    ]
    with grpc.insecure_channel(served.url) as channel:
        call(channel, "ModelInfer", message_of(model, sent), inference.ModelInferResponse)


CALLED: dict[str, tuple[Ask, int]] = {
    "Predict": (predict_by_client, 3),
    "PredictStream": (stream, 4),
    "ModelInfer": (infer_by_message, 1),
}


def test_every_method_that_predicts_is_called_here() -> None:
    predicting = {name for name, role in (RPCS | INFERENCE).items() if role == "predictor"}
    assert predicting - NO_PREDICTING_RPC == set(CALLED)


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("method", CALLED)
def test_each_row_of_a_method_is_counted_once(rpc: Served, method: str, model: str, rows: int) -> None:
    ask, times = CALLED[method]
    rpc.counts(lambda: ask(rpc, model, rows), rows * times)


def test_the_chunks_before_one_that_is_refused_are_counted(rpc: Served) -> None:
    good = pb.Table(rows=pb.Rows(names=list(ROWS[0]), rows=[row_of(ROWS[0])] * 2))
    wrong = pb.Table(rows=pb.Rows(names=["age"], rows=[pb.Row(values=[pb.Value(double_value=1)])]))
    sent = [pb.PredictStreamRequest(predict=pb.PredictRequest(model_id="linear"))]
    sent += [pb.PredictStreamRequest(chunk=chunk) for chunk in (good, good, wrong, good)]

    def ask() -> None:
        with pytest.raises(grpc.RpcError):
            list(answers_of(rpc, sent))

    rpc.counts(ask, 4)


def test_a_file_in_a_stream_is_counted(rpc: Served, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(written("write_csv", 300))

    def ask() -> None:
        with GrpcClient(rpc.url) as client:
            client.predict(PredictRequest(model_id="linear", X=file))

    rpc.counts(ask, 300)


def test_what_grpc_refuses_is_not_counted(rpc: Served) -> None:
    before = rpc.rows()
    with GrpcClient(rpc.url) as client:
        for X in ([{"age": "old", "job": "smith"}], [{"age": 1.0}], pl.DataFrame({"age": ["old"] * 90})):
            with pytest.raises(ModelyardError):
                client.predict(PredictRequest(model_id="linear", X=X))
    rpc.counts(lambda: infer_by_message(rpc, "linear", 1), 1)
    assert rpc.rows() == before + 1


def drift_rows(folder: Path, model: str) -> int:
    with connect(str(folder)) as yard:
        return yard.get_drift(model).rows


def test_what_is_predicted_on_a_folder_is_counted_at_its_close(unserved: Path, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(written("write_csv", 120))
    for name in MODELS:
        before = drift_rows(unserved, name)
        with connect(str(unserved)) as yard:
            yard.predict(PredictRequest(model_id=name, X=ROWS[:3]))
            with pytest.raises(ModelyardError):
                yard.predict(PredictRequest(model_id=name, X=[{"age": "old"}]))
        assert drift_rows(unserved, name) == before + 3
        told = run("predict", name, file, "--storage", unserved, "--json")
        assert told.exit_code == 0, told.stderr
        found = run("drift", name, "--storage", unserved, "--json")
        assert json.loads(found.stdout)["rows"] == before + 123


def test_nothing_is_kept_if_monitoring_is_off(unserved: Path) -> None:
    before = drift_rows(unserved, "linear")
    with ExitStack() as opened:
        yard = opened.enter_context(build(Settings(storage_dir=unserved, monitoring=False)))
        yard.predict(PredictRequest(model_id="linear", X=ROWS[:3]))
        assert predicted_rows(yard) == 3
    assert drift_rows(unserved, "linear") == before
