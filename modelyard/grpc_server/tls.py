"""gRPC over TLS: what the server shows and wants of its callers, taken anew from the files when they have changed."""

from __future__ import annotations

import grpc

from modelyard.access.tls import Certificate, CertificateFiles


def server_credentials(files: CertificateFiles) -> grpc.ServerCredentials:
    """Return the credentials of a server, which begins each connection with what the files hold then."""
    shown = files.current()

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        found = files.current()
        if found is shown:
            return None
        shown = found
        return _configuration(found)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(shown), renewed, require_client_authentication=shown.authorities is not None
    )


def _configuration(certificate: Certificate) -> grpc.ServerCertificateConfiguration:
    pair = (certificate.pair.key, certificate.pair.chain)
    return grpc.ssl_server_certificate_configuration([pair], certificate.authorities)
