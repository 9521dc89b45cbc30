"""The way to a yard: by a server's URL, or by its folder. What a way needs is imported only if it is gone."""

from __future__ import annotations

import os
from importlib.util import find_spec

from modelyard.client import WAIT_S
from modelyard.errors import InvalidRequest, Unavailable
from modelyard.verbs import Verbs


def connect(url: str | os.PathLike[str], key: str | None = None, *, timeout_s: float = WAIT_S) -> Verbs:
    """Open the yard at `url`, and let go of it by `close()` or as a context manager.

    `url` begins with http://, https://, grpc:// or grpcs://, or it is the path of a yard's folder. A server is shown
    the `key`, if there is one; a call waits for its answer for `timeout_s` seconds at most. Neither matters to a
    folder, which is opened as the settings in the environment say. No server is asked before the first verb. Raises
    NoYard for a folder that holds none, InvalidRequest for any other URL.
    """
    address = os.fspath(url)
    if "://" in address:
        return connect_server(address, key, timeout_s=timeout_s)
    from modelyard.bootstrap import build
    from modelyard.settings import read_settings

    return build(read_settings(storage_dir=address), make=False)


def connect_server(url: str, key: str | None = None, *, timeout_s: float = WAIT_S) -> Verbs:
    """Open the yard behind the server at `url`, as `connect` does. Raises Unavailable without gRPC's packages."""
    if url.startswith(("http://", "https://")):
        from modelyard.rest_api.client import RestClient

        return RestClient(url, key=key, timeout_s=timeout_s)
    if not url.startswith(("grpc://", "grpcs://")):
        raise InvalidRequest(f"URL {url!r} must begin with http://, https://, grpc:// or grpcs://")
    if find_spec("grpc") is None:
        raise Unavailable("gRPC is not part of this installation; install modelyard[grpc]")
    from modelyard.grpc_server.client import GrpcClient

    return GrpcClient(url, key=key, timeout_s=timeout_s)
