"""The one place where a gRPC call enters: it gets its id, is refused if it is too large, and its errors are answered.

Every method of the service goes through `Gate.method`, unary or streaming: nothing can be forgotten on one of them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from modelyard.access.addresses import address_of
from modelyard.access.guard import Guard
from modelyard.access.limits import Rate
from modelyard.calls import Call, Calls, request_id
from modelyard.errors import InvalidRequest, ModelyardError, PayloadTooLarge, RequestTimedOut, Unavailable
from modelyard.grpc_server import faults
from modelyard.grpc_server.wire import Metadata, Method, Trailers, WireCall
from modelyard.identities import Identity
from modelyard.settings import Settings

DOOR = "grpc"

Behaviour = Callable[["RpcCall"], Awaitable[Message | bytes | None]]
"""What a method does: reads its request from the call and returns the answer, or sends answers and returns None."""

AtOnce = Callable[["RpcCall"], bytes | None]
"""Returns the answer to a call for which a moment is enough, None for any other."""

TRANSPORT_FACTOR = 2
"""The transport takes messages of up to so many times the limit, so that the refusal can be put into our own words."""

_FORWARDED_FOR = "x-forwarded-for"

_PROBES = frozenset({"ServerLive", "ServerReady"})
"""Machines ask there whether to restart a server; a caller that has used up its rate must not make them."""

_MAX_ERROR_BYTES = 2**20

_VERBS = {
    "delete_model": "delete",
    "get_model_info": "get_model",
    "health_check": "health",
    "list_available_models": "list_model_classes",
    "list_trained_models": "list_models",
    "model_infer": "predict",
    "model_metadata": "get_model",
    "model_ready": "get_model",
    "predict_stream": "predict",
    "restore_model": "restore",
    "server_live": "health",
    "server_metadata": "health_in_full",
    "server_ready": "health",
    "train_stream": "train",
}
"""The verbs of methods that are named otherwise."""


class RpcCall(Call):
    """One call on its way: its request message or messages, its answers, and what is counted of them."""

    __slots__ = ("_gate", "_kind", "_wire", "bytes_out", "metadata", "trailers")

    def __init__(self, gate: Gate, described: MethodDescriptor, kind: type[Message], wire: WireCall) -> None:
        self.metadata: dict[str, Any] = dict(wire.metadata)
        super().__init__(
            gate.calls,
            DOOR,
            described.name,
            request_id=request_id(self.metadata.get(faults.REQUEST_ID_KEY)),
            address=gate.address_of(wire),
        )
        self.trailers: Trailers = ()
        self.bytes_out = 0
        self._gate = gate
        self._kind = kind
        self._wire = wire

    @property
    def size(self) -> int:
        """The bytes of the one request message."""
        return len(self._wire.message)

    @property
    def is_late(self) -> bool:
        """Whether the one request message has not come in time, or was not waited for."""
        return self._wire.late

    @property
    def wire_metadata(self) -> Metadata:
        """The call's metadata as it came."""
        return self._wire.metadata

    def message(self) -> Any:
        """Return the one request message. Raises PayloadTooLarge, InvalidRequest."""
        return self._parse(self._wire.message)

    async def messages(self) -> AsyncIterator[Any]:
        """Yield the request messages as they come; the next one is not read before the last is done with."""
        while (data := await self._next()) is not None:
            self.identity.check()  # a stream goes on as long as its caller may
            yield self._parse(data)
        # A stream that its caller broke off ends like one that is complete, only a moment before the cancellation
        # comes in. What is sent now is answered after it, so half a table is never taken for a whole one.
        await self._wire.open()

    async def _next(self) -> bytes | None:
        try:
            return await self._wire.read()
        except TimeoutError:
            raise self._gate.too_late() from None

    async def send(self, answer: Message | bytes) -> None:
        """Send one of several answers; waits if the caller does not keep up."""
        data = answer if isinstance(answer, bytes) else answer.SerializeToString()
        self.bytes_out += len(data)
        self.identity.check()
        await self._wire.write(data)

    def finish(self, answer: Message | bytes | None) -> None:
        """Send the last answer, if there is one, and that all went well."""
        data = answer if answer is None or isinstance(answer, bytes) else answer.SerializeToString()
        if data is not None:
            self.bytes_out += len(data)
        self._wire.end(data, ((faults.REQUEST_ID_KEY, self.request_id), *self.trailers))
        self._tell()

    def leave(self) -> None:
        """Say that the caller has hung up, or that the server ends."""
        self.code = "CANCELLED"
        self._tell()

    def refuse(self, error: Exception) -> None:
        """Send an error with its details; one that cannot be written is answered, too."""
        refused = self.refusal(error)
        try:
            status = faults.to_status(refused, self.request_id, self._error_bytes())
        except Exception as unwritable:  # noqa: BLE001 - logged and answered
            refused = self.refusal(unwritable)
            status = faults.to_status(refused, self.request_id)
        trailers = ((faults.REQUEST_ID_KEY, self.request_id), (faults.DETAILS_KEY, status.SerializeToString()))
        self._wire.end(None, trailers, faults.status_code(refused).value[0], status.message.encode())
        self._tell()

    def _error_bytes(self) -> int:
        wanted = str(self.metadata.get(faults.ERROR_BYTES_KEY, ""))
        if not wanted.isdecimal():
            return faults.DEFAULT_ERROR_BYTES
        # Python reads no number of more than 4,300 digits.
        return int(wanted) if len(wanted) < len(str(_MAX_ERROR_BYTES)) else _MAX_ERROR_BYTES

    def _tell(self) -> None:
        self.end(status=self.code, bytes_in=self.bytes_in, bytes_out=self.bytes_out)

    def _parse(self, data: bytes) -> Message:
        self.bytes_in += len(data)
        self._gate.check_size(len(data))
        try:
            return self._kind.FromString(data)
        except DecodeError as error:
            raise InvalidRequest(f"the message is not a {self._kind.DESCRIPTOR.full_name}: {error}") from None


