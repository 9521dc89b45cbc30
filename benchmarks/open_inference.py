"""The Open Inference Protocol beside our own routes and methods, by logistic regression.

One row over REST and gRPC, ours beside the protocol's, and 10,000 rows as binary tensors beside Arrow. Both are asked
of the same server in turn; every number is the median of the runs, every ratio the median of the runs' ratios.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import polars as pl

from benchmarks.grpc_serving import PATH as OUR_METHOD
from benchmarks.grpc_serving import framed, request_file
from benchmarks.grpc_serving import is_up as grpc_is_up
from benchmarks.load import Load, drive
from benchmarks.servers import Server, our_server
from benchmarks.serving_models import MODELS, Body, asked, body, tensor, train
from benchmarks.tables_made import NUMERIC, make_table
from modelyard.bootstrap import build
from modelyard.grpc_server.pb import open_inference_pb2 as pb
from modelyard.open_inference import packed
from modelyard.rest_api.prediction_formats import ARROW_STREAM
from modelyard.schemas import TrainRequest
from modelyard.settings import Settings

MODEL, NUMBERS = "LR", "LR-numbers"
MANY_ROWS = 10_000
RUNS = 5
SECONDS = 2
METHOD = "/inference.GRPCInferenceService/ModelInfer"
JSON_BYTES = "inference-header-content-length"


@dataclass(frozen=True, slots=True)
class Question:
    """How a server is asked: by REST, or over HTTP/2 by gRPC."""

    server: Server
    body: Body
    headers: tuple[str, ...] = ()
    http2: bool = False


@dataclass(frozen=True, slots=True)
class _Drives:
    """How often a server is asked, for how many rows."""

    what: str
    rows: int
    connections: int
    seconds: float


def run(runs: int = RUNS, seconds: float = SECONDS) -> str:
    """Measure, and return the Markdown table."""
    lines = ["| | ours | the protocol | ratio | p50 / p99 of the protocol, ms |", "| --- | ---: | ---: | ---: | ---: |"]
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as name:
        folder = Path(name)
        train(folder, {MODEL: MODELS[MODEL]})
        _train_numbers(folder)
        with _servers(folder) as (rest, grpc):
            one_row = {
                "REST": (Question(rest, body(folder, MODEL, 1)), Question(rest, body(folder, MODEL, 1, "inference"))),
                "gRPC": (_grpc(grpc, OUR_METHOD, _our_row(folder)), _grpc(grpc, METHOD, _row(folder))),
            }
            for door, pair in one_row.items():
                for connections in (1, 16):
                    drives = _Drives(f"1 row, {door}, {connections} connections", 1, connections, seconds)
                    lines.append(_line(drives, pair, runs))
            for what, many in _many(folder, rest).items():
                drives = _Drives(f"{MANY_ROWS:,} rows, {what}, Arrow and binary tensors, rows/s", MANY_ROWS, 1, seconds)
                lines.append(_line(drives, many, runs))
    return "\n".join(lines) + "\n"


def binary_body(file: Path, model: str, tensors: dict[str, tuple[str, list[int], bytes]]) -> tuple[Body, int]:
    """Write a request of tensors (datatype, shape, cells), answered in binary form; return it and its JSON's bytes."""
    inputs = [
        {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(cells)}}
        for name, (datatype, shape, cells) in tensors.items()
    ]
    head = orjson.dumps({"parameters": {"binary_data_output": True}, "inputs": inputs})
    file.write_bytes(b"".join([head, *(cells for _, _, cells in tensors.values())]))
    return Body(file, f"/v2/models/{model}/infer", "application/octet-stream", "*/*"), len(head)


def _many(folder: Path, server: Server) -> dict[str, tuple[Question, Question]]:
    """Return the questions of many rows: of all columns, and of the numbers alone, which are one tensor."""
    mixed = asked(MANY_ROWS)
    numbers = mixed.select(NUMERIC)
    columns = {
        column.name: ("FP64" if column.name in NUMERIC else "BYTES", [MANY_ROWS], _packed(column)) for column in mixed
    }
    cells = numbers.fill_null(float("nan")).to_numpy(order="c").tobytes()
    tables = {
        f"{mixed.width} columns": (MODEL, mixed, columns),
        f"{numbers.width} numbers": (NUMBERS, numbers, {"X": ("FP64", [MANY_ROWS, numbers.width], cells)}),
    }
    found = {}
    for what, (model, frame, tensors) in tables.items():
        arrow = folder / f"{model}-arrow"
        frame.write_ipc_stream(arrow)
        own = Body(arrow, f"/predict/file?model_id={model}", ARROW_STREAM, ARROW_STREAM)
        many, json_bytes = binary_body(folder / f"{model}-binary", model, tensors)
        found[what] = Question(server, own), Question(server, many, (f"{JSON_BYTES}: {json_bytes}",))
    return found


def _train_numbers(folder: Path) -> None:
    X, y = make_table()
    with build(Settings(storage_dir=folder / "yard")) as yard:
        yard.train(TrainRequest(model_class_key=MODELS[MODEL], name=NUMBERS, X=X.select(NUMERIC), y=y))


@contextmanager
def _servers(folder: Path) -> Iterator[tuple[Server, Server]]:
    rest = our_server(folder / "yard", log=folder / "rest.log")
    grpc = our_server(folder / "yard", log=folder / "grpc.log", door="grpc", is_up=grpc_is_up)
    with rest as one, grpc as other:
        yield one, other


def _packed(column: pl.Series) -> bytes:
    if column.dtype == pl.Float64:
        return packed("FP64", column.fill_null(float("nan")).to_list())
    return packed("BYTES", column.fill_null("").to_list())


def _our_row(folder: Path) -> Path:
    return request_file(folder / "ours", [list(row) for row in asked(1).rows()], MODEL)


def _row(folder: Path) -> Path:
    message = pb.ModelInferRequest(model_name=MODEL)
    for column in asked(1):
        message.inputs.add(**tensor(column))
        message.raw_input_contents.append(_packed(column))
    return framed(folder / "protocol", message)


def _grpc(server: Server, path: str, file: Path) -> Question:
    return Question(server, Body(file, path, "application/grpc", "*/*"), ("te: trailers",), http2=True)


def _line(drives: _Drives, pair: tuple[Question, Question], runs: int) -> str:
    found = [[_drive(question, drives) for question in pair] for _ in range(runs)]
    loads = zip(*found, strict=True)
    own, protocol = (statistics.median(load.per_second for load in one) * drives.rows for one in loads)
    ratio = statistics.median(two.per_second / one.per_second for one, two in found)
    p50, p99 = (statistics.median(getattr(two, name) for _, two in found) for name in ("p50_ms", "p99_ms"))
    return f"| {drives.what} | {own:,.0f} | {protocol:,.0f} | {ratio:.2f} | {p50:.2f} / {p99:.2f} |"


def _drive(question: Question, drives: _Drives) -> Load:
    found = drive(
        question.server.url(question.body.path),
        question.body.file,
        connections=drives.connections,
        seconds=drives.seconds,
        content_type=question.body.content_type,
        headers=(f"accept: {question.body.accept}", *question.headers),
        http2=question.http2,
    )
    if found.failed:
        raise RuntimeError(f"{found.failed} answers of {question.body.path} failed")
    return found


if __name__ == "__main__":
    print(run(*map(int, sys.argv[1:])))
