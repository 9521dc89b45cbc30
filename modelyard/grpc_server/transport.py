"""Calls over gRPC's C core, driven by one thread.

grpc.aio takes each call through three tasks and four wake-ups of the event loop, which is more work than a prediction.
Here one thread takes the events off the core's completion queue, as gRPC's own blocking server does, and answers what
can be answered at once; all other calls go on as coroutines on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from grpc._cython import cygrpc

from modelyard.grpc_server.wire import REQUEST_TIMEOUT_S, UNANSWERED, Method, Trailers

log = logging.getLogger("modelyard.grpc")

_OK = cygrpc.StatusCode.ok
_NO_FLAGS = 0
_SHUT_DOWN = object()
"""The tag of the last event; every other tag is called with its event."""

_OPENING = cygrpc.SendInitialMetadataOperation((), _NO_FLAGS)


class ServerCall:
    """One call. It may be ended in either thread; it is read and written on the event loop."""

    __slots__ = (
        "_core",
        "_ended",
        "_opened",
        "_server",
        "_watched",
        "late",
        "left",
        "message",
        "metadata",
        "method",
        "task",
    )

    def __init__(self, server: Server, method: Method, core: Any, metadata: Any) -> None:
        self._server = server
        self._core = core
        self._opened = False
        self._ended = False
        self._watched = False
        self.method = method
        self.metadata = metadata
        self.message = b""
        self.late = False
        self.task: asyncio.Task[None] | None = None
        self.left = False

    @property
    def peer(self) -> str:
        """The other end of the connection."""
        peer: bytes = self._core.peer()
        return peer.decode()

    @property
    def ended(self) -> bool:
        """Whether the status is on its way."""
        return self._ended

    def hear(self) -> None:
        """Begin, with the one request message if there is one."""
        if self.method.client_streaming:
            self._go_on()
        elif not self.method.hears(self):
            self.refuse_unheard()
        else:
            self._server.unheard[self] = time.monotonic()
            self._core.start_server_batch((cygrpc.ReceiveMessageOperation(_NO_FLAGS),), self._heard)

    def refuse_unheard(self) -> None:
        """Go on without the message, which has not come in time, or is not to be read."""
        self.late = True
        self._go_on()

    def end(self, answer: bytes | None = None, trailers: Trailers = (), code: Any = _OK, details: bytes = b"") -> None:
        """Send the last answer, if there is one, and the status."""
        self._ended = True
        operations = [] if self._opened else [_OPENING]
        if answer is not None:
            operations.append(cygrpc.SendMessageOperation(answer, _NO_FLAGS))
        operations.append(cygrpc.SendStatusFromServerOperation(trailers, code, details, _NO_FLAGS))
        if not self._watched:
            operations.append(cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS))
        self._core.start_server_batch(operations, self._sent)

    async def read(self) -> bytes | None:
        """Return the next request message, None after the last. Raises TimeoutError if it does not come in time."""
        received = cygrpc.ReceiveMessageOperation(_NO_FLAGS)
        async with asyncio.timeout(self._server.request_timeout_s):
            await self._batch(received)
        message: bytes | None = received.message()
        return message

    async def write(self, answer: bytes) -> None:
        """Send one of several answers; waits if the caller does not keep up."""
        await self._send(cygrpc.SendMessageOperation(answer, _NO_FLAGS))

    async def open(self) -> None:
        """Send the headers of the answer before there is one."""
        if not self._opened:
            await self._send()

    async def _send(self, *operations: Any) -> None:
        if not self._opened:
            self._opened = True
            operations = (_OPENING, *operations)
        if not await self._batch(*operations):
            raise asyncio.CancelledError("the caller has left")

    async def _batch(self, *operations: Any) -> bool:
        loop = self._server.loop
        future: asyncio.Future[bool] = loop.create_future()
        # An event holds its tag: it must not become the future's result, or the two hold each other and a message.
        self._core.start_server_batch(
            operations, lambda event: loop.call_soon_threadsafe(_settle, future, event.success)
        )
        return await future

    def _heard(self, event: Any) -> None:
        if self._server.unheard.pop(self, None) is None:
            return  # it came late, or the call has ended because nothing came
        message = event.batch_operations[0].message()
        if message is None:
            self._server.forget(self)  # the caller left before it said anything
            return
        self.message = message
        at_once = self.method.at_once
        try:
            answered = at_once is not None and at_once(self)
        except Exception:
            log.exception("unexpected error")
            answered = True
            self.end(code=cygrpc.StatusCode.internal, details=UNANSWERED)
        if not answered:
            self._go_on()

    def _go_on(self) -> None:
        """Hand the call to the event loop, and learn from now on if its caller leaves."""
        self._watched = True
        self._server.take_up(self)
        self._core.start_server_batch((cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS),), self._closed)

    def _closed(self, event: Any) -> None:
        if event.batch_operations[0].cancelled() and not self._ended:
            self._server.loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        self.left = True
        # Not before the task's first step: a task that is cancelled before never runs, and nobody would log the call
        # or forget it.
        self._server.loop.call_soon(self._cancel)

    def _cancel(self) -> None:
        if self.task is not None and not self._ended:
            self.task.cancel()

    def _sent(self, _event: Any) -> None:
        self._server.forget(self)


class Server:
    """A listening server. It is made, started and stopped on the event loop."""

    def __init__(
        self,
        methods: Mapping[str, Method],
        options: Sequence[tuple[str, int]],
        request_timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        self.request_timeout_s = request_timeout_s
        self.unheard: dict[ServerCall, float] = {}
        """The calls whose one message is awaited, and since when: the oldest first. The thread's own."""
        self.loop = asyncio.get_running_loop()
        self._methods = {path.encode(): method for path, method in methods.items()}
        self._core = cygrpc.Server(tuple(options), False)
        self._queue = cygrpc.CompletionQueue()
        self._core.register_completion_queue(self._queue)
        self._thread = threading.Thread(target=self._drive, name="modelyard-grpc", daemon=True)
        self._under_way: set[ServerCall] = set()
        self._idle: asyncio.Event | None = None
        self._stopped = asyncio.Event()

    def listen(self, address: str, credentials: Any = None) -> int:
        """Listen on `host:port`. See `WireServer.listen`."""
        of_core = () if credentials is None else (credentials._credentials,)
        port: int = self._core.add_http2_port(address.encode(), *of_core)
        if port == 0:
            self._core.destroy()
            raise RuntimeError(f"failed to bind to {address}")
        return port

    async def start(self) -> None:
        """Let calls in."""
        self._core.start()
        self._request()
        self._thread.start()

    async def drain(self) -> None:
        """Wait until the calls under way are answered, to the last byte; those to come are not waited for twice."""
        self._idle = asyncio.Event()
        if self._under_way:
            await self._idle.wait()

    async def stop(self) -> None:
        """Break off what is under way, and close the port."""
        self._core.shutdown(self._queue, _SHUT_DOWN)
        self._core.cancel_all_calls()
        await self._stopped.wait()
        self._thread.join()
        self._core.destroy()  # not in the thread, which may be through before all calls are cancelled

    def take_up(self, call: ServerCall) -> None:
        """Go on with a call on the event loop."""
        self.loop.call_soon_threadsafe(self._take_up, call)

    def forget(self, call: ServerCall) -> None:
        """Forget a call that has ended."""
        self._under_way.discard(call)
        if self._idle is not None and not self._under_way:
            self.loop.call_soon_threadsafe(self._idle.set)

    def _take_up(self, call: ServerCall) -> None:
        call.task = self.loop.create_task(self._run(call))

    async def _run(self, call: ServerCall) -> None:
        try:
            await call.method.behave(call)
        except asyncio.CancelledError:
            pass  # the caller has left, or the server ends
        except Exception:
            log.exception("unexpected error")
        if not call.ended:
            self.forget(call)
            if not call.left:
                call.end(code=cygrpc.StatusCode.internal, details=UNANSWERED)

    def _drive(self) -> None:
        look_at = 0.0
        while (event := self._queue.poll(look_at)).tag is not _SHUT_DOWN:
            try:
                if event.tag is not None:  # otherwise it is time to look
                    event.tag(event)
                if time.time() >= look_at:
                    look_at = time.time() + self._refuse_late()
            except Exception:
                log.exception("unexpected error")
            del event  # it may be the last that holds a call, which must not live on until the next event
        self.loop.call_soon_threadsafe(self._stopped.set)

    def _refuse_late(self) -> float:
        """Refuse the calls whose message is overdue; return after how many seconds to look again."""
        while (oldest := next(iter(self.unheard), None)) is not None:
            left_s = self.unheard[oldest] + self.request_timeout_s - time.monotonic()
            if left_s > 0:
                return left_s
            del self.unheard[oldest]
            oldest.refuse_unheard()
        return self.request_timeout_s

    def _request(self) -> None:
        self._core.request_call(self._queue, self._queue, self._called)

    def _called(self, event: Any) -> None:
        if not event.success:
            return  # the server ends
        try:
            self._request()
        except ValueError:
            return  # the server has begun to end meanwhile
        method = self._methods.get(event.call_details.method)
        if method is None:
            _refuse_unknown(event)
            return
        call = ServerCall(self, method, event.call, event.invocation_metadata)
        if method.waited_for:
            self._under_way.add(call)
        call.hear()


def _refuse_unknown(event: Any) -> None:
    path = event.call_details.method.decode(errors="replace")
    status = cygrpc.SendStatusFromServerOperation(
        (), cygrpc.StatusCode.unimplemented, f"there is no method {path}".encode(), _NO_FLAGS
    )
    close = cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS)
    event.call.start_server_batch((_OPENING, close, status), lambda _event: None)


def _settle(future: asyncio.Future[bool], success: bool) -> None:
    if not future.done():
        future.set_result(success)
