"""Content codings (RFC 9110, 8.4): bodies that come compressed, and large answers that leave compressed.

Both are the work of threads. Streams of events have no length beforehand, and are never compressed.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from functools import lru_cache, partial

from starlette.types import Message, Receive

from modelyard.errors import FormatNotTaken, InvalidRequest, PayloadTooLarge
from modelyard.inflating import GZIP_BITS, Damaged, TooMuch, inflate
from modelyard.ml_core.desk import SMALL_BYTES
from modelyard.ml_core.workers import Workers
from modelyard.rest_api.formats import quality

GZIP = "gzip"
CODINGS = (GZIP, "deflate")
"""What is read. An answer is compressed by the first, because every client that reads the other reads it, too."""

_ALIASES = {"x-gzip": GZIP}
_TEXTS = (b"application/json", b"text/", b"application/javascript")
_LEVEL = 1
"""zlib's quickest. A higher level takes several times as long for a few percent."""

Headers = Iterable[tuple[bytes, bytes]]
TooLarge = Callable[[str], PayloadTooLarge]


def decoding(receive: Receive, given: str, max_bytes: int, too_large: TooLarge, workers: Workers) -> Receive:
    """Return what receives a body as it was before it was compressed as its Content-Encoding says, in one piece.

    It raises the error that `too_large` makes if more than `max_bytes` come out, InvalidRequest if the body is broken
    or cut short. Raises FormatNotTaken for a coding that is not read, or for several.
    """
    coding = _one_coding(given)
    return receive if coding is None else _Decoding(receive, coding, max_bytes, too_large, workers)


class _Decoding:
    """Receives the pieces of a compressed body and hands it on whole."""

    def __init__(self, receive: Receive, coding: str, max_bytes: int, too_large: TooLarge, workers: Workers) -> None:
        self._receive = receive
        self._coding = coding
        self._max_bytes = max_bytes
        self._too_large = too_large
        self._workers = workers
        self._done = False

    async def __call__(self) -> Message:
        """Return the whole body, and after it what comes when there is no more."""
        if self._done:
            return await self._receive()
        pieces: list[bytes] = []
        more = True
        while more:
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            pieces.append(message.get("body", b""))
            more = message.get("more_body", False)
        self._done = True
        body = await self._workers.run(_decode, b"".join(pieces), self._coding, self._max_bytes, self._too_large)
        return {"type": "http.request", "body": body, "more_body": False}


def _one_coding(given: str) -> str | None:
    named = [name for name in (part.strip().lower() for part in given.split(",")) if name not in ("", "identity")]
    if not named:
        return None
    if len(named) > 1:
        raise FormatNotTaken(
            f"Content-Encoding {given[:200]!r} names several codings; one of {', '.join(CODINGS)} is taken"
        )
    coding = _ALIASES.get(named[0], named[0])
    if coding not in CODINGS:
        raise FormatNotTaken(f"Content-Encoding must be one of {', '.join(CODINGS)}, got {given[:200]!r}")
    return coding


def _decode(body: bytes, coding: str, max_bytes: int, too_large: TooLarge) -> bytes:
    try:
        return inflate(body, max_bytes, partial(_window_bits, coding))
    except TooMuch:
        raise too_large(f"more, once decoded from {coding}") from None
    except Damaged as why:
        raise InvalidRequest(f"the body cannot be decoded from {coding}: {why}") from None


def _window_bits(coding: str, body: memoryview) -> int:
    """Return what zlib calls the format: gzip, zlib, or bare deflate, which many send under the name of zlib's."""
    if coding == GZIP:
        return GZIP_BITS
    is_zlib = len(body) > 1 and body[0] & 15 == zlib.DEFLATED and (body[0] << 8 | body[1]) % 31 == 0
    return zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS


def may_be_coded(headers: Headers) -> bool:
    """Whether an answer is so large a text that it is compressed for callers who accept it."""
    kind = b""
    size = 0
    for name, value in headers:
        if name == b"content-length":
            size = int(value)
            if size <= SMALL_BYTES:
                return False
        elif name == b"content-type":
            kind = value
        elif name == b"content-encoding":
            return False
    return size > SMALL_BYTES and kind.startswith(_TEXTS)


@lru_cache(maxsize=256)
def accepts_gzip(accept_encoding: bytes) -> bool:
    """Whether an Accept-Encoding header likes gzip at least as well as no coding."""
    liked: dict[str, float] = {}
    for part in accept_encoding.decode("latin-1").lower().split(","):
        name, *params = (piece.strip() for piece in part.split(";"))
        liked[_ALIASES.get(name, name)] = quality(params)
    gzip = liked.get(GZIP, liked.get("*", 0.0))
    return gzip > 0 and gzip >= liked.get("identity", 0.0)


def encode(body: bytes) -> bytes:
    """Compress an answer."""
    deflate = zlib.compressobj(_LEVEL, wbits=GZIP_BITS)
    return deflate.compress(body) + deflate.flush()


def coded_headers(headers: Headers, size: int) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer that was compressed to so many bytes."""
    kept = [header for header in headers if header[0] != b"content-length"]
    return [*kept, (b"content-length", b"%d" % size), (b"content-encoding", GZIP.encode())]
