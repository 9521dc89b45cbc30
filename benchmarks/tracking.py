"""What tracking costs a training: with ClearML well, frozen and refusing, beside a server that tracks nothing.

Run as `python -m benchmarks.tracking`. ClearML is the tests' double of its API, told by its own library.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from benchmarks.servers import Server, our_server
from benchmarks.tables_made import SMALL, make_table
from modelyard.rest_api.client import RestClient
from modelyard.schemas import TrainRequest
from tests import clearml_double

RUNS = 25
_STATES: dict[str, dict[str, Any]] = {
    "ClearML is well": {},
    "ClearML is frozen": {"frozen": True},
    "ClearML answers 503": {"down": True},
}


def run() -> Iterator[str]:
    """Measure, and yield table after table."""
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        servers = {"tracking is off": stack.enter_context(_server(folder / "off", {}))}
        for number, (state, knobs) in enumerate(_STATES.items()):
            double = stack.enter_context(clearml_double.listening(clearml_double.Double(**knobs)))
            servers[state] = stack.enter_context(_server(folder / str(number), double.environment(folder)))
        X, y = make_table()
        table = folder / "made.parquet"
        X.with_columns(y).write_parquet(table)
        orders = {"150 rows": SMALL, f"{X.height:,} rows": {"X": table, "target": y.name}}
        yield _trainings(servers, orders)
        yield _memory(servers)


def _trainings(servers: dict[str, Server], orders: dict[str, dict[str, Any]]) -> str:
    lines = [
        "| `train` over REST, median ms | " + " | ".join(orders) + " | ratio |\n",
        "| --- |" + " ---: |" * 3 + "\n",
    ]
    taken: dict[str, dict[str, list[float]]] = {state: {} for state in servers}
    for what, fields in orders.items():
        request = TrainRequest(model_class_key="logistic_regression", **fields)
        clients = {state: RestClient(server.url("")) for state, server in servers.items()}
        for number in range(RUNS + 2):
            for state, client in clients.items():
                began = time.perf_counter()
                client.train(request)
                if number >= 2:  # the first ones wait for the fork server
                    taken[state].setdefault(what, []).append((time.perf_counter() - began) * 1000)
        for client in clients.values():
            client.close()
    off = taken["tracking is off"]
    for state, found in taken.items():
        ratios = [statistics.median(a / b for a, b in zip(found[what], off[what], strict=True)) for what in orders]
        medians = " | ".join(f"{statistics.median(found[what]):.0f}" for what in orders)
        lines.append(f"| {state} | {medians} | {' / '.join(f'{ratio:.2f}' for ratio in ratios)} |\n")
    return "".join(lines)


def _memory(servers: dict[str, Server]) -> str:
    rows = "".join(f"| {state} | {server.own_memory_mib():.1f} |\n" for state, server in servers.items())
    return f"| the server's own memory after that | MiB |\n| --- | ---: |\n{rows}"


def _server(root: Path, environment: dict[str, str]) -> AbstractContextManager[Server]:
    return our_server(root, log=root.with_suffix(".log"), environment={**environment, "MODELYARD_TRAIN_NICENESS": "0"})


if __name__ == "__main__":
    for part in run():
        print(part, flush=True)
