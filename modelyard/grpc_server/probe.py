"""Ask a gRPC server for its standard health; knows nothing of the yard, so that it is quick to start."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


def local_target(port: int) -> str:
    """Return where a server that speaks TLS on a port tells programs of this machine its health, without TLS.

    A check should not fail because of a certificate, and gRPC cannot want one of some callers alone.
    """
    name = f"modelyard-grpc-health-{port}"
    return f"unix-abstract:{name}" if sys.platform == "linux" else f"unix:{Path(tempfile.gettempdir(), name)}"


def problem_of(target: str, timeout_s: float) -> str:
    """Return what keeps the server at `target` (host:port, or a local one) from serving, nothing if it can."""
    with grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
        except grpc.RpcError as error:
            return f"no answer: {error.details() or error.code().name}"
    status: str = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return "" if status == "SERVING" else f"it says {status}"
