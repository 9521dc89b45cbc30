"""Gzip: a file whose content is compressed is unpacked in memory, up to a bound."""

from __future__ import annotations

from modelyard.errors import InvalidTable, PayloadTooLarge
from modelyard.inflating import Damaged, TooMuch, inflate

_MAGIC = b"\x1f\x8b"


def unpacked(data: bytes, label: str, max_bytes: int) -> bytes:
    """Return what a gzip file holds, and any other file as it is. `label` names it in messages.

    A file may be several gzip files in a row. Raises InvalidTable if it is damaged, PayloadTooLarge if more than
    `max_bytes` come out of it.
    """
    if not data.startswith(_MAGIC):
        return data
    try:
        return inflate(data, max_bytes)
    except TooMuch:
        raise too_large(label, max_bytes) from None
    except Damaged as why:
        raise InvalidTable(f"{label} is a damaged gzip file: {why}") from None


def too_large(label: str, max_bytes: int) -> PayloadTooLarge:
    """Build the error for a compressed file out of which too much comes."""
    return PayloadTooLarge(
        f"more than {max_bytes / 2**20:g} MB ({max_bytes:,} bytes) come out of {label}; "
        "MODELYARD_MAX_BODY_MB sets the limit"
    )
