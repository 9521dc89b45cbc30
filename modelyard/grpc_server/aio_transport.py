"""Calls over grpc.aio: slower than the core driven directly, but by promised names alone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import grpc

from modelyard.grpc_server.wire import REQUEST_TIMEOUT_S, UNANSWERED, Metadata, Method, Trailers

log = logging.getLogger("modelyard.grpc")

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_UNAVAILABLE = grpc.StatusCode.UNAVAILABLE.value[0]

FLUSH_S = 5.0
"""How long a server that stops waits for callers that are slow to take their answers."""


class AioCall:
    """One call. Its end is noted, and sent when its method returns."""

    def __init__(self, context: Any, metadata: Metadata, timeout_s: float) -> None:
        self.message = b""
        self.late = False
        self.metadata = metadata
        self._timeout_s = timeout_s
        self.ended = False
        self._context = context
        self._opened = False
        self._answer: bytes | None = None

    @property
    def peer(self) -> str:
        """The other end of the connection. See `WireCall.peer`."""
        peer: str = self._context.peer()
        return peer

    def end(self, answer: bytes | None = None, trailers: Trailers = (), code: int = 0, details: bytes = b"") -> None:
        """Send the last answer, if there is one, and the status. See `WireCall.end`."""
        self.ended = True
        self._answer = answer
        self._context.set_trailing_metadata(tuple(trailers))
        self._context.set_code(_CODES[code])
        self._context.set_details(details.decode())

    async def read(self) -> bytes | None:
        """Return the next request message, None after the last. See `WireCall.read`."""
        async with asyncio.timeout(self._timeout_s):
            message = await self._context.read()
        return None if message is grpc.aio.EOF else message

    async def hear(self, method: Method) -> None:
        """Wait for the one request message, if the method hears this caller."""
        self.late = not method.hears(self)
        if not self.late:
            try:
                self.message = await self.read() or b""
            except TimeoutError:
                self.late = True

    async def write(self, answer: bytes) -> None:
        """Send one of several answers; waits if the caller does not keep up."""
        self._opened = True
        await self._context.write(answer)

    async def open(self) -> None:
        """Send the headers of the answer before there is one."""
        if not self._opened:
            self._opened = True
            await self._context.send_initial_metadata(())

    async def finish(self) -> None:
        """Send the answer of `end`; gRPC sends the status when the handler returns."""
        if not self.ended:
            self.end(code=grpc.StatusCode.INTERNAL.value[0], details=UNANSWERED)
        if self._answer is not None:
            await self._context.write(self._answer)


class AioServer:
    """A listening server of grpc.aio. See `WireServer`."""

    def __init__(
        self,
        methods: Mapping[str, Method],
        options: Sequence[tuple[str, int]],
        request_timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        self._methods = methods
        self._timeout_s = request_timeout_s
        self._server = grpc.aio.server(options=tuple(options))
        self._server.add_generic_rpc_handlers((_Handlers(self),))
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def listen(self, address: str, credentials: Any = None) -> int:
        """Listen on `host:port`. See `WireServer.listen`."""
        port: int = (
            self._server.add_insecure_port(address)
            if credentials is None
            else self._server.add_secure_port(address, credentials)
        )
        return port

    async def start(self) -> None:
        """Let calls in."""
        await self._server.start()

    async def drain(self) -> None:
        """Wait until the calls under way are answered; `stop` sends what is not yet sent of their answers."""
        await self._idle.wait()

    async def stop(self) -> None:
        """Break off the calls under way, and close the port."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await self._server.stop(FLUSH_S)  # returns once every call's status is sent

    def handler(self, path: str, metadata: Metadata) -> grpc.RpcMethodHandler:
        """Return what gRPC calls for a call of a method.

        Requests and answers are streams, which to callers is all the same; one that comes alone can be waited for.
        """
        method = self._methods.get(path)
        if method is None:
            return grpc.stream_stream_rpc_method_handler(_refusal_of_unknown(path))

        async def run(_requests: Any, context: Any) -> None:
            await self._run(method, AioCall(context, metadata, self._timeout_s))

        return grpc.stream_stream_rpc_method_handler(run)

    async def _run(self, method: Method, call: AioCall) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._count(+1 if method.waited_for else 0)
        try:
            if not method.client_streaming:
                await call.hear(method)
            if call.late or method.at_once is None or not method.at_once(call):
                await method.behave(call)
            await call.finish()
        except asyncio.CancelledError:
            if not self._stopping:
                raise  # the caller has left
            call.end(code=_UNAVAILABLE, details=b"the server has stopped")
        except Exception:
            log.exception("unexpected error")
            await call.finish()
        finally:
            self._tasks.discard(task)
            self._count(-1 if method.waited_for else 0)

    def _count(self, change: int) -> None:
        self._under_way += change
        if self._under_way:
            self._idle.clear()
        else:
            self._idle.set()


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc ships no types
    """All methods of a server."""

    def __init__(self, server: AioServer) -> None:
        self._server = server

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler:
        """Return the handler of a call."""
        return self._server.handler(handler_call_details.method, handler_call_details.invocation_metadata)


def _refusal_of_unknown(path: str) -> Any:
    async def refuse(_requests: Any, context: Any) -> None:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"there is no method {path}")

    return refuse
