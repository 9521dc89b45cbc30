"""The standard `grpc.health.v1.Health`: SERVING while the yard can serve, as /health/ready says it over REST."""

from __future__ import annotations

import asyncio
import logging

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio

from modelyard.ml_core.desk import Desk

log = logging.getLogger("modelyard.grpc")

LOOK_AGAIN_S = 2.0

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def follow(desk: Desk, servicer: aio.HealthServicer, names: tuple[str, ...]) -> None:
    """Keep what the health service says in step with the yard's health, until cancelled."""
    while True:
        await asyncio.sleep(LOOK_AGAIN_S)
        await look(desk, servicer, names)


async def look(desk: Desk, servicer: aio.HealthServicer, names: tuple[str, ...]) -> None:
    """Set what the health service answers to the yard's health now, or to NOT_SERVING if that fails."""
    try:
        serving = (await desk.health()).status == "ok"
    except Exception:
        log.exception("unexpected error while looking at the yard's health")
        serving = False
    for name in names:
        await servicer.set(name, _SERVING if serving else _NOT_SERVING)
