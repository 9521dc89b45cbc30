"""Certificates and keys as files in PEM, loaded with words for what is wrong with one that cannot be used."""

from __future__ import annotations

import _ssl
import ssl
from dataclasses import dataclass
from pathlib import Path

from modelyard.errors import InvalidRequest

_MISMATCHES = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH")


@dataclass(frozen=True, slots=True)
class PemFile:
    """A file, and the `name` of the setting or argument that names it."""

    name: str
    path: Path

    def read(self) -> bytes:
        """Return its bytes. Raises InvalidRequest."""
        try:
            return self.path.read_bytes()
        except (OSError, ValueError) as error:  # no path may hold a NUL
            raise self.wrong(f"a file that can be read ({getattr(error, 'strerror', None) or error})") from None

    def wrong(self, wanted: str) -> InvalidRequest:
        """Return the error that says what the file must be."""
        return InvalidRequest(f"{self.name} must be {wanted}, got {str(self.path)!r}")


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate, with those that vouch for it behind it, and its key: as PEM, and what the certificate says."""

    chain: bytes
    key: bytes
    name: str
    """The first name that it is made out to, or the first address if there is no name."""

    ends: float
    """When it expires, in seconds since 1970."""


def load_pair(context: ssl.SSLContext, certificate: PemFile, key: PemFile) -> Pair:
    """Load a certificate and its key into a context. Raises InvalidRequest that names the file at fault."""
    chain, secret = certificate.read(), key.read()
    try:
        # The name is private, but ssl tells in no other way what a certificate of one's own says.
        said = _ssl._test_decode_cert(str(certificate.path))  # type: ignore[attr-defined]
    except ssl.SSLError:
        raise certificate.wrong("a certificate in PEM") from None

    def refuse_password() -> str:
        raise key.wrong("a private key in PEM without a password")

    try:
        context.load_cert_chain(certificate.path, key.path, refuse_password)
    except OSError as error:  # of ssl, or because the file has just gone
        reason = getattr(error, "reason", error.strerror)
        if reason in _MISMATCHES:
            raise key.wrong(f"the private key of the certificate {str(certificate.path)!r}") from None
        if b"PRIVATE KEY" not in secret:
            raise key.wrong("a private key in PEM") from None
        raise certificate.wrong(f"a certificate with a key that can be used ({reason})") from None
    names = [name for kind, name in said.get("subjectAltName", ()) if kind == "DNS"]
    names += [name for kind, name in said.get("subjectAltName", ()) if kind == "IP Address"]
    return Pair(chain, secret, (names or [""])[0], ssl.cert_time_to_seconds(said["notAfter"]))


def load_authorities(context: ssl.SSLContext, authorities: PemFile) -> bytes:
    """Let a context trust what the certificates of a file vouch for; return them as PEM. Raises InvalidRequest."""
    content = authorities.read()
    try:
        context.load_verify_locations(cadata=content.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise authorities.wrong("certificates in PEM") from None
    return content
