"""Ask a gRPC server for its standard health; knows nothing of the yard, so that it is quick to start."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


def problem_of(target: str, timeout_s: float) -> str:
    """Return what keeps the server at `target` (host:port) from serving, nothing if it can."""
    with grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
        except grpc.RpcError as error:
            return f"no answer: {error.details() or error.code().name}"
    status: str = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return "" if status == "SERVING" else f"it says {status}"
