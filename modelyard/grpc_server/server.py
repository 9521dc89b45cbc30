"""Serve the gRPC service: the listening socket, health, reflection, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Mapping

import uvloop
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from grpc_health.v1 import health as health_service
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from modelyard.access.tls import HANDSHAKE_S, CertificateFiles, certificate_files
from modelyard.errors import Unavailable
from modelyard.grpc_server import health
from modelyard.grpc_server.gate import TRANSPORT_FACTOR, Gate, snake_case
from modelyard.grpc_server.health_and_reflection import Pools, Registry
from modelyard.grpc_server.metrics_server import serving_metrics
from modelyard.grpc_server.open_inference import service as inference
from modelyard.grpc_server.pb import modelyard_pb2 as pb
from modelyard.grpc_server.probe import local_target
from modelyard.grpc_server.service import ModelService
from modelyard.grpc_server.tls import server_credentials
from modelyard.grpc_server.wire import Method, WireServer, transport
from modelyard.ml_core.desk import AFTER_TRAININGS_S, Desk
from modelyard.ml_core.yard import Yard
from modelyard.settings import Settings

log = logging.getLogger("modelyard.grpc")

SERVICE = pb.DESCRIPTOR.services_by_name["ModelService"]
NAMES = (SERVICE.full_name, inference.DESCRIPTOR.full_name, "")
LEAST_PING_MS = 4_000
"""gRPC ends a connection after three pings that came sooner, by itself after three within five minutes each.

The docs promise 5 s, because the network may bring two pings closer together.
"""

IDLE_MS = 75_000
"""A connection without calls is kept so long, as REST keeps one without requests. Clients connect again by themselves.

To gRPC's core a connection over which the headers of a call come bit by bit is one without calls.
"""


def serve(yard: Yard, settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C; calls under way are finished first. Closes the core."""
    uvloop.run(_serve_until_signal(yard, settings))


async def _serve_until_signal(yard: Yard, settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(yard, settings) as port:
        log.info("serving gRPC on %s%s:%d", "grpcs://" if settings.tls else "", settings.host, port)
        await stop.wait()


@contextlib.asynccontextmanager
async def running(yard: Yard, settings: Settings) -> AsyncIterator[int]:
    """Serve while the context lasts; its value is the port.

    At its end health says NOT_SERVING; after `drain_s` no call is let in any more, and those under way are finished.
    Closes the core. Raises Unavailable if the port is taken.
    """
    files = certificate_files(settings)
    desk = Desk(yard, settings.max_concurrent_predictions)
    gate = Gate(desk.calls, desk.guard, settings)
    service = ModelService(desk, max_body_bytes=settings.max_body_bytes)
    standard_health = health_service.aio.HealthServicer()
    every = {
        **methods(SERVICE, service, gate),
        **methods(inference.DESCRIPTOR, inference.InferenceService(desk), gate),
        **standard_methods(standard_health, gate),
    }
    async with serving_metrics(yard, settings, files):
        server = transport(settings.grpc_transport)(every, _options(settings), settings.request_timeout_s)
        port = _listen(server, settings, files)
        desk.open()
        await health.look(desk, standard_health, NAMES)
        await server.start()
        local = None if files is None else await _start_local_health(type(server), every, settings, port)
        following = asyncio.create_task(health.follow(desk, standard_health, NAMES))
        try:
            yield port
        finally:
            following.cancel()
            desk.leave()
            await standard_health.enter_graceful_shutdown()
            await asyncio.sleep(settings.drain_s)
            desk.drain()
            grace_s = settings.train_grace_s + AFTER_TRAININGS_S
            try:
                gate.close()
                async with asyncio.timeout(grace_s):
                    await server.drain()
            except TimeoutError:
                log.warning("calls were still under way after %g s", grace_s)
            for one in filter(None, (server, local)):
                await one.stop()
            await desk.close()


def methods(described: ServiceDescriptor, service: object, gate: Gate) -> dict[str, Method]:
    """Join every method of a service's descriptor with what it does. Raises AttributeError if one does nothing."""
    return {f"/{described.full_name}/{method.name}": _method(service, gate, method) for method in described.methods}


def _method(service: object, gate: Gate, method: MethodDescriptor) -> Method:
    name = snake_case(method.name)
    return gate.method(method, getattr(service, name), getattr(service, f"{name}_at_once", None))


def standard_methods(health_servicer: health_service.aio.HealthServicer, gate: Gate) -> dict[str, Method]:
    """Return the methods of gRPC's own services: health, and reflection for whoever has a key."""
    known, for_holders = Registry(), Registry(gate.check_reflecting)
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, known)
    names = (*NAMES[:-1], health_service.SERVICE_NAME, reflection.SERVICE_NAME)
    reflected = reflection.aio.ReflectionServicer(
        names, Pools(descriptor_pool.Default(), inference.DESCRIPTOR.file.pool)
    )
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(reflected, for_holders)
    return known.methods | for_holders.methods


def _options(settings: Settings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", min(TRANSPORT_FACTOR * settings.grpc_max_message_bytes, 2**31 - 1)),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # two servers on one port would share its calls at random
        ("grpc.http2.min_ping_interval_without_data_ms", LEAST_PING_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.server_handshake_timeout_ms", int(1000 * min(HANDSHAKE_S, settings.request_timeout_s))),
        ("grpc.max_connection_idle_ms", IDLE_MS),
    ]


def _listen(server: WireServer, settings: Settings, files: CertificateFiles | None) -> int:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    credentials = None
    if files is not None:
        files.announce()
        credentials = server_credentials(files)
    try:
        return server.listen(f"{host}:{settings.grpc_port}", credentials)
    except RuntimeError as error:
        raise Unavailable(f"cannot listen on {host}:{settings.grpc_port}: {error}") from None


async def _start_local_health(
    kind: type[WireServer], every: Mapping[str, Method], settings: Settings, port: int
) -> WireServer | None:
    """Tell programs of this machine the health without TLS, and nothing else."""
    of_health = {path: method for path, method in every.items() if path.startswith(f"/{health_service.SERVICE_NAME}/")}
    server = kind(of_health, _options(settings), settings.request_timeout_s)
    try:
        server.listen(local_target(port))
    except RuntimeError as error:
        log.warning("`modelyard health` will not reach this server: %s", error)
        return None
    await server.start()
    return server
