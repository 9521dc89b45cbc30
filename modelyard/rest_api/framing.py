"""Which of a connection's bytes are which request.

An offer to change the protocol (h2c, TLS, WebSocket) is ignored, as HTTP allows: the request is read as if nothing had
been offered. The parser itself ends a request at such a head, and takes its body for the next request. What cannot be
read in only one way is refused, and the connection closed.
"""

from __future__ import annotations

from typing import Any

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from modelyard.calls import Call, Calls, request_id
from modelyard.errors import InvalidRequest
from modelyard.rest_api import problems
from modelyard.rest_api.gate import DOOR

_REFUSAL = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: %b\r\ncontent-length: %d\r\nx-request-id: %b\r\n"
    b"connection: close\r\n\r\n%b"
)
_MAX_CHARS = 300


class FramingProtocol(HttpToolsProtocol):
    """uvicorn's own protocol, which never takes a body for a request and answers in the order of the requests."""

    _refusal: bytes | None = None
    """The connection's last answer; once there is one, nothing more is read."""

    def data_received(self, data: bytes) -> None:
        """Read what has come."""
        if self._refusal is not None:
            return
        self._unset_keepalive_if_required()
        unread: bytes | memoryview = data
        try:
            while unread:
                unread = self._read(unread)
        except HttpParserError as error:
            self._refuse(error)

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

    def _should_upgrade(self) -> bool:
        """Have uvicorn pass over a head with an offer; it comes again without."""
        return True

    def _head_without_offer(self) -> bytes:
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise HttpParserError("CONNECT is for proxies")
        first = b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode())
        headers = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([first, *headers, b"", b""])

    def on_chunk_header(self) -> None:
        """Keep the trailers of a chunked body out of the request's headers."""
        self.headers = []

    def on_response_complete(self) -> None:
        """Go on with the next request; after the last one refuse what could not be read."""
        last = not self.pipeline
        super().on_response_complete()
        if last and self._refusal is not None and not self.transport.is_closing():
            self._end(self._refusal)

    def _refuse(self, error: HttpParserError) -> None:
        """Refuse all that comes from here on, after the answers to the requests before."""
        self._refusal = _refusal_of(error, getattr(self.app, "calls", Calls()))
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


def _refusal_of(error: HttpParserError, calls: Calls) -> bytes:
    reason = error.__context__ if isinstance(error, HttpParserCallbackError) else error
    refused = InvalidRequest(f"the request is not valid HTTP/1.1: {reason}"[:_MAX_CHARS])
    call = Call(calls, DOOR, refused.detail, request_id=request_id(None))
    body = problems.to_problem(call.refusal(refused), call.request_id)
    call.end(status=problems.status_of(refused))
    return _REFUSAL % (problems.MEDIA_TYPE.encode(), len(body), call.request_id.encode(), body)
