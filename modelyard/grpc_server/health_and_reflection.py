"""Services of gRPC's own, health and reflection, as their packages ship them for grpc.aio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any

import grpc

from modelyard.errors import ModelyardError
from modelyard.grpc_server import faults
from modelyard.grpc_server.wire import Method, WireCall

_LATE = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
_TOO_LATE = b"the next message did not come in time"


class Registry:
    """What the `add_…_to_server` functions of generated code take for a server; `methods` is what they added.

    `check` raises one of our errors for a call that is refused; it is asked again with each message of a stream.
    """

    def __init__(self, check: Callable[[WireCall], None] = lambda _: None) -> None:
        self._check = check
        self.methods: dict[str, Method] = {}

    def add_generic_rpc_handlers(self, _handlers: Any) -> None:
        """Do nothing: the same handlers come by name as well."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler]) -> None:
        """Take the handlers of a service."""
        self.methods |= {f"/{service}/{name}": _method(handler, self._check) for name, handler in handlers.items()}


class Pools:
    """Several pools of descriptors as reflection asks one: the first that knows a thing tells it."""

    def __init__(self, *pools: Any) -> None:
        self._pools = pools

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def find(*args: Any) -> Any:
            for pool in self._pools:
                with suppress(KeyError):
                    return getattr(pool, method)(*args)
            raise KeyError(*args)

        return find


class _Refused(Exception):
    """Ends a behaviour whose call was aborted."""


class _Context:
    """What a behaviour of grpc.aio sees of its call, as far as those services look."""

    def __init__(self, call: WireCall, serialize: Callable[[Any], bytes]) -> None:
        self._call = call
        self._serialize = serialize

    async def write(self, answer: Any) -> None:
        """Send one of several answers."""
        await self._call.write(self._serialize(answer))

    async def abort(self, code: grpc.StatusCode, details: str = "") -> None:
        """End the call with an error, and the behaviour with it."""
        self._call.end(code=code.value[0], details=details.encode())
        raise _Refused


def _method(handler: grpc.RpcMethodHandler, check: Callable[[WireCall], None]) -> Method:
    behaviour = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream

    async def behave(call: WireCall) -> None:
        if call.late:
            call.end(code=_LATE, details=_TOO_LATE)
            return
        context = _Context(call, handler.response_serializer)
        try:
            check(call)
            if handler.request_streaming:
                request = _requests(call, handler, check)
            else:
                request = handler.request_deserializer(call.message)
            found = behaviour(request, context)
            if isinstance(found, AsyncIterator):
                async for answer in found:
                    await context.write(answer)
                call.end()
            else:
                answer = await found
                call.end(None if handler.response_streaming else handler.response_serializer(answer))
        except TimeoutError:
            call.end(code=_LATE, details=_TOO_LATE)
        except _Refused:
            pass
        except ModelyardError as error:
            call.end(code=faults.status_code(error).value[0], details=error.detail.encode())

    return Method(behave, client_streaming=handler.request_streaming, waited_for=False)


async def _requests(
    call: WireCall, handler: grpc.RpcMethodHandler, check: Callable[[WireCall], None]
) -> AsyncIterator[Any]:
    while (data := await call.read()) is not None:
        check(call)
        yield handler.request_deserializer(data)
