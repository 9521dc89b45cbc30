"""HTTP/1.1 by uvicorn and httptools, with bodies handed on whole, and the head and the body of an answer in one write.

uvicorn tells of a large body piece by piece: each costs a turn of the event loop and two copies. It writes head and
body one after the other. Together they take one system call instead of two, and wake the caller once instead of twice.
"""

from __future__ import annotations

import asyncio
from typing import Any

from modelyard.rest_api.framing import FramingProtocol

MOST_HELD_BYTES = 4 * 2**20
"""At most this much of a body is gathered before the application hears of it, and may refuse it."""


class GatheringProtocol(FramingProtocol):
    """The protocol that gathers what comes of a body and what one turn of the event loop writes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._pieces: list[bytes] = []
        self._held_bytes = 0
        super().connection_made(_Gathering(transport, self.loop))  # type: ignore[arg-type]

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)
        self._held_bytes += len(body)
        if self._held_bytes > MOST_HELD_BYTES:
            self._hand_over()

    def on_message_complete(self) -> None:
        self._hand_over()
        super().on_message_complete()

    def _hand_over(self) -> None:
        if not self._pieces:
            return
        body = b"".join(self._pieces)
        self._pieces, self._held_bytes = [], 0
        cycle: Any = self.cycle
        if not cycle.body:
            cycle.body = body  # bytes are handed on as they are, a bytearray is copied
            body = b""
        super().on_body(body)


class _Gathering:
    """A transport whose writes go out together at the end of the turn, or before it closes."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pending: list[bytes] = []

    def write_whole(self, data: bytes) -> None:
        """Write a whole answer, after what was written before."""
        self._flush()
        self._transport.write(data)

    def write(self, data: bytes) -> None:
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._pending:
            pending, self._pending = self._pending, []
            if not self._transport.is_closing():  # otherwise the caller has left in this turn
                self._transport.writelines(pending)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
