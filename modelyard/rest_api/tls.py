"""REST over TLS: a bound on the handshake, and what callers may who show no certificate where one is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import uvloop
from starlette.types import Receive, Scope, Send

from modelyard.access.addresses import address_of
from modelyard.access.tls import HANDSHAKE_S
from modelyard.rest_api.framing import FramingProtocol
from modelyard.rest_api.gate import WITHOUT_CERTIFICATE, Gate
from modelyard.settings import is_loopback

LAST_S = 120.0
"""How long the last bytes to a caller may take, and its leave, once the server has closed a connection."""


class Loop(uvloop.Loop):
    """The event loop, which bounds the begin and the end of TLS: uvicorn leaves that to the loop."""

    async def create_server(self, *args: Any, **options: Any) -> asyncio.Server:
        """Listen, as every event loop does it."""
        create: Any = super().create_server
        server: asyncio.Server = await create(
            *args, **options, ssl_handshake_timeout=HANDSHAKE_S, ssl_shutdown_timeout=LAST_S
        )
        return server


class ByCertificate(asyncio.Protocol):
    """The begin of a connection, which goes on by one of two protocols: the caller has shown a certificate or has not.

    A wrong certificate was refused before, with the handshake.
    """

    def __init__(self, gate: Gate, shown: Callable[..., asyncio.Protocol], **uvicorns: Any) -> None:
        self._gate = gate
        self._shown = shown
        self._uvicorns = uvicorns

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand the connection over."""
        if transport.get_extra_info("peercert"):
            protocol = self._shown(**self._uvicorns)
        else:
            protocol = FramingProtocol(**self._uvicorns)
            protocol.app = _Uncertified(self._gate, of_this_machine=_is_of_this_machine(transport))
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


class _Uncertified:
    """The application for callers without a certificate: the gate, which lets little through."""

    def __init__(self, gate: Gate, *, of_this_machine: bool) -> None:
        self._gate = gate
        self._of_this_machine = of_this_machine
        self.calls = gate.calls
        self.request_timeout_s = gate.request_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._gate({**scope, WITHOUT_CERTIFICATE: self._of_this_machine}, receive, send)


def _is_of_this_machine(transport: asyncio.BaseTransport) -> bool:
    """Whether the caller is on this machine: calls from loopback, or from the very address that it calls."""
    caller, called = (transport.get_extra_info(name) for name in ("peername", "sockname"))
    if not caller or not called:
        return False
    return caller[0] == called[0] or is_loopback(address_of(caller[0], None, ()))
