"""Cursors: the end of a page of models or jobs, as opaque text."""

from __future__ import annotations

import base64
import binascii
import uuid

from modelyard.errors import InvalidRequest

_MARK = b"\x01m"


def encode_cursor(model_id: str) -> str:
    """Return the cursor for a page that ended with this model."""
    return base64.urlsafe_b64encode(_MARK + uuid.UUID(model_id).bytes).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """Return the id of the model that the page before ended with. Raises InvalidRequest."""
    try:
        content = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        content = b""
    if len(content) != len(_MARK) + 16 or not content.startswith(_MARK):
        raise InvalidRequest(
            f"cursor {cursor[:80]!r} is none: give the next_cursor of the page before, or leave it out"
        )
    return str(uuid.UUID(bytes=content[len(_MARK) :]))
