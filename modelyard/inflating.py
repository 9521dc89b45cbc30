"""What zlib has packed, unpacked in memory up to a bound: gzip'd files, and bodies that came compressed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

GZIP_BITS = 16 + zlib.MAX_WBITS
"""What zlib calls gzip's format."""

_STEP_IN, _STEP_OUT = 2**16, 2**20
_USUAL_RATIO = 32
"""Tables shrink to a tenth. What would grow beyond this is measured first, and kept only if it is within the limit."""


class Damaged(Exception):
    """What is packed cannot be unpacked; the message says why."""


class TooMuch(Exception):
    """More comes out than may come out."""


def inflate(packed: bytes, max_bytes: int, window_bits: Callable[[memoryview], int] = lambda _: GZIP_BITS) -> bytes:
    """Unpack one or several members in a row, as gzip files may be joined; zeros behind them are padding.

    `window_bits` tells a member's format by what begins with it. Raises Damaged, and TooMuch if more than `max_bytes`
    come out.
    """
    pieces: list[bytes] = []
    size, kept = 0, _USUAL_RATIO * len(packed)
    for piece in _inflated(packed, window_bits):
        size += len(piece)
        if size > max_bytes:
            raise TooMuch
        if size <= kept:
            pieces.append(piece)
        else:
            pieces.clear()
    return b"".join(pieces if size <= kept else _inflated(packed, window_bits))


def _inflated(packed: bytes, window_bits: Callable[[memoryview], int]) -> Iterator[bytes]:
    """Yield what comes out, in pieces of _STEP_OUT at most."""
    view, at = memoryview(packed), 0
    while at < len(view) and (at == 0 or any(view[at:])):
        member = zlib.decompressobj(window_bits(view[at:]))
        while not member.eof:
            fed = view[at : at + _STEP_IN]
            try:
                piece = member.decompress(fed, _STEP_OUT)
            except zlib.error as error:
                raise Damaged(str(error).rpartition(": ")[2]) from None
            at += len(fed) - len(member.unconsumed_tail) - len(member.unused_data)
            if piece:
                yield piece
            elif not fed and not member.eof:
                raise Damaged("it is cut short")
