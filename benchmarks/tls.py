"""TLS beside plain: one row of logistic regression over REST and gRPC, by connections that stay.

Both servers of a door run at the same time and are driven in turn by `h2load`, so that a noisy machine slows both
alike. Every number is the median of the runs, every ratio the median of the runs' ratios.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from benchmarks import grpc_serving, rest_serving
from benchmarks.load import Load
from benchmarks.servers import Server, our_server
from benchmarks.serving_models import MODELS, asked, body, train
from modelyard.connection import connect
from modelyard.errors import Unavailable
from modelyard.schemas import PredictRequest
from tests.certificates import Authority, Made

RUNS = 5
MODEL = "LR"
Ask = Callable[..., Load]


def run(runs: int = RUNS, seconds: float = 3.0) -> str:
    """Measure, and return the Markdown table."""
    lines = ["| one row | plain, requests/s | TLS, requests/s | ratio | p50 ms, plain / TLS | p99 ms, plain / TLS |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as name:
        folder = Path(name)
        train(folder, {MODEL: MODELS[MODEL]})
        made = Authority(folder / "ca").make()
        row = [list(row) for row in asked(1).rows()]
        questions: dict[str, Ask] = {
            "rest": partial(rest_serving.ask, question=body(folder, MODEL, 1)),
            "grpc": partial(grpc_serving.drive_one, body=grpc_serving.request_file(folder / "message", row, MODEL)),
        }
        for door, ask in questions.items():
            with _server(folder, door, None) as plain, _server(folder, door, made) as encrypted:
                encrypted.scheme = "https"
                for connections in (1, 16):
                    rounds = [
                        (
                            ask(plain, connections=connections, seconds=seconds),
                            ask(encrypted, connections=connections, seconds=seconds),
                        )
                        for _ in range(runs)
                    ]
                    lines.append(_line(f"{door}, {connections} connections", rounds))
    return "\n".join(lines) + "\n"


def _server(folder: Path, door: str, made: Made | None) -> AbstractContextManager[Server]:
    """Start a server, by TLS if there is a certificate for it; it is up once it has predicted."""

    def is_up(server: Server) -> bool:
        scheme = {"rest": "http", "grpc": "grpc"}[door] + "s" * (made is not None)
        try:
            with connect(f"{scheme}://127.0.0.1:{server.port}", ca_file=made and made.cert) as yard:
                yard.predict(PredictRequest(model_id=MODEL, X=asked(1)))
        except Unavailable:
            return False
        return True

    tls = {} if made is None else {f"MODELYARD_{name.upper()}": str(file) for name, file in made.settings().items()}
    log = folder / f"{door}-{'plain' if made is None else 'tls'}.log"
    return our_server(folder / "yard", log=log, door=door, is_up=is_up, environment=tls)


def _line(what: str, rounds: list[tuple[Load, Load]]) -> str:
    def median(name: str, which: int) -> float:
        return statistics.median(getattr(one[which], name) for one in rounds)

    ratio = statistics.median(tls.per_second / plain.per_second for plain, tls in rounds)
    times = [f"{median(name, 0):.2f} / {median(name, 1):.2f}" for name in ("p50_ms", "p99_ms")]
    rates = [f"{median('per_second', which):,.0f}" for which in (0, 1)]
    return f"| {what} | {' | '.join(rates)} | {ratio:.2f} | {' | '.join(times)} |"


if __name__ == "__main__":
    print(run(*map(int, sys.argv[1:])))
