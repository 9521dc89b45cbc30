"""The one place where a call enters: its id, its size, its errors, and its line in the log.

Every method of the service goes through `Gate.method`, unary or streaming: nothing can be forgotten on one of them.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from modelyard import logs
from modelyard.errors import Internal, InvalidRequest, ModelyardError, PayloadTooLarge, Unavailable
from modelyard.grpc_server import faults
from modelyard.grpc_server.transport import Method, ServerCall, Trailers

log = logging.getLogger("modelyard.grpc")

Behaviour = Callable[["Call"], Awaitable[Message | bytes | None]]
"""What a method does: reads its request from the call and returns the answer, or sends answers and returns None."""

AtOnce = Callable[["Call"], bytes | None]
"""Returns the answer to a call for which a moment is enough, None for any other."""

TRANSPORT_FACTOR = 2
"""The transport takes messages of up to so many times the limit, so that the refusal can be put into our own words."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_MAX_ERROR_BYTES = 2**20
_ids = random.Random()  # noqa: S311 - they tell calls apart and keep no secret


class Call:
    """One call on its way: its request message or messages, its answers, and what is counted of them."""

    __slots__ = ("_gate", "_kind", "_wire", "bytes_in", "bytes_out", "metadata", "trailers")

    def __init__(self, gate: Gate, kind: type[Message], wire: ServerCall) -> None:
        self._gate = gate
        self._kind = kind
        self._wire = wire
        self.metadata: dict[str, Any] = dict(wire.metadata)
        self.trailers: Trailers = ()
        self.bytes_in = 0
        self.bytes_out = 0

    @property
    def size(self) -> int:
        """The bytes of the one request message."""
        return len(self._wire.message)

    def message(self) -> Any:
        """Return the one request message. Raises PayloadTooLarge, InvalidRequest."""
        return self._parse(self._wire.message)

    async def messages(self) -> AsyncIterator[Any]:
        """Yield the request messages as they come; the next one is not read before the last is done with."""
        while (data := await self._wire.read()) is not None:
            yield self._parse(data)
        # A stream that its caller broke off ends like one that is complete, only a moment before the cancellation
        # comes in. What is sent now is answered after it, so half a table is never taken for a whole one.
        await self._wire.open()

    async def send(self, answer: Message | bytes) -> None:
        """Send one of several answers; waits where the caller does not keep up."""
        data = answer if isinstance(answer, bytes) else answer.SerializeToString()
        self.bytes_out += len(data)
        await self._wire.write(data)

    def encode(self, answer: Message | bytes | None) -> bytes | None:
        """Return the last answer as it will be sent, and count it."""
        data = answer if answer is None or isinstance(answer, bytes) else answer.SerializeToString()
        if data is not None:
            self.bytes_out += len(data)
        return data

    def end(self, data: bytes | None, request_id: str) -> None:
        """Send the last answer, if there is one, and that all went well."""
        self._wire.end(data, ((faults.REQUEST_ID_KEY, request_id), *self.trailers))

    def refuse(self, error: ModelyardError, request_id: str) -> None:
        """Send an error with its details."""
        wanted = str(self.metadata.get(faults.ERROR_BYTES_KEY, ""))
        room = min(int(wanted), _MAX_ERROR_BYTES) if wanted.isdecimal() else faults.DEFAULT_ERROR_BYTES
        status = faults.to_status(error, request_id, room)
        trailers = ((faults.REQUEST_ID_KEY, request_id), (faults.DETAILS_KEY, status.SerializeToString()))
        self._wire.end(None, trailers, faults.status_code(error).value[0], status.message.encode())

    def _parse(self, data: bytes) -> Message:
        self.bytes_in += len(data)
        self._gate.check_size(len(data))
        try:
            return self._kind.FromString(data)
        except DecodeError as error:
            raise InvalidRequest(f"the message is not a {self._kind.DESCRIPTOR.full_name}: {error}") from None


class Gate:
    """What all calls share."""

    def __init__(self, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._closed = False

    def method(self, described: MethodDescriptor, behave: Behaviour, at_once: AtOnce | None = None) -> Method:
        """Make what answers a method's calls; one that `at_once` leaves is entered anew and goes to `behave`."""
        name, kind = described.name, GetMessageClass(described.input_type)

        async def run(wire: ServerCall) -> None:
            with _Entry(name, Call(self, kind, wire)) as entry:
                self._check_open()
                entry.end(await behave(entry.call))

        def run_at_once(wire: ServerCall) -> bool:
            with _Entry(name, Call(self, kind, wire)) as entry:
                self._check_open()
                answer = at_once(entry.call)  # type: ignore[misc]
                if answer is not None:
                    entry.end(answer)
            return wire.ended

        return Method(run, described.client_streaming, None if at_once is None else run_at_once)

    def check_size(self, size: int) -> None:
        """Refuse a message over the limit."""
        if size > self._max_message_bytes:
            raise PayloadTooLarge(
                f"a message must be at most {self._max_message_bytes / 2**20:g} MB ({self._max_message_bytes:,} bytes)"
                f", got {size:,} bytes; larger tables go by TrainStream and PredictStream, "
                "MODELYARD_GRPC_MAX_MESSAGE_MB sets the limit"
            )

    def close(self) -> None:
        """Let no call in any more."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the server is shutting down")


class _Entry:
    """A call inside the gate: whatever comes of it, it is answered, and leaves its line in the log."""

    __slots__ = ("_began", "_collecting", "_facts", "_name", "_request_id", "call")

    def __init__(self, name: str, call: Call) -> None:
        self._began = time.perf_counter()
        self._name = name
        given = call.metadata.get(faults.REQUEST_ID_KEY)
        self._request_id = given if given and _REQUEST_ID.fullmatch(given) else f"{_ids.getrandbits(64):016x}"
        self._collecting = logs.request(self._request_id)
        self.call = call

    def __enter__(self) -> _Entry:
        self._facts = self._collecting.__enter__()
        return self

    def end(self, answer: Message | bytes | None) -> None:
        """Send the answer, then log; a call that leaves the block without one is not over, and not logged yet."""
        data = self.call.encode(answer)
        self.call.end(data, self._request_id)
        self._log("OK")

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        if isinstance(error, asyncio.CancelledError):
            self._log("CANCELLED")
        elif isinstance(error, Exception):
            self._refuse(error)
        self._collecting.__exit__()
        return isinstance(error, Exception)

    def _refuse(self, error: Exception) -> None:
        if not isinstance(error, ModelyardError):
            log.error("unexpected error", exc_info=error, extra={"facts": self._facts})
            error = Internal(faults.INTERNAL_DETAIL)
        self.call.refuse(error, self._request_id)
        self._log(error.code)

    def _log(self, code: str) -> None:
        level = logging.WARNING if code in ("INTERNAL", "UNAVAILABLE", "DATA_LOSS") else logging.INFO
        if log.isEnabledFor(level):
            ms = round((time.perf_counter() - self._began) * 1000, 3)
            self._facts.update(status=code, bytes_in=self.call.bytes_in, bytes_out=self.call.bytes_out, ms=ms)
            logs.emit(log, level, self._name, self._facts)
