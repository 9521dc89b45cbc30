"""Others' predictions while a server is under attack, over REST and gRPC: how long they take, and what it holds.

Wanted: one row's 99th percentile within three times that of the idle server, and memory that stays bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from benchmarks.fairness import waits
from benchmarks.servers import Server, our_server
from benchmarks.serving_models import body, train
from modelyard.grpc_server.pb import modelyard_pb2 as pb

CONNECTIONS = 2000
TIMEOUT_S = 5
"""What the server is told to wait; by default it is 30."""

RATE = "100"
"""Calls a second; who predicts here makes no more."""

HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
Attack = Callable[[Server], Awaitable[Any]]


async def a_byte_a_second(server: Server) -> None:
    """Send a head that does not end, a byte a second, until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    with contextlib.suppress(ConnectionError):
        for i in range(10_000):
            writer.write(HEAD[i % len(HEAD) :][:1])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await reader.read()
                    break
    writer.close()


async def a_body_that_never_comes(server: Server) -> None:
    """Announce a body, and wait until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    with contextlib.suppress(ConnectionError):
        writer.write(HEAD + b"Content-Length: 1000000\r\n\r\n")
        await reader.read()
    writer.close()


async def a_flood(server: Server) -> None:
    """Ask from another address, as often as the server answers."""
    for _ in range(40):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, local_addr=("127.0.0.2", 0))
        with contextlib.suppress(ConnectionError):
            writer.write(b"GET /models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            await reader.read()
        writer.close()


ATTACKS: dict[str, tuple[Attack, int]] = {
    f"{CONNECTIONS:,} connections with a byte a second": (a_byte_a_second, CONNECTIONS),
    f"{CONNECTIONS:,} bodies that never come": (a_body_that_never_comes, CONNECTIONS),
    "a flood beyond the rate": (a_flood, 100),
}


def run() -> str:
    """Measure, and return a table."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    lines = [
        "| attack | one row before, p50 / p99 ms | meanwhile, p50 / p99 ms | MiB | then | over after, s | log lines |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    with tempfile.TemporaryDirectory(prefix="limits-") as name:
        folder = Path(name)
        train(folder, {"LR": "logistic_regression"})
        one = body(folder, "LR", 1).file.read_bytes()
        settings = {"MODELYARD_REQUEST_TIMEOUT_S": str(TIMEOUT_S), "MODELYARD_RATE_LIMIT": RATE}
        log = folder / "server.log"
        with our_server(folder / "yard", log=log, environment=settings) as server:
            _warm_up(log)
            for attack, (attacker, count) in ATTACKS.items():
                lines.append(f"| {attack} | {_measure(server, one, log, attacker, count)} |")
                print(lines[-1], file=sys.stderr, flush=True)
        settings["MODELYARD_RATE_LIMIT"] = "0"
        with our_server(folder / "yard", log=log, door="grpc", is_up=_grpc_answers, environment=settings) as server:
            _warm_up(log)
            lines.append(f"| 200 gRPC streams left open | {asyncio.run(_left_open(server))} |")
    return "\n".join(lines)


def _warm_up(log: Path) -> None:
    while "warm after" not in log.read_text():
        time.sleep(0.1)


def _measure(server: Server, one: bytes, log: Path, attacker: Attack, count: int) -> str:
    waits(server, one, 1)  # loads the model
    before, memory, lines = waits(server, one, 2), server.memory_mib(), _refusals(log)
    with ThreadPoolExecutor(1) as pool:
        attacking = pool.submit(lambda: asyncio.run(_all(attacker, server, count)))
        meanwhile = waits(server, one, TIMEOUT_S)
        most = server.memory_mib()
        took_s = attacking.result()
    return (
        f"{before.p50:.1f} / {before.p99:.1f} | {meanwhile.p50:.1f} / {meanwhile.p99:.1f} | {memory} | {most} | "
        f"{took_s:.1f} | {_refusals(log) - lines}"
    )


async def _all(attacker: Attack, server: Server, count: int) -> float:
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(attacker(server) for _ in range(count)))
    return asyncio.get_running_loop().time() - began


def _refusals(log: Path) -> int:
    """Count the lines of the log that are of no prediction."""
    return sum("POST /predict" not in line or "status=200" not in line for line in log.read_text().splitlines())


async def _left_open(server: Server) -> str:
    header = pb.PredictStreamRequest(predict=pb.PredictRequest(model_id="LR")).SerializeToString()
    row = pb.Rows(rows=[pb.Row()])
    asked = pb.PredictRequest(model_id="LR", X=pb.Table(rows=row)).SerializeToString()
    loop = asyncio.get_running_loop()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        predict = channel.unary_unary("/modelyard.v1.ModelService/Predict")

        async def ask(seconds: float) -> list[float]:
            took, ends = [], loop.time() + seconds
            while loop.time() < ends:
                began = loop.time()
                with contextlib.suppress(grpc.RpcError):  # a row without cells is refused, which takes as long
                    await predict(asked)
                took.append((loop.time() - began) * 1000)
                await asyncio.sleep(0.01)
            return sorted(took)

        await ask(1)
        before, memory = await ask(2), server.memory_mib()
        streams = [channel.stream_stream("/modelyard.v1.ModelService/PredictStream")() for _ in range(200)]
        began = loop.time()
        await asyncio.gather(*(stream.write(header) for stream in streams))
        meanwhile, most = await ask(TIMEOUT_S - 1), server.memory_mib()
        codes = {await stream.code() for stream in streams}
        took_s = loop.time() - began
    assert codes == {grpc.StatusCode.DEADLINE_EXCEEDED}, codes
    shown = [f"{found[len(found) // 2]:.1f} / {found[int(len(found) * 0.99)]:.1f}" for found in (before, meanwhile)]
    return f"{shown[0]} | {shown[1]} | {memory} | {most} | {took_s:.1f} | "


def _grpc_answers(server: Server) -> bool:
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        try:
            grpc.channel_ready_future(channel).result(0.5)
        except grpc.FutureTimeoutError:
            return False
    return True


if __name__ == "__main__":
    print(run())
