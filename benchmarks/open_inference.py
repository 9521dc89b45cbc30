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
from benchmarks.serving_models import MODELS, Body, asked, body, train
from modelyard.grpc_server.pb import open_inference_pb2 as pb
from modelyard.open_inference import packed

MODEL = "LR"
MANY_ROWS = 10_000
RUNS = 5
SECONDS = 2
INFER = f"/v2/models/{MODEL}/infer"
METHOD = "/inference.GRPCInferenceService/ModelInfer"
JSON_BYTES = "inference-header-content-length"


@dataclass(frozen=True, slots=True)
class Question:
    """How a server is asked: by REST, or over HTTP/2 by gRPC."""

    server: Server
    body: Body
    headers: tuple[str, ...] = ()
    http2: bool = False


def run(runs: int = RUNS, seconds: float = SECONDS) -> str:
    """Measure, and return the Markdown table."""
    lines = ["| | ours | the protocol | ratio | p50 / p99 of the protocol, ms |", "| --- | ---: | ---: | ---: | ---: |"]
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as name:
        folder = Path(name)
        train(folder, {MODEL: MODELS[MODEL]})
        with _servers(folder) as (rest, grpc):
            one_row = {
                "REST": (Question(rest, body(folder, MODEL, 1)), Question(rest, json_body(folder, 1))),
                "gRPC": (_grpc(grpc, OUR_METHOD, _our_row(folder)), _grpc(grpc, METHOD, _row(folder))),
            }
            for door, pair in one_row.items():
                for connections in (1, 16):
                    lines.append(
                        _line(f"1 row, {door}, {connections} connections", pair, 1, connections, runs, seconds)
                    )
            many, json_bytes = binary_body(folder, MANY_ROWS)
            headers = (f"{JSON_BYTES}: {json_bytes}",)
            pair = (Question(rest, body(folder, MODEL, MANY_ROWS, "arrow")), Question(rest, many, headers))
            lines.append(
                _line(f"{MANY_ROWS:,} rows, Arrow and binary tensors, rows/s", pair, MANY_ROWS, 1, runs, seconds)
            )
    return "\n".join(lines) + "\n"


def json_body(folder: Path, rows: int) -> Body:
    """Write a request of so many rows in JSON."""
    file = folder / f"infer-{rows}"
    inputs = [{**_tensor(column), "data": column.to_list()} for column in asked(rows)]
    file.write_bytes(orjson.dumps({"inputs": inputs}))
    return Body(file, INFER)


def binary_body(folder: Path, rows: int) -> tuple[Body, int]:
    """Write a request of so many rows as binary tensors, answered so; return it and the bytes of its JSON."""
    file = folder / f"infer-{rows}-binary"
    columns = asked(rows).get_columns()
    cells = [_packed(column) for column in columns]
    inputs = [
        {**_tensor(column), "parameters": {"binary_data_size": len(one)}}
        for column, one in zip(columns, cells, strict=True)
    ]
    head = orjson.dumps({"parameters": {"binary_data_output": True}, "inputs": inputs})
    file.write_bytes(b"".join([head, *cells]))
    return Body(file, INFER, "application/octet-stream", "*/*"), len(head)


@contextmanager
def _servers(folder: Path) -> Iterator[tuple[Server, Server]]:
    rest = our_server(folder / "yard", log=folder / "rest.log")
    grpc = our_server(folder / "yard", log=folder / "grpc.log", door="grpc", is_up=grpc_is_up)
    with rest as one, grpc as other:
        yield one, other


def _tensor(column: pl.Series) -> dict[str, object]:
    datatype = "FP64" if column.dtype == pl.Float64 else "BYTES"
    return {"name": column.name, "datatype": datatype, "shape": [len(column)]}


def _packed(column: pl.Series) -> bytes:
    if column.dtype == pl.Float64:
        return packed("FP64", column.fill_null(float("nan")).to_list())
    return packed("BYTES", column.fill_null("").to_list())


def _our_row(folder: Path) -> Path:
    return request_file(folder / "ours", [list(row) for row in asked(1).rows()], MODEL)


def _row(folder: Path) -> Path:
    message = pb.ModelInferRequest(model_name=MODEL)
    for column in asked(1):
        message.inputs.add(**_tensor(column))
        message.raw_input_contents.append(_packed(column))
    return framed(folder / "protocol", message)


def _grpc(server: Server, path: str, file: Path) -> Question:
    return Question(server, Body(file, path, "application/grpc", "*/*"), ("te: trailers",), http2=True)


def _line(what: str, pair: tuple[Question, Question], rows: int, connections: int, runs: int, seconds: float) -> str:
    found = [[_drive(question, connections, seconds) for question in pair] for _ in range(runs)]
    own, protocol = (statistics.median(load.per_second for load in one) * rows for one in zip(*found, strict=True))
    ratio = statistics.median(two.per_second / one.per_second for one, two in found)
    p50, p99 = (statistics.median(getattr(two, name) for _, two in found) for name in ("p50_ms", "p99_ms"))
    return f"| {what} | {own:,.0f} | {protocol:,.0f} | {ratio:.2f} | {p50:.2f} / {p99:.2f} |"


def _drive(question: Question, connections: int, seconds: float) -> Load:
    found = drive(
        question.server.url(question.body.path),
        question.body.file,
        connections=connections,
        seconds=seconds,
        content_type=question.body.content_type,
        headers=(f"accept: {question.body.accept}", *question.headers),
        http2=question.http2,
    )
    if found.failed:
        raise RuntimeError(f"{found.failed} answers of {question.body.path} failed")
    return found


if __name__ == "__main__":
    print(run(*map(int, sys.argv[1:])))
