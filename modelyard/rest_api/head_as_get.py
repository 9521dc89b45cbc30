"""HEAD wherever there is GET (RFC 9110, 9.1): the same head, and no body, which the server leaves out."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send

_EVENTS = re.compile(r"/jobs/[^/]+/events")
"""A stream of events ends with its job: the connection of who asked for the head alone would be held until then."""


class HeadAsGet:
    """Has the routes of GET answer HEAD; FastAPI's own answer is 405."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] == "http" and scope["method"] == "HEAD" and not _EVENTS.fullmatch(scope["path"]):
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)
