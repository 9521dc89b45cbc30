"""gRPC: one row of logistic regression beside an empty grpc.aio server, and 10,000 rows as packed columns.

All servers run at the same time and are driven in turn by `h2load` over cleartext HTTP/2, so that a noisy machine
slows all alike. Every number is the median of the runs, every ratio the median of the runs' ratios.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import grpc
from google.protobuf.message import Message

from benchmarks.load import Load, drive
from benchmarks.servers import Server, our_server, serving
from benchmarks.tables_made import make_table
from modelyard.grpc_server.client import GrpcClient, table_chunks
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.schemas import PredictRequest, TrainRequest

PATH = "/modelyard.v1.ModelService/Predict"
MANY_ROWS = 10_000
RUNS = 3
ONE_ROW_TARGET = 0.85
MANY_ROWS_TARGET = 500_000


Round = dict[str, Load]
"""One run: each server's load, one after the other."""


def run(runs: int = RUNS, seconds: float = 4.0) -> str:
    """Measure, and return the Markdown table."""
    X, y = make_table()
    lines = [
        "| | ours | empty, asyncio | ratio | empty, uvloop | ratio | p50 / p99 of ours, ms | target |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as folder, _servers(Path(folder)) as servers:
        with GrpcClient(f"127.0.0.1:{servers['ours'].port}") as client:
            client.train(TrainRequest(model_class_key="logistic_regression", X=X, y=y, name="bench"))
            client.predict(PredictRequest(model_id="bench", X=X.head(1)))  # loads it
        one = request_file(Path(folder) / "one", [list(row) for row in X.head(1).rows()])
        many = request_file(Path(folder) / "many", {name: X[name].to_list()[:MANY_ROWS] for name in X.columns})
        for body, what, rows, target in (
            (one, "1 row, requests/s", 1, f"ratio {ONE_ROW_TARGET}"),
            (many, f"{MANY_ROWS:,} rows of {X.width} columns, rows/s", MANY_ROWS, f"{MANY_ROWS_TARGET:,} rows/s"),
        ):
            for connections in (1, 16) if rows == 1 else (1, 2):
                rounds = [_round(servers, body, connections, seconds) for _ in range(runs)]
                lines.append(_line(f"{what}, {connections} connections", rounds, rows, target))
    return "\n".join(lines)


@contextmanager
def _servers(folder: Path) -> Iterator[dict[str, Server]]:
    def empty(loop: str) -> AbstractContextManager[Server]:
        command = [sys.executable, "-m", "benchmarks.grpc_floor"]
        return serving(lambda port: [*command, str(port), loop], is_up, log=folder / f"{loop}.log")

    ours = our_server(folder / "yard", log=folder / "ours.log", door="grpc", is_up=is_up)
    with ours as server, empty("asyncio") as asyncio, empty("uvloop") as uvloop:
        yield {"ours": server, "asyncio": asyncio, "uvloop": uvloop}


def is_up(server: Server) -> bool:
    """Whether a gRPC server takes calls."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        try:
            grpc.channel_ready_future(channel).result(0.2)
        except grpc.FutureTimeoutError:
            return False
    return True


def request_file(path: Path, X: list[list[object]] | dict[str, list[object]], model_id: str = "bench") -> Path:
    """Write a request as it goes over the wire."""
    ((table, _),) = table_chunks.chunks(X, 2**26)
    return framed(path, pb.PredictRequest(model_id=model_id, X=table))


def framed(path: Path, message: Message) -> Path:
    """Write a message as it goes over the wire: no compression, the length, the message."""
    data = message.SerializeToString()
    path.write_bytes(b"\0" + len(data).to_bytes(4, "big") + data)
    return path


def _round(servers: dict[str, Server], body: Path, connections: int, seconds: float) -> Round:
    return {name: drive_one(server, body, connections, seconds) for name, server in servers.items()}


def drive_one(server: Server, body: Path, connections: int, seconds: float, headers: Sequence[str] = ()) -> Load:
    """Send a request over so many connections, each waiting for its answer. Raises RuntimeError if one fails."""
    found = drive(
        server.url(PATH),
        body,
        connections=connections,
        seconds=seconds,
        content_type="application/grpc",
        headers=["te: trailers", *headers],
        http2=True,
    )
    if found.failed:
        raise RuntimeError(f"{found.failed} answers of {server.url(PATH)} failed")
    return found


def _line(what: str, rounds: list[Round], rows: int, target: str) -> str:
    ours = [one["ours"] for one in rounds]
    cells = [f"{statistics.median(load.per_second for load in ours) * rows:,.0f}"]
    for empty in ("asyncio", "uvloop"):
        cells.append(f"{statistics.median(one[empty].per_second for one in rounds) * rows:,.0f}")
        cells.append(f"{statistics.median(one['ours'].per_second / one[empty].per_second for one in rounds):.2f}")
    p50, p99 = (statistics.median(getattr(load, name) for load in ours) for name in ("p50_ms", "p99_ms"))
    return f"| {what} | {' | '.join(cells)} | {p50:.2f} / {p99:.2f} | {target} |"


if __name__ == "__main__":
    print(run(*map(int, sys.argv[1:])))
