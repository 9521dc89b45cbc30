"""The one place where a call enters: its id, its size, where it comes from, and its line in the log."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from functools import lru_cache
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelyard import logs
from modelyard.errors import ModelyardError, PayloadTooLarge, PermissionDenied, Unavailable
from modelyard.rest_api import problems
from modelyard.settings import Settings

log = logging.getLogger("modelyard.rest")

HUNG_UP = 499
"""What the log has for a status where the caller hung up before there was one (nginx's word for it)."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_HEADERS = frozenset({b"host", b"origin", b"x-request-id", b"content-length"})
_ids = random.Random()  # noqa: S311 - they tell requests apart and keep no secret

Headers = dict[bytes, bytes]


class Gate:
    """Middleware around the whole application.

    Refuses what a browser was tricked into sending (an Origin or Host that is not ours) and bodies over the limit,
    while they arrive; gives every answer its `X-Request-Id`; logs one line a request.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._max_body_bytes = settings.max_body_bytes
        self._allowed_origins = frozenset(origin.encode("latin-1", "replace") for origin in settings.allowed_origins)
        self._hosts = settings.accepted_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # The first of equal names counts.
        headers: Headers = {name: value for name, value in reversed(scope["headers"]) if name in _HEADERS}
        with logs.request(request_id(headers.get(b"x-request-id"))) as facts:
            call = _Call(scope, receive, send, facts, self._max_body_bytes)
            try:
                self._check_origin(headers)
                call.check_declared_size(headers)
                await self._app(scope, call.receive, call.send)
            except Exception as error:  # noqa: BLE001 - logged and answered
                await _answer_error(call, error)
            except asyncio.CancelledError:  # the server ends, and has waited long enough
                if not call.started:
                    await call.refuse(Unavailable("the server is shutting down"))
            call.log()

    def _check_origin(self, headers: Headers) -> None:
        host = headers.get(b"host", b"")
        if self._hosts is not None and not _is_one_of(self._hosts, host):
            raise PermissionDenied(f"host {_shown(host)} is not a name of this server; see MODELYARD_ALLOWED_HOSTS")
        origin = headers.get(b"origin")
        if origin is None or origin in self._allowed_origins:
            return
        if origin.partition(b"://")[2] != host:
            raise PermissionDenied(f"origin {_shown(origin)} may not call this server; see MODELYARD_ALLOWED_ORIGINS")


class _Call:
    """One request on its way: counts its bytes in and out and remembers its status."""

    __slots__ = (
        "_began",
        "_bytes_in",
        "_bytes_out",
        "_max_bytes",
        "_receive",
        "_send",
        "_status",
        "_whole",
        "facts",
        "scope",
        "started",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, facts: dict[str, Any], max_bytes: int) -> None:
        self.scope = scope
        self.facts = facts
        self.started = False
        self._receive = receive
        self._send = send
        self._max_bytes = max_bytes
        self._bytes_in = 0
        self._bytes_out = 0
        self._whole = False
        self._status = 0
        self._began = time.perf_counter()

    def check_declared_size(self, headers: Headers) -> None:
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self._max_bytes:
            raise self._too_large(f"{int(declared):,} bytes")

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._bytes_in += len(message.get("body", b""))
            if self._bytes_in > self._max_bytes:
                raise self._too_large("more")
            self._whole = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self._status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.facts["request_id"].encode())]
        else:
            self._bytes_out += len(message.get("body", b""))
        await self._send(message)

    async def refuse(self, error: ModelyardError) -> None:
        body = problems.to_problem(error, self.facts["request_id"])
        headers = [(b"content-length", b"%d" % len(body)), (b"content-type", problems.MEDIA_TYPE.encode())]
        if not self._whole:  # the rest of the body would be taken for the next request
            headers.append((b"connection", b"close"))
        await self.send({"type": "http.response.start", "status": problems.status_of(error), "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def hung_up(self) -> None:
        self._status = HUNG_UP

    def log(self) -> None:
        level = logging.WARNING if self._status >= 500 else logging.INFO
        if self._status < 400 and self.scope["path"].startswith("/health"):
            level = logging.DEBUG  # machines ask every few seconds
        if not log.isEnabledFor(level):
            return
        ms = round((time.perf_counter() - self._began) * 1000, 3)
        sizes = {"status": self._status, "bytes_in": self._bytes_in, "bytes_out": self._bytes_out, "ms": ms}
        path = self.scope["raw_path"].decode("latin-1")  # as it came: decoded, it may hold line ends
        logs.emit(log, level, f"{self.scope['method']} {path}", {**self.facts, **sizes})

    def _too_large(self, got: str) -> PayloadTooLarge:
        return PayloadTooLarge(
            f"the body must be at most {self._max_bytes / 2**20:g} MB ({self._max_bytes:,} bytes), got {got}; "
            "MODELYARD_MAX_BODY_MB sets the limit"
        )


async def _answer_error(call: _Call, error: Exception) -> None:
    if isinstance(error, ClientDisconnect):
        call.hung_up()
        return
    if isinstance(error, ModelyardError) and not call.started:
        await call.refuse(error)
        return
    log.error("unexpected error", exc_info=error, extra={"facts": call.facts})
    if not call.started:
        await call.refuse(ModelyardError(problems.INTERNAL_DETAIL))


def request_id(given: bytes | None) -> str:
    """Return the id that a caller gave, or a new one."""
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode()
    return f"{_ids.getrandbits(64):016x}"


@lru_cache(maxsize=256)
def _is_one_of(names: tuple[str, ...], host: bytes) -> bool:
    """Tell whether a Host header, its port aside, is one of the names; none at all, which no browser sends, is."""
    given = host.decode("latin-1").lower()
    name = given[1:].partition("]")[0] if given.startswith("[") else given.partition(":")[0]
    return not given or any(name == one or (one.startswith("*.") and name.endswith(one[1:])) for one in names)


def _shown(header: bytes) -> str:
    return repr(header[:200].decode("latin-1"))
