"""The one place where a REST call enters: it gets its id, and is refused if it is too large or comes from elsewhere."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelyard.access.addresses import address_of, is_one_of
from modelyard.access.guard import Guard
from modelyard.access.limits import Rate
from modelyard.calls import Call, Calls, request_id
from modelyard.errors import (
    InvalidRequest,
    ModelyardError,
    PayloadTooLarge,
    PermissionDenied,
    RequestTimedOut,
    Unavailable,
)
from modelyard.identities import Identity
from modelyard.ml_core.workers import Workers
from modelyard.rest_api import content_coding, problems
from modelyard.rest_api.open_inference import faults
from modelyard.rest_api.targets import as_get, below
from modelyard.settings import Settings

DOOR = "rest"

SILENT_S = "modelyard.silent_s"
"""In the scope: says for how many seconds nothing has come over the connection."""

HUNG_UP = 499
"""The status in the log if the caller hung up before there was one (nginx's word for it)."""

WITHOUT_CERTIFICATE = "modelyard.without_certificate"
"""In the scope of a caller who should have shown a certificate and has not: whether it is on this machine."""

_HEALTH = frozenset({"/health", "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"})
_ONCE = frozenset({b"host", b"origin", b"authorization"})
_SECRET = frozenset({b"authorization"})
FORWARDED_FOR = b"x-forwarded-for"
_LISTS = frozenset({b"accept-encoding", b"content-encoding", FORWARDED_FOR})
_HEADERS = frozenset({b"x-request-id", b"content-length"}) | _ONCE | _LISTS

_PROBES = _HEALTH - {"/health"}
"""Machines ask there whether to restart a server; a caller that has used up its rate must not make them."""

Headers = dict[bytes, bytes]


class Gate:
    """Middleware around the whole application.

    Refuses requests that a browser was tricked into sending (an Origin or a Host that is not ours), and bodies over the
    limit while they arrive. Decodes bodies that came compressed, and compresses large answers. Gives every answer its
    `X-Request-Id`.
    """

    def __init__(self, app: ASGIApp, calls: Calls, guard: Guard, settings: Settings) -> None:
        self._app = app
        self.calls = calls
        self._guard = guard
        self.max_body_bytes = settings.max_body_bytes
        self.coders = Workers(os.cpu_count() or 1)
        self._schemes = (b"https",) if settings.tls else (b"http", b"https")
        self._allowed_origins = frozenset(origin.encode("latin-1", "replace") for origin in settings.allowed_origins)
        self._hosts = settings.accepted_hosts
        self.request_timeout_s = settings.request_timeout_s
        self._root_path = settings.root_path
        self._proxies = settings.trusted_proxies
        self._rate = Rate(settings.rate_limit) if settings.rate_limit else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._root_path:
            scope = below(self._root_path, scope)
        found = [header for header in reversed(scope["headers"]) if header[0] in _HEADERS]
        headers: Headers = dict(found)  # the first of equal names counts
        with HttpCall(self, scope, headers, receive=receive, send=send) as call:
            try:
                if len(headers) != len(found):
                    _join_equal_names(headers, found)
                call.address = self.address_of(scope["client"], headers.get(FORWARDED_FOR))
                _check_certificate(scope)
                self.check_origin(headers)
                call.identity = self.identify(headers, call.address)
                if scope["path"] not in _PROBES:
                    self.count(call)
                call.check_declared_size()
                await self._app(as_get(scope) if scope["method"] == "HEAD" else scope, call.body(), call.send)
            except Exception as error:  # noqa: BLE001 - logged and answered
                await call.fail(error)
            except asyncio.CancelledError:  # the server ends, and has waited long enough
                call.code = "CANCELLED"
                if not call.status:
                    await call.fail(Unavailable("the server is shutting down"))
            call.end(status=call.status, bytes_in=call.bytes_in, bytes_out=call.bytes_out)

    def identify(self, headers: Headers, address: str) -> Identity:
        """Return who calls. Raises Unauthenticated for a key that is not valid, TooManyRequests for many of them."""
        return self._guard.identify(_shown_key(headers), address)

    def recognize(self, headers: Headers) -> Identity | None:
        """Return who calls; None for a key that is not valid, which is not counted here."""
        return self._guard.recognize(_shown_key(headers))

    def address_of(self, peer: tuple[str, int] | None, forwarded_for: bytes | None) -> str:
        """Return the caller's address; trusted proxies say it in X-Forwarded-For."""
        given = None if forwarded_for is None else forwarded_for.decode("latin-1")
        return address_of("" if peer is None else peer[0], given, self._proxies)

    def count(self, call: Call) -> None:
        """Count a call. Raises TooManyRequests if its caller has made too many."""
        if self._rate is not None:
            self._rate.take(call)

    def uncount(self, call: Call) -> None:
        """Count a call not at all, because it enters again."""
        if self._rate is not None:
            self._rate.give_back(call)

    def check_origin(self, headers: Headers) -> None:
        """Refuse a request to another host or from a page of another. Raises PermissionDenied.

        The verdict on a head holds while the server runs: `express/at_once.py` asks once for each.
        """
        host = headers.get(b"host", b"")
        if self._hosts is not None and not is_one_of(self._hosts, host.decode("latin-1")):
            raise PermissionDenied(f"host {_shown(host)} is not a name of this server; see MODELYARD_ALLOWED_HOSTS")
        origin = headers.get(b"origin")
        if origin is None or origin in self._allowed_origins:
            return
        scheme, _, name = origin.partition(b"://")
        if name != host or scheme not in self._schemes:
            raise PermissionDenied(f"origin {_shown(origin)} may not call this server; see MODELYARD_ALLOWED_ORIGINS")


class HttpCall(Call):
    """One request on its way: counts its bytes in and out, and remembers its status."""

    __slots__ = (
        "_gate",
        "_headers",
        "_held",
        "_late",
        "_path",
        "_receive",
        "_send",
        "_silent_s",
        "_whole",
        "bytes_out",
        "status",
    )

    def __init__(self, gate: Gate, scope: Scope, headers: Headers, *, receive: Receive, send: Send) -> None:
        path = scope["raw_path"].decode("latin-1")  # as it came, because decoded it may hold line ends
        given = headers.get(b"x-request-id")
        known_by = request_id(None if given is None else given.decode("latin-1"))
        super().__init__(gate.calls, DOOR, f"{scope['method']} {path}", request_id=known_by)
        self.bytes_out = 0
        self.status = 0
        self._gate = gate
        self._path: str = scope["path"]
        self._receive = receive
        self._send = send
        self._headers = headers
        self._held: Message | None = None
        self._silent_s: Callable[[], float] = scope.get(SILENT_S, lambda: math.inf)
        self._late = False
        self._whole = False

    def check_declared_size(self) -> None:
        """Refuse a body that says of itself that it is over the limit."""
        declared = self._headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self._gate.max_body_bytes:
            raise self._too_large(f"{int(declared):,} bytes")

    def body(self) -> Receive:
        """Return what receives the body as the application reads it. Raises FormatNotTaken."""
        given = self._headers.get(b"content-encoding")
        if given is None:
            return self.receive
        gate = self._gate
        coding = given.decode("latin-1")
        return content_coding.decoding(self.receive, coding, gate.max_body_bytes, self._too_large, gate.coders)

    async def receive(self) -> Message:
        """Receive the next piece of the body. Raises PayloadTooLarge, RequestTimedOut."""
        message = await (self._receive() if self._whole else self._in_time())
        if message["type"] == "http.request":
            self.bytes_in += len(message.get("body", b""))
            if self.bytes_in > self._gate.max_body_bytes:
                raise self._too_large("more")
            self._whole = not message.get("more_body", False)
        return message

    async def _in_time(self) -> Message:
        left_s = timeout_s = self._gate.request_timeout_s
        while left_s > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    return await self._receive()
            left_s = timeout_s - self._silent_s()  # what has come may not be handed on yet
        self._late = True
        raise RequestTimedOut(
            f"nothing came of the body for {timeout_s:g} s; MODELYARD_REQUEST_TIMEOUT_S sets the limit"
        )

    async def send(self, message: Message) -> None:
        """Send the head or a piece of the body of the answer; a large one is compressed if its caller accepts it."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.request_id.encode())]
            if self._late or (self.bytes_in and not self._whole):  # nobody reads the rest
                message["headers"].append((b"connection", b"close"))
            if content_coding.may_be_coded(message["headers"]):
                message["headers"].append((b"vary", b"accept-encoding"))
                if content_coding.accepts_gzip(self._headers.get(b"accept-encoding", b"")):
                    self._held = message
                    return
        else:
            if self._held is not None:
                message = await self._coded(message)
            self.bytes_out += len(message.get("body", b""))
        await self._send(message)

    async def _coded(self, message: Message) -> Message:
        """Send the head that was held back; return the body that goes with it."""
        head, self._held = self._held, None
        assert head is not None
        if not message.get("more_body", False):
            body = await self._gate.coders.run(content_coding.encode, message["body"])
            head["headers"] = content_coding.coded_headers(head["headers"], len(body))
            message = {**message, "body": body}
        await self._send(head)
        return message

    async def fail(self, error: Exception) -> None:
        """Answer an error that reached the gate; if the answer has begun, there is nothing more to say."""
        if isinstance(error, ClientDisconnect):
            self.code, self.status, self.bytes_out = "CANCELLED", HUNG_UP, 0
            return
        refused = self.refusal(error)
        if not self.status:
            await self._refuse(refused)
        elif refused is error:
            self.log_error(error)

    async def _refuse(self, error: ModelyardError) -> None:
        body, media_type = faults.written(error, self._path, self.request_id)
        headers = [(b"content-length", b"%d" % len(body)), (b"content-type", media_type.encode())]
        headers += [(name.lower().encode(), value.encode()) for name, value in problems.headers_of(error).items()]
        if not (self._whole or self.bytes_in or self._late):  # the body, if there is one, would be read for nothing
            headers.append((b"connection", b"close"))
        await self.send({"type": "http.response.start", "status": problems.status_of(error), "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def _too_large(self, got: str) -> PayloadTooLarge:
        limit = self._gate.max_body_bytes
        return PayloadTooLarge(
            f"the body must be at most {limit / 2**20:g} MB ({limit:,} bytes), got {got}; "
            "MODELYARD_MAX_BODY_MB sets the limit"
        )


def _shown_key(headers: Headers) -> str | None:
    shown = headers.get(b"authorization")
    return None if shown is None else shown.decode("latin-1")


def _check_certificate(scope: Scope) -> None:
    """Refuse a caller who should have shown a certificate: on this machine all but health, on others all."""
    if WITHOUT_CERTIFICATE in scope and not (scope[WITHOUT_CERTIFICATE] and scope["path"] in _HEALTH):
        raise PermissionDenied("this server wants a client certificate; see MODELYARD_TLS_CLIENT_CA_FILE")


def _join_equal_names(headers: Headers, found: list[tuple[bytes, bytes]]) -> None:
    """Join lists that came in several headers. Raises InvalidRequest if a header that comes once came again."""
    for name in headers:
        values = [value for other, value in reversed(found) if other == name]
        if len(values) > 1 and name in _ONCE:
            got = f"{len(values)} of them" if name in _SECRET else ", ".join(map(_shown, values))
            raise InvalidRequest(f"header {name.decode().title()} must be given once, got {got}")
        if name in _LISTS:
            headers[name] = b", ".join(values)


def _shown(header: bytes) -> str:
    return repr(header[:200].decode("latin-1"))
