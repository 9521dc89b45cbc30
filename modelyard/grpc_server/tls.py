"""gRPC over TLS: what the server shows and wants of its callers, taken anew from the files when they have changed."""

from __future__ import annotations

import grpc

from modelyard.access.tls import Identity, IdentityFiles


def server_credentials(files: IdentityFiles) -> grpc.ServerCredentials:
    """Return the credentials of a server, which begins each connection with what the files hold then."""
    shown = files.identity()

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        found = files.identity()
        if found is shown:
            return None
        shown = found
        return _configuration(found)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(shown), renewed, require_client_authentication=shown.authorities is not None
    )


def _configuration(identity: Identity) -> grpc.ServerCertificateConfiguration:
    pair = (identity.pair.key, identity.pair.chain)
    return grpc.ssl_server_certificate_configuration([pair], identity.authorities)
