"""How a connection ends while its caller still sends, so that the caller gets the last answer.

A socket that is closed with bytes unread resets the connection, and the answer is lost on its way. So the server only
says that it has finished, reads on and throws away, until the caller has finished, too, or a limit is reached.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_S = 30.0
"""As nginx has it (`lingering_time`)."""

MOST_BYTES = 2**30

PARTING_S = 2.0
"""How long a server that ends waits for callers to take leave over TLS. Many do not, of a connection they keep."""


class LingeringProtocol(HttpToolsProtocol):
    """uvicorn's own protocol, which closes no connection under an answer on its way."""

    is_deaf = False
    """Whether all that comes is thrown away."""

    _thrown_away = 0
    _timer: asyncio.TimerHandle | None = None
    _stops = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; the transport's `close` lingers from now on."""
        super().connection_made(_Lingering(transport, self))  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.is_deaf = True
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close at once, or after the answer: the server ends."""
        self._stops = True
        super().shutdown()
        if self._timer is not None:
            self.transport.close()

    def throw_away(self, data: bytes) -> None:
        """Take what comes behind the last answer."""
        self._thrown_away += len(data)
        if self._thrown_away > MOST_BYTES:
            self.transport.close()

    def still_sends(self) -> bool:
        """Whether the caller may be sending still."""
        cycle: Any = self.cycle  # none before the first request
        return cycle is not None and cycle.more_body

    def linger(self, transport: asyncio.Transport) -> bool:
        """Begin to linger. Returns False if there is no need, or no more time."""
        if self.is_deaf or self._stops or not self.still_sends():
            return False
        self.is_deaf = True
        self.loop.call_soon(self._finish, transport)  # what has been written in this turn goes first
        return True

    def part(self, transport: asyncio.Transport) -> None:
        """Wait for no leave of a caller if the server ends."""
        if self._stops and not transport.can_write_eof():
            self.loop.call_later(PARTING_S, transport.abort)

    def _finish(self, transport: asyncio.Transport) -> None:
        if transport.is_closing():
            return
        if transport.can_write_eof():  # TLS cannot; the length of the answer tells its end
            transport.write_eof()
        self.flow.resume_reading()
        self._timer = self.loop.call_later(MOST_S, transport.close)


class _Lingering:
    """A transport that is closed when its caller is through."""

    def __init__(self, transport: asyncio.Transport, protocol: LingeringProtocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self.write = transport.write

    def close(self) -> None:
        if not self._protocol.linger(self._transport):
            self._transport.close()
            self._protocol.part(self._transport)

    def is_closing(self) -> bool:
        return self._protocol.is_deaf or self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
