"""Gzip: a file whose content is compressed is unpacked in memory, up to a bound."""

from __future__ import annotations

import zlib

from modelyard.errors import InvalidTable, PayloadTooLarge

_MAGIC = b"\x1f\x8b"
_GZIP_BITS = 16 + zlib.MAX_WBITS


def unpacked(data: bytes, label: str, max_bytes: int) -> bytes:
    """Return what a gzip file holds, and any other file as it is. `label` names it in messages.

    A file may be several gzip files in a row. Raises InvalidTable if it is damaged, PayloadTooLarge if more than
    `max_bytes` come out of it.
    """
    if not data.startswith(_MAGIC):
        return data
    parts: list[bytes] = []
    room = max_bytes
    rest = data
    try:
        while rest.startswith(_MAGIC):
            packed = zlib.decompressobj(_GZIP_BITS)
            parts.append(packed.decompress(rest, room + 1))
            room -= len(parts[-1])
            if room < 0:
                raise too_large(label, max_bytes)
            if not packed.eof:
                raise InvalidTable(f"{label} is a gzip file that is cut short")
            rest = packed.unused_data
    except zlib.error as error:
        raise InvalidTable(f"{label} is a damaged gzip file: {error}") from None
    return b"".join(parts)


def too_large(label: str, max_bytes: int) -> PayloadTooLarge:
    """Build the error for a compressed file out of which too much comes."""
    return PayloadTooLarge(
        f"more than {max_bytes / 2**20:g} MB ({max_bytes:,} bytes) come out of {label}; "
        "MODELYARD_MAX_BODY_MB sets the limit"
    )
