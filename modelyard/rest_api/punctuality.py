"""How long the head of a request is waited for; the pieces of a body are waited for in `gate.py`.

One timer a connection looks whether a head is overdue. It runs only while one is awaited, because to set a timer for
each request costs as much as to read its head.
"""

from __future__ import annotations

import asyncio
from typing import Any

from modelyard.rest_api.gate import SILENT_S
from modelyard.rest_api.lingering import LingeringProtocol

TIMEOUT_S = 30.0
"""As MODELYARD_REQUEST_TIMEOUT_S has it by default, for applications that do not say."""


class PunctualProtocol(LingeringProtocol):
    """uvicorn's own protocol, which does not wait for ever for the head of a request.

    A head has to be there so long after the connection was opened, or after its own first byte. Between requests a
    connection has uvicorn's time for keeping it alive.
    """

    _timeout_s = TIMEOUT_S
    _awaited_since: float | None = None
    """Since when a head is awaited; None if none is."""

    _overdue_timer: asyncio.TimerHandle | None = None
    _is_overdue = False
    _heard_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Await the first head."""
        self._timeout_s = getattr(self.app, "request_timeout_s", TIMEOUT_S)
        super().connection_made(transport)
        self.await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Await nothing any more."""
        self._awaited_since = None
        if self._overdue_timer is not None:
            self._overdue_timer.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin a request, which can ask for how long nothing has come."""
        super().on_message_begin()
        scope: Any = self.scope
        scope[SILENT_S] = self.silent_s

    def silent_s(self) -> float:
        """Return for how many seconds nothing has come."""
        return self.loop.time() - self._heard_at

    def on_headers_complete(self) -> None:
        """Take a head."""
        self._awaited_since = None
        super().on_headers_complete()

    def await_head(self) -> None:
        """Await the rest of a head from now on, if it is not awaited already."""
        if self._awaited_since is None:
            self._awaited_since = self.loop.time()
            if self._overdue_timer is None:
                self._look_later(self._timeout_s)

    def end_overdue(self) -> None:
        """End the connection."""
        self.transport.close()

    def linger(self, transport: asyncio.Transport) -> bool:
        """Begin to linger, but not for a caller who was late with a head or silent for so long."""
        late = self._is_overdue or self.silent_s() >= self._timeout_s
        return not late and super().linger(transport)

    def _look_later(self, seconds: float) -> None:
        self._overdue_timer = self.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        self._overdue_timer = None
        if self._awaited_since is None or self.is_deaf:
            return
        if self.flow.read_paused:  # it is not the caller who is slow
            self._awaited_since = self.loop.time()
        left = self._awaited_since + self._timeout_s - self.loop.time()
        if left > 0:
            self._look_later(left)
        else:
            self._is_overdue = True
            self.end_overdue()
