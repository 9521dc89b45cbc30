"""Predictions for a few rows, answered where its last byte is read: without parser, task and ASGI.

A client sends the same head with every request. Once the parser has read a head and the gate let it through, it is
known by its bytes, and so is the length of the body behind it. Whatever is not answered here (another head, a refusal,
a model that is not loaded, an answer so large that it may be compressed) goes to the parser as if nothing had been
tried, so that all of it is said in one place.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from modelyard.calls import Call, request_id
from modelyard.errors import FormatNotGiven, ModelyardError
from modelyard.identities import ANYONE, Identity
from modelyard.ml_core.answering import Answer
from modelyard.ml_core.desk import SMALL_BYTES, Desk
from modelyard.rest_api.express.asked import Ask, asked_at
from modelyard.rest_api.express.gathering import GatheringProtocol
from modelyard.rest_api.express.short_way import JUDGED, is_plain
from modelyard.rest_api.formats import JSON
from modelyard.rest_api.gate import DOOR, FORWARDED_FOR, Gate
from modelyard.rest_api.prediction_formats import timing
from modelyard.rest_api.questions import PredictQuestion, Question
from modelyard.schemas import Predictions, PredictRequest

_BEGIN, _END = (b"POST /predict HTTP/1.1\r\n", b"POST /v2/models/"), b"\r\n\r\n"
_OTHERS = frozenset({b"origin", b"expect", b"x-request-id", b"content-encoding"})
"""Headers that ask for more than an answer, or for another reading of the body."""

_NEVER = -1
"""In the place of a length: no body is so long."""


class Known(NamedTuple):
    """The length of the body behind a head, what it asks, who, and what proxies say of the caller's address."""

    length: int
    title: str
    ask: Ask
    identity: Identity
    forwarded_for: bytes | None


_LEFT = Known(_NEVER, "", PredictQuestion, ANYONE, None)

_MOST_HEADS, _MOST_HEAD_BYTES = 1024, 1024
_ANSWER = (
    b"HTTP/1.1 200 OK\r\n%bserver-timing: %b\r\ncontent-length: %d\r\ncontent-type: application/json\r\n"
    b"x-request-id: %b\r\n\r\n%b"
)


class KnownHeads:
    """The heads of predictions that parser and gate have let through."""

    def __init__(self, gate: Gate, desk: Desk) -> None:
        self._gate = gate
        self._asked_at = asked_at(desk)
        self._most_body_bytes = min(SMALL_BYTES, gate.max_body_bytes)
        self._known: dict[bytes, Known] = {}
        self.get = self._known.get

    def learn(self, head: bytes, scope: Any) -> None:
        """Keep a head that was read, unless it asks for more than an answer or comes but once."""
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"")
        if len(headers) < len(scope["headers"]) or headers.keys() & _OTHERS or not declared.isdigit():
            return
        ask = self._asked_at(scope["path"])
        if ask is None or not is_plain(scope["headers"], JUDGED):
            return
        try:
            self._gate.check_origin(headers)
            identity = self._gate.recognize(headers)  # the gate itself counts who guesses
            if identity is None:
                return
            identity.require("predict")
        except ModelyardError:
            return
        if int(declared) <= self._most_body_bytes:
            if len(self._known) >= _MOST_HEADS:
                self._known.clear()
            title = f"POST {scope['raw_path'].decode('latin-1')}"
            self._known[head] = Known(int(declared), title, ask, identity, headers.get(FORWARDED_FOR))

    def leave(self, head: bytes) -> None:
        """Leave a head to the parser from now on: the answers behind it are large."""
        self._known[head] = _LEFT


