"""`GET /metrics` and `GET /health/ready` beside gRPC, on a port of its own, for what speaks HTTP alone.

With TLS it shows gRPC's certificate and wants its callers' as gRPC does; if keys are asked for, metrics want one.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from modelyard.access.addresses import address_of, is_one_of
from modelyard.access.tls import CertificateFiles, server_context
from modelyard.calls import Call, request_id
from modelyard.errors import NotFound, PermissionDenied, ResourceExhausted, Unauthenticated, Unavailable
from modelyard.grpc_server.gate import DOOR
from modelyard.ml_core.yard import Yard
from modelyard.monitoring.metrics import MEDIA_TYPE
from modelyard.settings import Settings

log = logging.getLogger("modelyard.grpc")

PATH = "/metrics"
READY = "/health/ready"
"""As REST has it: a balancer asks there whether gRPC's callers may be sent here."""

MOST_AT_ONCE = 16
"""Connections beyond so many are closed at once: each takes a thread."""

_STATUS = {
    Unauthenticated.code: 401,
    PermissionDenied.code: 403,
    NotFound.code: 404,
    ResourceExhausted.code: 429,
    Unavailable.code: 503,
}


@asynccontextmanager
async def serving_metrics(yard: Yard, settings: Settings, files: CertificateFiles | None) -> AsyncIterator[None]:
    """Serve the metrics within the block if the settings name a port. Raises Unavailable if it is taken."""
    if not settings.metrics_port:
        yield
        return
    where = f"{settings.host}:{settings.metrics_port}"
    try:
        server = _Server(yard, settings, files)
    except OSError as error:
        raise Unavailable(f"cannot tell metrics: {error.strerror}; MODELYARD_METRICS_PORT sets the port") from None
    log.info("serving metrics on http%s://%s%s", "s" * settings.tls, where, PATH)
    thread = threading.Thread(target=server.serve_forever, name="metrics")
    thread.start()
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    """Listens, with a thread a connection. A connection lasts as long as a request may take, and no longer."""

    def __init__(self, yard: Yard, settings: Settings, files: CertificateFiles | None) -> None:
        self.yard = yard
        self.hosts = settings.accepted_hosts
        self.proxies = settings.trusted_proxies
        self.wants_certificates = settings.tls_client_ca_file is not None
        self._context = None if files is None else server_context(files)
        self._timeout_s = settings.request_timeout_s
        self._free = threading.Semaphore(MOST_AT_ONCE)
        address = (settings.host, settings.metrics_port)
        super().__init__(address, _Handler, bind_and_activate=False)
        self.socket.close()
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        both = settings.host == "::" and socket.has_dualstack_ipv6()
        self.socket = socket.create_server(address, family=family, dualstack_ipv6=both)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Take a connection; TLS is agreed on in its thread."""
        connection, address = super().get_request()
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, if there is one left."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer a connection, and cut it off when its time is over."""
        limit = threading.Timer(self._timeout_s, _cut_off, [request])
        limit.daemon = True
        limit.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            limit.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say little of a connection that broke: its caller speaks no TLS, came too late or has left."""
        log.debug("a caller of the metrics is gone: %r", sys.exception())


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: _Server

    def do_GET(self) -> None:
        """Answer with the metrics, or say in a line why not."""
        forwarded_for = ", ".join(self.headers.get_all("x-forwarded-for", ()))
        address = address_of(self.client_address[0], forwarded_for or None, self.server.proxies)
        known_by = request_id(self.headers.get("x-request-id"))
        calls = self.server.yard.calls
        with Call(calls, DOOR, f"GET {ascii(self.path)[1:-1]}", request_id=known_by, address=address) as call:
            status, kind = 200, MEDIA_TYPE
            try:
                body = self._found(call)
            except Exception as error:  # noqa: BLE001 - logged and answered
                refused = call.refusal(error)
                status, kind = _STATUS.get(refused.code, 500), "text/plain; charset=utf-8"
                body = f"{refused.code}: {refused.detail}\n".encode()
            call.end(status=status, bytes_out=len(body))
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), ("X-Request-Id", known_by)):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _found(self, call: Call) -> bytes:
        server, host = self.server, self.headers.get("host", "")
        if server.wants_certificates and not self.connection.getpeercert():
            raise PermissionDenied("this server wants a client certificate; see MODELYARD_TLS_CLIENT_CA_FILE")
        if server.hosts is not None and not is_one_of(server.hosts, host):
            raise PermissionDenied(f"host {host[:200]!r} is not a name of this server; see MODELYARD_ALLOWED_HOSTS")
        path = self.path.partition("?")[0]
        if path == READY:
            if server.yard.health().status != "ok":
                raise Unavailable("this server cannot serve now")
            return b"ok\n"
        call.identity = server.yard.guard.identify(self.headers.get("authorization"), call.address)
        if path != PATH:
            raise NotFound(f"there is no GET {self.path[:200]!r}, only {PATH} and {READY}")
        return server.yard.metrics()

    def version_string(self) -> str:
        """Say nothing of what serves."""
        return "modelyard"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Write nothing: the end of the call does."""


def _cut_off(connection: socket.socket) -> None:
    with suppress(OSError, ssl.SSLError):
        connection.shutdown(socket.SHUT_RDWR)
