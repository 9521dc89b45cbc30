"""What a gRPC server in Python costs before it does anything: `python -m benchmarks.grpc_floor PORT LOOP`.

LOOP is `asyncio`, as in the examples of gRPC itself, or `uvloop`, on which ours runs, too. The floor takes the same
messages as ours and answers the same bytes, which it knows before; neither is read.
"""

from __future__ import annotations

import asyncio
import sys

import grpc
import uvloop

ANSWER = (
    bytes.fromhex("0a246e6f6e65") + b"-" * 32 + b"\x12\x04\x22\x02no" + b"\x1a\x04\x22\x02no" + b"\x1a\x05\x22\x03yes"
)


async def _predict(_request: bytes, _context: object) -> bytes:
    return ANSWER


async def _serve(port: int) -> None:
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    handler = grpc.unary_unary_rpc_method_handler(_predict)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("modelyard.v1.ModelService", {"Predict": handler}),)
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    run = {"asyncio": asyncio.run, "uvloop": uvloop.run}[sys.argv[2]]
    run(_serve(int(sys.argv[1])))
