"""The way to a yard: by a server's URL, or by its folder. What a way needs is imported only if it is gone."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

from modelyard.access.trust import Name, read_trust
from modelyard.client import WAIT_S
from modelyard.errors import InvalidRequest, Unavailable
from modelyard.verbs import Verbs


def connect(
    url: str | os.PathLike[str],
    key: str | None = None,
    *,
    ca_file: Name = None,
    client_cert_file: Name = None,
    client_key_file: Name = None,
    server_name: str | None = None,
    timeout_s: float = WAIT_S,
) -> Verbs:
    """Open the yard at `url`, and let go of it by `close()` or as a context manager.

    `url` begins with http://, https://, grpc:// or grpcs://, or it is the path of a yard's folder. A server is shown
    the `key`, if there is one; a call waits for its answer for `timeout_s` seconds at most. By https:// and grpcs:// a
    server is known if those of `ca_file` (PEM; by default the usual authorities) vouch for a certificate that names it
    as the URL does, or as `server_name`; `client_cert_file` and `client_key_file` are shown to a server that asks.
    Left out, each of the four is what the environment says: `MODELYARD_CA_FILE`, `MODELYARD_SERVER_NAME` and so on.

    Nothing but the path matters to a folder, which is opened as the settings in the environment say. No server is asked
    before the first verb. Raises NoYard for a folder that holds none, InvalidRequest for any other URL and for files
    that cannot be used.
    """
    address = os.fspath(url)
    if "://" in address:
        return connect_server(
            address,
            key,
            timeout_s=timeout_s,
            ca_file=ca_file,
            client_cert_file=client_cert_file,
            client_key_file=client_key_file,
            server_name=server_name,
        )
    from modelyard.bootstrap import build
    from modelyard.settings import read_settings

    return build(
        read_settings(storage_dir=address).model_copy(update={"database_url": None, "artifacts_url": None}), make=False
    )


def connect_server(url: str, key: str | None = None, *, timeout_s: float = WAIT_S, **tls: Any) -> Verbs:
    """Open the yard behind the server at `url`, as `connect` does. Raises Unavailable without gRPC's packages."""
    trust = read_trust(**tls)
    if url.startswith(("http://", "https://")):
        from modelyard.rest_api.client import RestClient

        return RestClient(url, key=key, trust=trust, timeout_s=timeout_s)
    if not url.startswith(("grpc://", "grpcs://")):
        raise InvalidRequest(f"URL {url!r} must begin with http://, https://, grpc:// or grpcs://")
    if find_spec("grpc") is None:
        raise Unavailable("gRPC is not part of this installation; install modelyard[grpc]")
    from modelyard.grpc_server.client import GrpcClient

    return GrpcClient(url, key=key, trust=trust, timeout_s=timeout_s)
