"""The one place where a call enters: its id, its size, where it comes from, and its line in the log."""

from __future__ import annotations

import logging
import os
import re
import time
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelyard import logs
from modelyard.errors import ModelyardError, PayloadTooLarge, PermissionDenied
from modelyard.rest_api import problems
from modelyard.settings import Settings

log = logging.getLogger("modelyard.rest")

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class Gate:
    """Middleware around the whole application.

    Refuses what a browser was tricked into sending (an Origin or Host that is not ours) and bodies over the limit,
    while they arrive; gives every answer its `X-Request-Id`; logs one line a request.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._max_body_bytes = settings.max_body_bytes
        self._allowed_origins = frozenset(settings.allowed_origins)
        self._loopback_only = settings.host in LOOPBACK

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else os.urandom(8).hex()
        with logs.request(request_id) as facts:
            call = _Call(scope, receive, send, facts, self._max_body_bytes)
            try:
                self._check_origin(headers)
                call.check_declared_size(headers)
            except ModelyardError as error:
                await call.refuse(error)
            else:
                await self._pass_on(call)
            call.log()

    async def _pass_on(self, call: _Call) -> None:
        try:
            await self._app(call.scope, call.receive, call.send)
        except Exception:
            log.exception("unexpected error", extra={"facts": call.facts})
            if not call.started:
                await call.refuse(ModelyardError(problems.INTERNAL_DETAIL))

    def _check_origin(self, headers: Headers) -> None:
        host = headers.get("host", "")
        if self._loopback_only and host and _without_port(host) not in LOOPBACK:
            raise PermissionDenied(f"host {host[:200]!r} is not this server; it listens on this machine only")
        origin = headers.get("origin")
        if origin is None or origin in self._allowed_origins:
            return
        if origin.partition("://")[2] != host:
            raise PermissionDenied(f"origin {origin[:200]!r} may not call this server; see MODELYARD_ALLOWED_ORIGINS")


class _Call:
    """One request on its way: counts its bytes in and out and remembers its status."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, facts: dict[str, Any], max_bytes: int) -> None:
        self.scope = scope
        self.facts = facts
        self.started = False
        self._receive = receive
        self._send = send
        self._request_id: str = facts["request_id"]
        self._max_bytes = max_bytes
        self._bytes_in = 0
        self._bytes_out = 0
        self._status = 0
        self._began = time.perf_counter()

    def check_declared_size(self, headers: Headers) -> None:
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self._max_bytes:
            raise self._too_large(f"{int(declared):,} bytes")

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._bytes_in += len(message.get("body", b""))
            if self._bytes_in > self._max_bytes:
                raise self._too_large("more")
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self._status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._request_id.encode())]
        else:
            self._bytes_out += len(message.get("body", b""))
        await self._send(message)

    async def refuse(self, error: ModelyardError) -> None:
        body = problems.to_problem(error, self._request_id)
        headers = [
            (b"content-type", problems.MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await self.send({"type": "http.response.start", "status": problems.status_of(error), "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def log(self) -> None:
        level = logging.WARNING if self._status >= 500 else logging.INFO
        if not log.isEnabledFor(level):
            return
        ms = round((time.perf_counter() - self._began) * 1000, 3)
        sizes = {"status": self._status, "bytes_in": self._bytes_in, "bytes_out": self._bytes_out, "ms": ms}
        log.log(level, "%s %s", self.scope["method"], self.scope["path"], extra={"facts": {**self.facts, **sizes}})

    def _too_large(self, got: str) -> PayloadTooLarge:
        return PayloadTooLarge(
            f"the body must be at most {self._max_bytes / 2**20:g} MB ({self._max_bytes:,} bytes), got {got}; "
            "MODELYARD_MAX_BODY_MB sets the limit"
        )


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()
