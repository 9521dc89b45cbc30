"""The socket that REST listens on, where uvicorn does not make it. It needs no server code."""

from __future__ import annotations

import socket

from modelyard.settings import Settings

EVERY_ADDRESS = "::"
"""IPv6's name for all addresses of this machine; those of IPv4 are among them."""

_BACKLOG = 2048


def listen(settings: Settings) -> socket.socket:
    """Listen on REST's address, on `::` by IPv4, too. Raises OSError if it cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    both = settings.host == EVERY_ADDRESS and socket.has_dualstack_ipv6()
    address = (settings.host, settings.rest_port)
    return socket.create_server(address, family=family, backlog=_BACKLOG, dualstack_ipv6=both)
