"""TLS of the clients: which servers they trust, and the certificate that they show."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelyard.access.pem import Pair, PemFile, load_authorities, load_pair
from modelyard.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom a client trusts: servers whose certificate those of `ca_file` vouch for, by default the usual authorities.

    The certificate has to name the server as the URL does, or as `server_name`. `client_cert_file` and
    `client_key_file` are for servers that want a certificate of their callers. All files are in PEM.
    """

    ca_file: str | os.PathLike[str] | None = None
    client_cert_file: str | os.PathLike[str] | None = None
    client_key_file: str | os.PathLike[str] | None = None
    server_name: str | None = None

    def load_into(self, context: ssl.SSLContext) -> tuple[bytes | None, Pair | None]:
        """Load the files into a client's context; return the authorities and the certificate. Raises InvalidRequest."""
        authorities = pair = None
        if self.ca_file:
            authorities = load_authorities(context, PemFile("ca_file", Path(self.ca_file)))
            # As gRPC has it: whatever stands in the file is trusted, be it a server's own certificate.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if bool(self.client_cert_file) != bool(self.client_key_file):
            raise InvalidRequest(
                "client_cert_file and client_key_file must be given together, got "
                f"{self.client_cert_file and str(self.client_cert_file)!r} and "
                f"{self.client_key_file and str(self.client_key_file)!r}"
            )
        if self.client_cert_file and self.client_key_file:
            certificate = PemFile("client_cert_file", Path(self.client_cert_file))
            pair = load_pair(context, certificate, PemFile("client_key_file", Path(self.client_key_file)))
        return authorities, pair


def read_trust(environment: Mapping[str, str] = os.environ, **given: str | os.PathLike[str] | None) -> Trust:
    """Read whom to trust: what is `given`, else the environment's `MODELYARD_CA_FILE` and its like."""
    names = ("ca_file", "client_cert_file", "client_key_file", "server_name")
    found = {name: given.get(name) or environment.get(f"MODELYARD_{name.upper()}") or None for name in names}
    return Trust(**found)  # type: ignore[arg-type]
