"""TLS of the clients: which servers they trust, and the certificate that they show."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from modelyard.access.pem import Pair, PemFile, load_authorities, load_pair
from modelyard.errors import InvalidRequest

Name = str | os.PathLike[str] | None
"""Of a file; empty is as good as None."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom a client trusts: servers whose certificate those of `ca_file` vouch for, by default the usual authorities.

    The certificate has to name the server as the URL does, or as `server_name`. `client_cert_file` and
    `client_key_file` are for servers that want a certificate of their callers. All files are in PEM.
    """

    ca_file: Name = None
    client_cert_file: Name = None
    client_key_file: Name = None
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


USUAL = Trust()
"""The usual authorities, and no certificate of one's own."""


def read_trust(
    *, ca_file: Name = None, client_cert_file: Name = None, client_key_file: Name = None, server_name: str | None = None
) -> Trust:
    """Return whom to trust: as given, and for the rest as the environment says (`MODELYARD_CA_FILE` and its like)."""
    return Trust(
        ca_file=ca_file or os.environ.get("MODELYARD_CA_FILE"),
        client_cert_file=client_cert_file or os.environ.get("MODELYARD_CLIENT_CERT_FILE"),
        client_key_file=client_key_file or os.environ.get("MODELYARD_CLIENT_KEY_FILE"),
        server_name=server_name or os.environ.get("MODELYARD_SERVER_NAME"),
    )
