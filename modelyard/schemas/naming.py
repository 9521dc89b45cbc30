"""What a name, a model id and an idempotency key look like."""

from __future__ import annotations

import re

from modelyard.errors import InvalidRequest

MODEL_ID_PATTERN = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
ALIAS_PATTERN = r"[a-z][a-z0-9_-]{0,63}"
LATEST = "latest"
"""An alias that always means the newest active version."""

IDEMPOTENCY_KEY_PATTERN = r"[!-~]{1,200}"
_MODEL_ID = re.compile(MODEL_ID_PATTERN, re.IGNORECASE)
_NAME = re.compile(NAME_PATTERN)
_IDEMPOTENCY_KEY = re.compile(IDEMPOTENCY_KEY_PATTERN)


def check_name(name: str) -> str:
    """Return `name` if a model may be called so; raise ValueError otherwise."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"name {name[:120]!r} must be 1 to 100 letters, digits, '.', '_' or '-', the first a letter or digit"
        )
    if is_model_id(name):
        raise ValueError(f"name {name!r} looks like a model id; choose one that does not")
    return name


def check_idempotency_key(key: str | None) -> None:
    """Refuse an idempotency key that not every door could carry. Raises InvalidRequest."""
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidRequest(
            f"an idempotency key must be 1 to 200 visible ASCII characters, got {key[:80]!r} ({len(key)} characters)"
        )


def plain_key(key: str) -> str:
    """Return a model class's key as it is compared: without regard to case, `_` and `-`."""
    return key.casefold().replace("_", "").replace("-", "")


def is_model_id(reference: str) -> bool:
    """Whether `reference` has the form of a model id (UUIDv7)."""
    return _MODEL_ID.fullmatch(reference) is not None
