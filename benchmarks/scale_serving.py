"""One row by REST and gRPC from a yard on PostgreSQL beside one in a folder, and four replicas beside one.

All servers run at the same time and are driven in turn by `h2load`, so that a noisy machine slows all alike. Every
number is the median of the runs, every ratio the median of the runs' ratios.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from benchmarks.grpc_serving import drive_one, is_up, request_file
from benchmarks.load import drive
from benchmarks.servers import Server, our_server, request
from benchmarks.serving_models import Body, asked, body
from benchmarks.tables_made import make_table
from modelyard.bootstrap import build
from modelyard.grpc_server.client import GrpcClient
from modelyard.schemas import PredictRequest, TrainRequest
from modelyard.settings import Settings
from tests.postgres_server import postgres_server

RUNS = 7
SECONDS = 2
CONNECTIONS = 16
REPLICAS = 4
WITHIN = "≥ 0.97"

Drive = Callable[[], float]
"""Drives servers for a while; returns how many requests a second were answered."""


def run(runs: int = RUNS, seconds: float = SECONDS) -> str:
    """Measure both in one run; return the results as Markdown."""
    lines = ["| requests/s | folder | PostgreSQL | ratio | goal |", "| --- | ---: | ---: | ---: | --- |"]
    with (
        tempfile.TemporaryDirectory(prefix="modelyard-bench-") as name,
        postgres_server() as server,
        ExitStack() as stack,
    ):
        yards = _Yards(Path(name), server.new_yard(), stack)
        rest = {one: yards.rest(one, REPLICAS) for one in yards.environments}
        grpc = {one: yards.grpc(one) for one in yards.environments}
        call = request_file(Path(name) / "call", [list(row) for row in asked(1).rows()], "LR")
        for connections in (1, CONNECTIONS):
            for door, drives in (
                (
                    "REST",
                    {one: _by_rest(servers[:1], yards.body, connections, seconds) for one, servers in rest.items()},
                ),
                ("gRPC", {one: _by_grpc(found, call, connections, seconds) for one, found in grpc.items()}),
            ):
                lines.append(_line(f"a row by {door}, {connections} connections", _rounds(drives, runs), WITHIN))
        several = {one: _by_rest(servers, yards.body, CONNECTIONS, seconds) for one, servers in rest.items()}
        lines.append(
            _line(f"a row by REST, {REPLICAS} replicas, {CONNECTIONS} connections", _rounds(several, runs), "")
        )
    return "\n".join(lines)


class _Yards:
    """The same model in a folder and on PostgreSQL, and servers of both; they end with the stack."""

    def __init__(self, folder: Path, url: str, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.environments = {"folder": {}, "PostgreSQL": {"MODELYARD_DATABASE_URL": url}}
        self.body = body(folder, "LR", 1)
        X, y = make_table()
        for name, database in (("folder", None), ("PostgreSQL", url)):
            with build(Settings(storage_dir=folder / name, database_url=database)) as yard:
                yard.train(TrainRequest(model_class_key="logistic_regression", name="LR", X=X, y=y))

    def rest(self, which: str, count: int) -> list[Server]:
        """Start servers of REST, and have each load the model."""
        servers = [self.start(which, "rest") for _ in range(count)]
        for server in servers:
            if request(server.url(self.body.path), self.body.file.read_bytes()) is None:
                raise RuntimeError(f"a server on {which} does not answer")
        return servers

    def grpc(self, which: str) -> Server:
        """Start a server of gRPC, and have it load the model."""
        server = self.start(which, "grpc")
        with GrpcClient(f"127.0.0.1:{server.port}") as client:
            client.predict(PredictRequest(model_id="LR", X=asked(1)))
        return server

    def start(self, which: str, door: str) -> Server:
        """Start a server of a door."""
        log = Path(tempfile.mkstemp(prefix=f"{which}-{door}-", suffix=".log", dir=self._folder)[1])
        up = is_up if door == "grpc" else None
        environment = self.environments[which]
        return self._stack.enter_context(
            our_server(self._folder / which, log=log, door=door, is_up=up, environment=environment)
        )


def _by_rest(servers: Sequence[Server], question: Body, connections: int, seconds: float) -> Drive:
    def drive_all() -> float:
        each = connections // len(servers)
        with ThreadPoolExecutor(len(servers)) as pool:
            loads = list(
                pool.map(
                    lambda server: drive(server.url(question.path), question.file, connections=each, seconds=seconds),
                    servers,
                )
            )
        if failed := sum(load.failed for load in loads):
            raise RuntimeError(f"{failed} answers failed")
        return sum(load.per_second for load in loads)

    return drive_all


def _by_grpc(server: Server, call: Path, connections: int, seconds: float) -> Drive:
    return lambda: drive_one(server, call, connections, seconds).per_second


def _rounds(drives: dict[str, Drive], runs: int) -> list[dict[str, float]]:
    return [{name: one() for name, one in drives.items()} for _ in range(runs)]


def _line(what: str, rounds: list[dict[str, float]], goal: str) -> str:
    folder, servers = (statistics.median(one[name] for one in rounds) for name in ("folder", "PostgreSQL"))
    ratio = statistics.median(one["PostgreSQL"] / one["folder"] for one in rounds)
    return f"| {what} | {folder:,.0f} | {servers:,.0f} | {ratio:.3f} | {goal} |"


if __name__ == "__main__":
    print(run(*map(int, sys.argv[1:])))
