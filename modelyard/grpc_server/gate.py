"""The one place where a call enters: its id, its size, its errors, and its line in the log.

Every method of the service goes through `Gate.handler`, unary or streaming: nothing can be forgotten on one of them.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from modelyard import logs
from modelyard.errors import Internal, InvalidRequest, ModelyardError, PayloadTooLarge, Unavailable
from modelyard.grpc_server import faults

log = logging.getLogger("modelyard.grpc")

Behaviour = Callable[["Call"], Awaitable[Message | bytes | None]]
"""What a method does: reads its request from the call and returns the answer, or sends answers and returns None."""

TRANSPORT_FACTOR = 2
"""The transport takes messages of up to so many times the limit, so that the refusal can be put into our own words."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_MAX_ERROR_BYTES = 2**20
_ids = random.Random()  # noqa: S311 - they tell calls apart and keep no secret


class Call:
    """One call on its way: its request message or messages, its answers, and what is counted of them."""

    __slots__ = ("_context", "_gate", "_kind", "_messages", "bytes_in", "bytes_out", "metadata", "trailers")

    def __init__(self, gate: Gate, kind: type[Message], data: Any, context: Any, metadata: dict[str, Any]) -> None:
        self._gate = gate
        self._kind = kind
        self._messages = data
        self._context = context
        self.metadata = metadata
        self.trailers: tuple[tuple[str, str | bytes], ...] = ()
        self.bytes_in = 0
        self.bytes_out = 0

    def message(self) -> Any:
        """Return the one request message. Raises PayloadTooLarge, InvalidRequest."""
        return self._parse(self._messages)

    async def messages(self) -> AsyncIterator[Any]:
        """Yield the request messages as they come; the next one is not read before the last is done with."""
        async for data in self._messages:
            yield self._parse(data)
        if not self.bytes_out:
            # A stream that its caller broke off ends like one that is complete, only a moment before the cancellation
            # comes in. What is sent now is answered after it, so half a table is never taken for a whole one.
            await self._context.send_initial_metadata(())

    async def send(self, answer: Message | bytes) -> None:
        """Send one of several answers; waits where the caller does not keep up."""
        data = answer if isinstance(answer, bytes) else answer.SerializeToString()
        self.bytes_out += len(data)
        await self._context.write(data)

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
        self._closing = False
        self._under_way = 0
        self._empty = asyncio.Event()
        self._empty.set()

    def handler(self, method: MethodDescriptor, behave: Behaviour) -> grpc.RpcMethodHandler:
        """Make gRPC's handler of a method. Messages pass it as bytes: `Call` reads them, where errors are ours."""
        kind = GetMessageClass(method.input_type)

        async def enter(data: Any, context: Any) -> bytes | None:
            return await self._enter(method.name, behave, kind, data, context)

        make = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[method.client_streaming, method.server_streaming]
        return make(enter)

    def check_size(self, size: int) -> None:
        """Refuse a message over the limit."""
        if size > self._max_message_bytes:
            raise PayloadTooLarge(
                f"a message must be at most {self._max_message_bytes / 2**20:g} MB ({self._max_message_bytes:,} bytes)"
                f", got {size:,} bytes; larger tables go by TrainStream and PredictStream, "
                "MODELYARD_GRPC_MAX_MESSAGE_MB sets the limit"
            )

    async def close(self) -> None:
        """Let no call in any more, and wait for those inside."""
        self._closing = True
        await self._empty.wait()

    def _check_open(self) -> None:
        if self._closing:
            raise Unavailable("the server is shutting down")

    async def _enter(self, name: str, behave: Behaviour, kind: type[Message], data: Any, context: Any) -> bytes | None:
        began = time.perf_counter()
        metadata = dict(context.invocation_metadata())
        given = metadata.get(faults.REQUEST_ID_KEY, "")
        request_id = given if _REQUEST_ID.fullmatch(given) else f"{_ids.getrandbits(64):016x}"
        call = Call(self, kind, data, context, metadata)
        code = "OK"
        self._under_way += 1
        self._empty.clear()
        with logs.request(request_id) as facts:
            try:
                self._check_open()
                answer = await behave(call)
                context.set_trailing_metadata(((faults.REQUEST_ID_KEY, request_id), *call.trailers))
                if answer is None:
                    return None
                sent = answer if isinstance(answer, bytes) else answer.SerializeToString()
                call.bytes_out += len(sent)
                return sent
            except ModelyardError as error:
                code = error.code
                await _refuse(context, error, request_id, metadata)
            except asyncio.CancelledError:
                code = "CANCELLED"
                raise
            except Exception:
                code = "INTERNAL"
                log.exception("unexpected error", extra={"facts": facts})
                await _refuse(context, Internal(faults.INTERNAL_DETAIL), request_id, metadata)
            finally:
                self._under_way -= 1
                if not self._under_way:
                    self._empty.set()
                _log(name, code, call, facts, began)
        return None


async def _refuse(context: Any, error: ModelyardError, request_id: str, metadata: dict[str, Any]) -> None:
    wanted = str(metadata.get(faults.ERROR_BYTES_KEY, ""))
    room = min(int(wanted), _MAX_ERROR_BYTES) if wanted.isdecimal() else faults.DEFAULT_ERROR_BYTES
    status = faults.to_status(error, request_id, room)
    trailers = ((faults.REQUEST_ID_KEY, request_id), (faults.DETAILS_KEY, status.SerializeToString()))
    await context.abort(faults.status_code(error), status.message, trailers)


def _log(name: str, code: str, call: Call, facts: dict[str, Any], began: float) -> None:
    level = logging.WARNING if code in ("INTERNAL", "UNAVAILABLE", "DATA_LOSS") else logging.INFO
    if log.isEnabledFor(level):
        ms = round((time.perf_counter() - began) * 1000, 3)
        sizes = {"status": code, "bytes_in": call.bytes_in, "bytes_out": call.bytes_out, "ms": ms}
        logs.emit(log, level, name, {**facts, **sizes})
