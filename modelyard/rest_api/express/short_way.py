"""The short way of `POST /predict`: around the framework, whose routing alone would cost several times the prediction.

It answers what the route of `routes/predictions.py` answers, to the byte; the OpenAPI document describes that one.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from modelyard.ml_core.yard import Yard
from modelyard.rest_api.express.json_predictions import answer


class ShortWay:
    """Answers `POST /predict` itself and passes everything else on; errors are the gate's to answer.

    With `cross_origin` requests of browsers are passed on too: their answers need the headers of the middleware there.
    """

    def __init__(self, app: ASGIApp, yard: Yard, *, cross_origin: bool) -> None:
        self._app = app
        self._yard = yard
        self._cross_origin = cross_origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] != "http" or scope["path"] != "/predict" or scope["method"] != "POST" or self._leaves(scope):
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:
            return
        content, timing = await answer(self._yard, body)
        headers = [
            (b"server-timing", timing.encode()),
            (b"content-length", b"%d" % len(content)),
            (b"content-type", b"application/json"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _leaves(self, scope: Scope) -> bool:
        return self._cross_origin and any(name == b"origin" for name, _ in scope["headers"])


async def _read(receive: Receive) -> bytes | None:
    """Read a body; None where the caller hung up."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        return body
    chunks = []
    while message["type"] == "http.request":
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)
        message = await receive()
    return None
