"""What counting for Prometheus costs: one row over REST and gRPC beside servers that count no calls.

All servers run at the same time on one folder and are driven in turn by `h2load`, so that a noisy machine slows all
alike. Every number is the median of the runs, every ratio the median of the runs' ratios. The CPU time of a request
says more on a machine that others use, too.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks import grpc_serving, rest_serving
from benchmarks.load import Load
from benchmarks.servers import Server, answers, our_server, serving
from benchmarks.serving_models import MODELS, asked, body, slug, train

RUNS = 5
SECONDS = 2
MODEL = "LR"
WARM_UP_S = 0.5
Ask = Callable[..., Load]
Measured = tuple[float, float]

_WITHOUT = """
from modelyard.cli import main
from modelyard.ml_core.yard import Yard

make = Yard.__init__

def make_without(yard, *args, **kwargs):
    make(yard, *args, **kwargs)
    yard.calls.listeners.remove(yard._metrics.listen)

Yard.__init__ = make_without
main()
"""


def run(runs: int = RUNS, seconds: float = SECONDS) -> str:
    """Measure, and return the Markdown table."""
    lines = [
        "| one row | requests/s without | with | ratio | µs of CPU a request without | with | ratio |",
        "| --- |" + " ---: |" * 6,
    ]
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as name:
        folder = Path(name)
        train(folder, {MODEL: MODELS[MODEL]})
        for door, ask in _questions(folder).items():
            with _servers(folder, door) as (without, counting):
                for connections in (1, 16):
                    measure = partial(_measure, partial(ask, connections=connections), seconds)
                    rounds = [_in_turn(measure, without, counting, first=turn % 2) for turn in range(runs)]
                    lines.append(_line(f"{door}, {connections} connection{'s' * (connections > 1)}", rounds))
    return "\n".join(lines)


def _questions(folder: Path) -> dict[str, Ask]:
    rows = [list(row) for row in asked(1).iter_rows()]
    by_grpc = grpc_serving.request_file(folder / "one.grpc", rows, slug(MODEL))
    return {
        "rest": partial(rest_serving.ask, question=body(folder, MODEL, 1)),
        "grpc": partial(grpc_serving.drive_one, body=by_grpc),
    }


@contextmanager
def _servers(folder: Path, door: str) -> Iterator[tuple[Server, Server]]:
    is_up = answers("/health/live") if door == "rest" else grpc_serving.is_up
    command = [sys.executable, "-c", _WITHOUT, door, "--storage", str(folder / "yard"), "--port"]
    with (
        serving(lambda port: [*command, str(port)], is_up, log=folder / f"{door}-without.log") as without,
        our_server(folder / "yard", log=folder / f"{door}.log", door=door, is_up=is_up) as counting,
    ):
        yield without, counting


def _measure(ask: Ask, seconds: float, server: Server) -> Measured:
    """Return the requests a second, and the microseconds of CPU for one, as if the warm-up were as quick."""
    before = server.cpu_s()
    per_second = ask(server, seconds=seconds).per_second
    return per_second, 1e6 * (server.cpu_s() - before) / (per_second * (seconds + WARM_UP_S))


def _in_turn(measure: Callable[[Server], Measured], without: Server, counting: Server, *, first: int) -> list[Measured]:
    """Measure both, the one or the other first: while a machine gets slower, the second would look worse."""
    if first == 0:
        return [measure(without), measure(counting)]
    return [measure(counting), measure(without)][::-1]


def _line(what: str, rounds: list[list[Measured]]) -> str:
    cells = []
    for place, digits in ((0, 0), (1, 1)):
        pairs = [(without[place], counting[place]) for without, counting in rounds]
        cells += [f"{statistics.median(found):,.{digits}f}" for found in zip(*pairs, strict=True)]
        cells.append(f"{statistics.median(counting / without for without, counting in pairs):.3f}")
    return f"| {what} | {' | '.join(cells)} |"


if __name__ == "__main__":
    print(run(*map(int, sys.argv[1:])))