class Gate:
    """What all calls share."""

    def __init__(self, calls: Calls, guard: Guard, settings: Settings) -> None:
        self.calls = calls
        self._guard = guard
        self._proxies = settings.trusted_proxies
        self._max_message_bytes = settings.grpc_max_message_bytes
        self._timeout_s = settings.request_timeout_s
        self._rate = Rate(settings.rate_limit) if settings.rate_limit else None
        self._closed = False

    def method(self, described: MethodDescriptor, behave: Behaviour, at_once: AtOnce | None = None) -> Method:
        """Make what answers a method's calls; one that `at_once` leaves is entered anew and goes to `behave`."""
        kind = GetMessageClass(described.input_type)
        name = snake_case(described.name)
        verb = _VERBS.get(name, name)

        async def run(wire: WireCall) -> None:
            with RpcCall(self, described, kind, wire) as call:
                try:
                    self._let_in(call, verb)
                    call.finish(await behave(call))
                except asyncio.CancelledError:
                    call.leave()
                    raise
                except Exception as error:  # noqa: BLE001 - logged and answered
                    call.refuse(error)

        def run_at_once(wire: WireCall) -> bool:
            with RpcCall(self, described, kind, wire) as call:
                try:
                    self._let_in(call, verb)
                    answer = at_once(call)  # type: ignore[misc]
                    if answer is not None:
                        call.finish(answer)
                    elif self._rate is not None:
                        self._rate.give_back(call)
                except Exception as error:  # noqa: BLE001 - logged and answered
                    call.refuse(error)
            return wire.ended

        def hears(wire: WireCall) -> bool:
            return self._may(wire, verb)

        return Method(run, described.client_streaming, None if at_once is None else run_at_once, hears)

    def check_size(self, size: int) -> None:
        """Refuse a message over the limit."""
        if size > self._max_message_bytes:
            raise PayloadTooLarge(
                f"a message must be at most {self._max_message_bytes / 2**20:g} MB ({self._max_message_bytes:,} bytes)"
                f", got {size:,} bytes; larger tables go by TrainStream and PredictStream, "
                "MODELYARD_GRPC_MAX_MESSAGE_MB sets the limit"
            )

    def too_late(self) -> RequestTimedOut:
        """Return the error of a message that does not come."""
        return RequestTimedOut(
            f"the next message was not there within {self._timeout_s:g} s; MODELYARD_REQUEST_TIMEOUT_S sets the limit"
        )

    def close(self) -> None:
        """Let no call in any more."""
        self._closed = True

    def address_of(self, wire: WireCall) -> str:
        """Return the caller's address; trusted proxies say it in x-forwarded-for."""
        forwarded_for = next((value for name, value in reversed(wire.metadata) if name == _FORWARDED_FOR), None)
        return address_of(peer_address(wire.peer), None if forwarded_for is None else str(forwarded_for), self._proxies)

    def identify(self, metadata: Metadata, address: str) -> Identity:
        """Return who calls. Raises Unauthenticated for a key that is not valid, TooManyRequests for many of them."""
        return self._guard.identify(_shown_key(metadata), address)

    def check_reflecting(self, wire: WireCall) -> None:
        """Refuse reflection to a caller without a key, if keys are asked for."""
        self.identify(wire.metadata, self.address_of(wire)).require("reflection")

    def _may(self, wire: WireCall, verb: str) -> bool:
        """Whether a caller may use a verb. Nothing is counted, because `_let_in` says why not."""
        try:
            who = self._guard.recognize(_shown_key(wire.metadata))
        except ModelyardError:
            return False
        return who is not None and who.may(verb)

    def _let_in(self, call: RpcCall, verb: str) -> None:
        if self._closed:
            raise Unavailable("the server is shutting down")
        call.identity = self.identify(call.wire_metadata, call.address)
        if self._rate is not None and call.title not in _PROBES:
            self._rate.take(call)
        call.enter(verb)
        if call.is_late:
            raise self.too_late()


def _shown_key(metadata: Metadata) -> str | None:
    shown = [value for name, value in metadata if name == "authorization"]
    if len(shown) > 1:
        raise InvalidRequest(f"metadata 'authorization' must be given once, got {len(shown)} of them")
    return str(shown[0]) if shown else None


@lru_cache(maxsize=1024)
def peer_address(peer: str) -> str:
    """Return the address of what gRPC calls a peer (`ipv4:127.0.0.1:4711`, `ipv6:%5B::1%5D:4711`), if it has one."""
    kind, _, place = peer.partition(":")
    return unquote(place).rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else ""


def snake_case(name: str) -> str:
    """Return a method's name as Python writes it."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
