"""Which of a connection's bytes are which request.

An offer to change the protocol (h2c, TLS, WebSocket) is ignored, as HTTP allows: the request is read as if nothing had
been offered. The parser itself ends a request at such a head, and takes its body for the next request. What cannot be
read in only one way is refused, and the connection closed.
"""

from __future__ import annotations

from typing import Any

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

from modelyard.calls import Call, Calls, request_id
from modelyard.errors import InvalidRequest, ModelyardError, RequestTimedOut
from modelyard.rest_api import problems
from modelyard.rest_api.gate import DOOR
from modelyard.rest_api.punctuality import PunctualProtocol

MAX_HEAD_BYTES = 64 * 1024
"""A head may be so large, and what comes with its end in one piece."""

_REASONS = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}
_REFUSAL = (
    b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\ncontent-length: %d\r\nx-request-id: %b\r\nconnection: close\r\n\r\n%b"
)
_MAX_CHARS = 300


class HeadTooLarge(HttpParserError):
    """The head of a request does not end."""


class FramingProtocol(PunctualProtocol):
    """uvicorn's own protocol, which never takes a body for a request and answers in the order of the requests."""

    _refusal: bytes | None = None
    """The connection's last answer; once there is one, nothing more is read."""

    _head_bytes = 0
    _under_way: Any = None
    """The request that is being answered, or was answered last; `cycle` is the one that was read last."""

    def data_received(self, data: bytes) -> None:
        """Read what has come."""
        self._heard_at = self.loop.time()
        if self.is_deaf:
            self.throw_away(data)
            return
        if self._refusal is not None:
            return
        self._unset_keepalive_if_required()
        unread: bytes | memoryview = data
        try:
            while unread:
                unread = self._read(unread)
            self._bound_head(len(data))
        except HttpParserError as error:
            self._refuse(_refusal_of(error, self._calls, self._address))

    def _read(self, data: bytes | memoryview) -> bytes | memoryview:
        """Read all, or through the end of a head with an offer. Returns the rest."""
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as offer:
            head = self._head_without_offer()
            self.parser = HttpRequestParser(self)  # the old one may be through with the connection
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it: it is dropped
            self.parser.feed_data(head)
            return memoryview(data)[offer.args[0] :]
        return b""

    def _bound_head(self, size: int) -> None:
        scope: Any = self.scope  # none before the first request, and without a method until its head has ended
        if scope is None or "method" in scope:
            self._head_bytes = 0
            cycle: Any = self.cycle
            if cycle is None or (cycle.response_complete and not cycle.more_body):
                self.await_head()  # only empty lines have come
            return
        self.await_head()
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            raise HeadTooLarge(f"its head must be at most {MAX_HEAD_BYTES:,} bytes")

    def _should_upgrade(self) -> bool:
        """Make uvicorn skip a head with an offer; the head comes again without the offer."""
        return True

    def _head_without_offer(self) -> bytes:
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise HttpParserError("CONNECT is for proxies")
        first = b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode())
        headers = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([first, *headers, b"", b""])

    def still_sends(self) -> bool:
        """Whether the caller may be sending still: of what cannot be read, nobody knows the end."""
        return self._refusal is not None or super().still_sends()

    def on_chunk_header(self) -> None:
        """Keep the trailers of a chunked body out of the request's headers."""
        self.headers = []

    def on_response_complete(self) -> None:
        """Go on with the next request; after the last one refuse what could not be read."""
        last = not self.pipeline
        super().on_response_complete()
        if last and self._refusal is not None and not self.transport.is_closing():
            self._end(self._refusal)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._under_way = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request under way that its caller has left; uvicorn tells only the one that was read last."""
        if self._under_way is not None and not self._under_way.response_complete:
            self._under_way.disconnected = True
            self._under_way.message_event.set()
        super().connection_lost(exc)

    def end_overdue(self) -> None:
        """Refuse a head that does not end; a caller who has said nothing expects no answer."""
        self._calls.drop(DOOR, self._address)
        if self.has_begun_head():
            late = RequestTimedOut(
                f"the head of the request was not there within {self._timeout_s:g} s; "
                "MODELYARD_REQUEST_TIMEOUT_S sets the limit"
            )
            self._refuse(_refusal(408, late, request_id(None)))
        else:
            super().end_overdue()

    def has_begun_head(self) -> bool:
        """Whether some of a head has come."""
        return self._head_bytes > 0

    @property
    def _calls(self) -> Calls:
        return getattr(self.app, "calls", None) or Calls()

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""

    def _refuse(self, refusal: bytes) -> None:
        """Refuse all that comes from here on, after the answers to the requests before."""
        self._refusal = refusal
        cycle: Any = self.cycle  # none before the first request
        if cycle is None or cycle.response_complete:
            self._end(self._refusal)
        elif cycle.more_body and self.pipeline:  # its own body is at fault, and others are answered before it
            self.pipeline.popleft()
        elif cycle.more_body and cycle.response_started:
            self.transport.close()  # what went out of the answer must not go on as another
        elif cycle.more_body:
            self._end(self._refusal)

    def _end(self, answer: bytes) -> None:
        self.transport.write(answer)
        self.transport.close()


def _refusal_of(error: HttpParserError, calls: Calls, address: str) -> bytes:
    reason = error.__context__ if isinstance(error, HttpParserCallbackError) else error
    refused = InvalidRequest(f"the request is not valid HTTP/1.1: {reason}"[:_MAX_CHARS])
    call = Call(calls, DOOR, refused.detail, request_id=request_id(None), address=address)
    status = 431 if isinstance(error, HeadTooLarge) else problems.status_of(refused)
    refusal = _refusal(status, call.refusal(refused), call.request_id)
    call.end(status=status)
    return refusal


def _refusal(status: int, error: ModelyardError, request_id: str) -> bytes:
    body = problems.to_problem(error, request_id, status)
    head = (status, _REASONS[status], problems.MEDIA_TYPE.encode(), len(body), request_id.encode())
    return _REFUSAL % (*head, body)
