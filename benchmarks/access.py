"""What keys, limits and TLS cost: one row over REST and gRPC, with each of them on, beside a server without any.

All servers run at the same time on one folder and are driven in turn by `h2load`, so that a noisy machine slows all
alike. Every number is the median of the runs, every ratio the median of the runs' ratios.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from benchmarks import grpc_serving, rest_serving
from benchmarks.load import Load
from benchmarks.servers import Server, answers, our_server
from benchmarks.serving_models import MODELS, asked, body, slug, train
from modelyard.bootstrap import build
from modelyard.schemas import KeyRequest
from modelyard.settings import Settings

RUNS = 5
SECONDS = 2
MODEL = "LR"
TARGET = 0.95
Ask = Callable[..., Load]

WAYS: dict[str, dict[str, str]] = {
    "without": {},
    "keys": {"MODELYARD_AUTH": "keys"},
    "keys and limits": {
        "MODELYARD_AUTH": "keys",
        "MODELYARD_RATE_LIMIT": "1000000",
        "MODELYARD_MAX_CONCURRENT_PREDICTIONS": "1000",
    },
}


def run(runs: int = RUNS, seconds: float = SECONDS) -> str:
    """Measure, and return the Markdown table."""
    names = [name if name == "without" else f"{name} | ratio" for name in WAYS]
    lines = [f"| one row, requests/s | {' | '.join(names)} |", "| --- |" + " ---: |" * (2 * len(WAYS) - 1)]
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as name:
        folder = Path(name)
        train(folder, {MODEL: MODELS[MODEL]})
        for door, ask in _questions(folder).items():
            with _servers(folder, door) as servers:
                for connections in (1, 16):
                    rounds = [
                        {way: ask(server, connections=connections, seconds=seconds) for way, server in servers.items()}
                        for _ in range(runs)
                    ]
                    lines.append(_line(f"{door}, {connections} connections", rounds))
    return "\n".join(lines)


def _questions(folder: Path) -> dict[str, Ask]:
    """Return what asks each door for one row, with a predictor's key."""
    with build(Settings(storage_dir=folder / "yard")) as yard:
        shown = [f"authorization: Bearer {yard.create_key(KeyRequest(name='bench', role='predictor')).key}"]
    rows = [list(row) for row in asked(1).iter_rows()]
    by_grpc = grpc_serving.request_file(folder / "one.grpc", rows, slug(MODEL))
    return {
        "rest": partial(rest_serving.ask, question=body(folder, MODEL, 1), headers=shown),
        "grpc": partial(grpc_serving.drive_one, body=by_grpc, headers=shown),
    }


@contextmanager
def _servers(folder: Path, door: str) -> Iterator[dict[str, Server]]:
    is_up = answers("/health/live") if door == "rest" else grpc_serving.is_up
    with ExitStack() as stack:
        yield {
            way: stack.enter_context(
                our_server(folder / "yard", log=folder / f"{door}.log", door=door, is_up=is_up, environment=settings)
            )
            for way, settings in WAYS.items()
        }


def _line(what: str, rounds: list[dict[str, Load]]) -> str:
    cells = []
    for way in WAYS:
        cells.append(f"{statistics.median(one[way].per_second for one in rounds):,.0f}")
        if way != "without":
            cells.append(f"{statistics.median(one[way].per_second / one['without'].per_second for one in rounds):.2f}")
    return f"| {what} | {' | '.join(cells)} |"


if __name__ == "__main__":
    print(run(*map(int, sys.argv[1:])))
