"""What a transport of gRPC gives the gate: calls to answer, and a server that hears them.

There are two. `transport` drives gRPC's core directly, by names that gRPC does not promise, and answers twice as many
calls a second; `aio_transport` is gRPC's own asyncio server and goes with every version of grpcio.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import grpc

log = logging.getLogger("modelyard.grpc")

TRIED = (1, 85)
"""The newest grpcio, major and minor, whose core was driven directly by the tests."""

REQUEST_TIMEOUT_S = 30.0
"""As MODELYARD_REQUEST_TIMEOUT_S has it by default."""

UNANSWERED = b"the call ended without an answer"
"""The words of INTERNAL if a method has raised, or returned without an answer."""

Trailers = Sequence[tuple[str, str | bytes]]
Metadata = Sequence[tuple[str, str | bytes]]


class WireCall(Protocol):
    """One call. It is read and written on the event loop."""

    message: bytes
    """The one request message, empty if the caller streams."""

    metadata: Metadata

    late: bool
    """Whether the one request message was not there in time, or not waited for; the call is to be refused then."""

    @property
    def peer(self) -> str:
        """The other end of the connection, as gRPC writes it."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the status is on its way."""
        ...

    def end(self, answer: bytes | None = None, trailers: Trailers = (), code: int = 0, details: bytes = b"") -> None:
        """Send the last answer, if there is one, and the status: a number of `grpc.StatusCode`."""
        ...

    async def read(self) -> bytes | None:
        """Return the next request message, None after the last. Raises TimeoutError if it does not come in time."""
        ...

    async def write(self, answer: bytes) -> None:
        """Send one of several answers; waits if the caller does not keep up. Raises CancelledError if it has left."""
        ...

    async def open(self) -> None:
        """Send the headers of the answer before there is one."""
        ...


@dataclass(frozen=True, slots=True)
class Method:
    """What answers the calls of one method."""

    behave: Callable[[WireCall], Awaitable[None]]
    """Answers a call on the event loop, and ends it."""

    client_streaming: bool = False

    at_once: Callable[[WireCall], bool] | None = None
    """Answers a call where it is heard, within a moment. Returns False to leave it, untouched, to `behave`."""

    hears: Callable[[WireCall], bool] = lambda _: True
    """Whether the one request message of a call is read; of a caller who may not call it would only take memory."""

    waited_for: bool = True
    """Whether a server that is to end waits for these calls."""


class WireServer(Protocol):
    """A listening server. It is made, started and stopped on the event loop.

    It waits for `request_timeout_s` for a connection's first bytes and for each next message of a call.
    """

    def __init__(
        self,
        methods: Mapping[str, Method],
        options: Sequence[tuple[str, int]],
        request_timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None: ...

    def listen(self, address: str, credentials: grpc.ServerCredentials | None = None) -> int:
        """Listen on `host:port`, 0 for any; return the port. Raises RuntimeError if that cannot be had.

        With `credentials` callers have to speak TLS.
        """
        ...

    async def start(self) -> None:
        """Let calls in."""
        ...

    async def drain(self) -> None:
        """Wait until the calls under way are answered, to the last byte."""
        ...

    async def stop(self) -> None:
        """Break off the calls under way, and close the port."""
        ...


def transport(choice: Literal["auto", "core", "aio"], installed: str = grpc.__version__) -> type[WireServer]:
    """Return the server of a transport; `auto` takes the core unless the installed grpcio is newer than TRIED."""
    newer = tuple(map(int, installed.split(".")[:2])) > TRIED
    if choice == "auto" and newer:
        log.warning("grpcio %s is newer than was tried here: it is served by grpc.aio, which takes longer", installed)
    if choice == "aio" or (choice == "auto" and newer):
        from modelyard.grpc_server.aio_transport import AioServer

        return AioServer
    from modelyard.grpc_server.transport import Server

    return Server
