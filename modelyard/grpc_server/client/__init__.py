"""The client of the gRPC door. It needs no server code."""

from modelyard.grpc_server.client.grpc_client import GrpcClient

__all__ = ["GrpcClient"]