class AtOnceProtocol(GatheringProtocol):
    """The protocol that answers small predictions itself."""

    def __init__(self, gate: Gate, desk: Desk, heads: KnownHeads, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._gate = gate
        self._desk = desk
        self._heads = heads
        self._new_head = b""
        self._unread = b""
        self._answering = False
        self._closing = False
        self._keep_alive_from = 0.0

    def data_received(self, data: bytes) -> None:
        """Answer a whole request with a known head; hand everything else to the parser."""
        if self._unread:
            data, self._unread = self._unread + data, b""
        if self._answering:
            self._unread = data
        elif not self._is_between_requests():
            super().data_received(data)
        else:
            end = data.find(_END) + len(_END)
            known = self._heads.get(data[:end])
            if known is None:
                if data.startswith(_BEGIN) and len(_END) < end <= _MOST_HEAD_BYTES:
                    self._new_head = data[:end]
                super().data_received(data)
            elif len(data) == end + known.length:
                self._answer(data, end, known)
            elif len(data) == end:
                self._unset_keepalive_if_required()
                self.await_head()
                self._unread = data  # many clients send the body in a packet of its own
            else:
                super().data_received(data)

    def has_begun_head(self) -> bool:
        """Whether some of a request has come."""
        return bool(self._unread) or super().has_begun_head()

    def _is_between_requests(self) -> bool:
        """Whether what comes now begins a request, and may be answered now."""
        if self._refusal is not None or self.flow.write_paused or self.transport.is_closing():
            return False
        cycle: Any = self.cycle
        if cycle is None:
            return self.scope is None
        # The parser makes another scope as soon as it reads the first byte of a head.
        return cycle.response_complete and not cycle.more_body and cycle.scope is self.scope

    def on_headers_complete(self) -> None:
        """Start a request; its head may be worth knowing."""
        super().on_headers_complete()
        if self._new_head:
            head, self._new_head = self._new_head, b""
            if not self.parser.should_upgrade() and self.cycle.keep_alive:
                self._heads.learn(head, self.scope)

    def _answer(self, data: bytes, body_at: int, known: Known) -> None:
        self._answering = True
        self._awaited_since = None
        gate, identity = self._gate, known.identity
        address = gate.address_of(self.client, known.forwarded_for)
        call = Call(gate.calls, DOOR, known.title, request_id=request_id(None), identity=identity, address=address)
        question = known.ask(data[body_at:])
        try:
            gate.count(call)
        except ModelyardError:
            self._answered(data)
            return
        try:
            write, told = partial(self._small, question, data[:body_at]), partial(self._write, data, body_at, call)
            self._desk.predict_soon(call, partial(_read, question), write, told)
        except Exception:  # noqa: BLE001 - the ordinary way meets it again, and answers it
            self._leave(data, call)

    def _small(self, question: Question, head: bytes, found: Predictions) -> bytes:
        """Write an answer. A large one is for the ordinary way, which may compress it."""
        content = question.write(found)
        if len(content) > SMALL_BYTES:
            self._heads.leave(head)
            raise FormatNotGiven("the answer is large")
        return content

    def _write(self, data: bytes, body_at: int, call: Call, answer: Answer[bytes] | None) -> None:
        if answer is None:
            self._leave(data, call)
            return
        content = answer.content
        call.end(status=200, bytes_in=len(data) - body_at, bytes_out=len(content))
        if not self.transport.is_closing():
            always = b"".join([b"%b: %b\r\n" % header for header in self.server_state.default_headers])
            known_by = call.request_id.encode()
            whole = _ANSWER % (always, timing(answer).encode(), len(content), known_by, content)
            self.transport.write_whole(whole)  # type: ignore[attr-defined]
            self.server_state.total_requests += 1
            self._keep_alive_from = self.loop.time()
            if self.timeout_keep_alive_task is None:
                self._await_request(self.timeout_keep_alive)
        self._answered(b"")

    def _await_request(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that has waited for a request long enough.

        The timer runs on while requests are answered here, because to set another for each costs as much as the head.
        """
        waits_until = self._keep_alive_from + self.timeout_keep_alive
        left = waits_until - self.loop.time()
        if self._answering or left > 0:
            self._await_request(max(left, 1.0))
        else:
            super().timeout_keep_alive_handler()

    def _leave(self, data: bytes, call: Call) -> None:
        """Leave a request to the ordinary way, which counts it again."""
        self._gate.uncount(call)
        self._answered(data)

    def _answered(self, left: bytes) -> None:
        """Go on, with what is `left` to the ordinary way first."""
        self._answering = False
        left, self._unread = left + self._unread, b""
        if left and self.parser is not None:  # otherwise the caller has hung up
            super().data_received(left)
        if self._closing:
            super().shutdown()

    def shutdown(self) -> None:
        """End after the request under way."""
        self._closing = True
        if not self._answering:
            self._answered(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        """End a request whose body never came as any other."""
        if not self._answering:
            self._answered(b"")
        super().connection_lost(exc)


def _read(question: Question) -> PredictRequest:
    """Read a question whose answer is JSON; another one is for the ordinary way."""
    request = question.read()
    if question.media_type != JSON:
        raise FormatNotGiven("the answer is not JSON")
    return request
