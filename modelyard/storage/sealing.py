"""JSON objects that carry their own checksum, so that damage is told from content.

The last member of a sealed object is ``"sum"``, the BLAKE2b of all bytes before it: one slice and one hash verify it.
A `key` binds it to its place: an object that was sealed under another key is not accepted.
"""

from __future__ import annotations

import hashlib
import re

_SUM = re.compile(rb',"sum":"[0-9a-f]{32}"\}')

SEAL_BYTES = len(b',"sum":""}') + 32
"""The size of a checksum with its key and the closing brace."""


def seal(document: bytes, key: bytes) -> bytes:
    """Add the checksum, under a key, to a JSON object that is not empty."""
    return seal_open(document[:-1], key)


def seal_open(body: bytes, key: bytes) -> bytes:
    """Close a JSON object, which lacks its closing brace, with the checksum."""
    return body + _sum(body, key)


def is_sealed(document: bytes, key: bytes) -> bool:
    """Whether a JSON object is whole and unchanged since it was sealed under this key."""
    return document.endswith(_sum(memoryview(document)[:-SEAL_BYTES], key))


def sealed_beginning(content: bytes, key: bytes) -> bytes:
    """Return the sealed object that `content` begins with; empty if there is none."""
    ends = (found.end() for found in _SUM.finditer(content))
    return next((content[:end] for end in ends if is_sealed(content[:end], key)), b"")


def _sum(body: bytes | memoryview, key: bytes) -> bytes:
    return b',"sum":"%b"}' % hashlib.blake2b(body, key=key, digest_size=16).hexdigest().encode()
