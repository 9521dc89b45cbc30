"""The keys by which the yard knows its own work again: HMAC-SHA256, by keys that stand outside the folder.

Whoever can write the folder cannot make a signature. What is signed is not known here.
"""

from __future__ import annotations

import hashlib
import hmac
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from modelyard.errors import FailedPrecondition, InvalidRequest

MIN_BYTES = 32

_SETTING = "MODELYARD_SIGNING_KEY_FILE"
_HOW = "make one by `openssl rand -base64 32`"
_ID_DIGITS = 8


class SigningKeys:
    """Several keys, by their ids: the first signs, all verify.

    A signature reads `<id of the key>:<HMAC-SHA256 in hex>`. Each purpose signs by keys of its own (`of`), so that what
    was signed for one is never taken for another.
    """

    def __init__(self, keys: dict[str, bytes]) -> None:
        self._keys = keys
        self._first = next(iter(keys))

    @classmethod
    def from_secrets(cls, secrets: Iterable[bytes]) -> SigningKeys:
        """Make keys of secrets, at least one. The id of a key tells nothing of its secret."""
        return cls({hashlib.sha256(b"id of " + secret).hexdigest()[:_ID_DIGITS]: secret for secret in secrets})

    def of(self, purpose: str) -> SigningKeys:
        """Return the keys for one purpose, made of these."""
        return SigningKeys(
            {key_id: hmac.digest(key, purpose.encode(), hashlib.sha256) for key_id, key in self._keys.items()}
        )

    def sign(self, data: bytes) -> str:
        """Return a signature by the first key."""
        return f"{self._first}:{mac(self._keys[self._first], data)}"

    def verify(self, data: bytes, signature: str) -> bool:
        """Whether this is the signature of `data` by one of the keys."""
        key_id, _, found = signature.partition(":")
        key = self._keys.get(key_id)
        return key is not None and is_mac(found.encode(), key, data)

    def knows(self, signature: str) -> bool:
        """Whether a signature names one of the keys, right or wrong."""
        return signature.partition(":")[0] in self._keys

    def is_by_first(self, signature: str) -> bool:
        """Whether a signature names the key that signs."""
        return signature.partition(":")[0] == self._first


def mac(key: bytes, data: bytes) -> str:
    """Return the HMAC-SHA256 of `data`, in hex."""
    return hmac.digest(key, data, hashlib.sha256).hex()


def is_mac(found: bytes, key: bytes, data: bytes) -> bool:
    """Whether this is what `mac` returns, in constant time."""
    return hmac.compare_digest(found, mac(key, data).encode())


def read_signing_keys(file: Path | None, folder: Path) -> SigningKeys | None:
    """Read the keys that sign for the yard in `folder`, one a line; None if there is no file of keys.

    Raises InvalidRequest if the file cannot be read or holds no keys; FailedPrecondition if it stands in the folder or
    anybody may write it, or if Python looks for modules in the folder: signatures would keep nobody out then.
    """
    if file is None:
        return None
    try:
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode):
            raise InvalidRequest(f"{_SETTING}: {file} is no file; {_HOW}")
        content = file.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{_SETTING}: cannot read {file}: {error.strerror}") from None
    _check_place(file, mode, folder)
    _check_modules(folder)
    return SigningKeys.from_secrets(_secrets(file, content))


def is_open_to_read(file: Path) -> bool:
    """Whether everybody on this machine may read a file. Containers are given secrets so."""
    return bool(file.stat().st_mode & stat.S_IROTH)


def _check_place(file: Path, mode: int, folder: Path) -> None:
    root = folder.resolve()
    # By both its own path and that of the file that a link leads to: a link in the folder can be turned elsewhere.
    for path in (file.absolute().parent.resolve(), file.resolve()):
        if path.is_relative_to(root):
            raise FailedPrecondition(
                f"{_SETTING}: {file} stands in the folder {folder}, where whoever may write the folder can replace it; "
                "keep it elsewhere"
            )
    if mode & stat.S_IWOTH:
        raise FailedPrecondition(f"{_SETTING}: everybody may write {file}; take that away by `chmod o-w {file}`")


def _check_modules(folder: Path) -> None:
    for place in sys.path:
        if Path(place).resolve().is_relative_to(folder.resolve()):
            raise FailedPrecondition(
                f"Python looks for modules in {place or Path.cwd()}, so whoever may write the folder {folder} could "
                "have this process run code, signed or not: start it from elsewhere, or change PYTHONPATH"
            )


def _secrets(file: Path, content: bytes) -> list[bytes]:
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{_SETTING}: {file} is no text; it must hold one key a line, {_HOW}") from None
    secrets = [(number, line.strip().encode()) for number, line in enumerate(lines, 1) if line.strip()]
    if not secrets:
        raise InvalidRequest(f"{_SETTING}: {file} is empty; {_HOW}")
    for number, secret in secrets:
        if len(secret) < MIN_BYTES:
            raise InvalidRequest(
                f"{_SETTING}: line {number} of {file} has {len(secret)} bytes, a key at least {MIN_BYTES}; {_HOW}"
            )
    return [secret for _, secret in secrets]
