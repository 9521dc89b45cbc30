"""A proxy on this machine's loopback, by which a test cuts what goes between a client and a server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Watch = Callable[[bytes, bool], bool]
"""Called with what was sent, and whether the client sent it. False: it goes no further, and the connection is cut."""


class Proxy:
    """Hands on what comes to its port, as long as `watch` lets it, to a server on a socket of the system or a port."""

    def __init__(self, target: str | tuple[str, int]) -> None:
        self.watch: Watch = lambda _, __: True
        self.is_down = False
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Cut all connections."""
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Take no more connections, and cut all."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listening.accept()[0]
            except OSError:
                return
            if self.is_down:
                client.close()
                continue
            if isinstance(self._target, str):
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
            else:
                server = socket.create_connection(self._target)
            self._open |= {client, server}
            for source, sink, by_client in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._hand_on, args=(source, sink, by_client), daemon=True).start()

    def _hand_on(self, source: socket.socket, sink: socket.socket, by_client: bool) -> None:
        with suppress(OSError):
            while (sent := source.recv(65536)) and self.watch(sent, by_client):
                sink.sendall(sent)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._open.discard(source)
        source.close()


@contextmanager
def proxied(target: str | tuple[str, int]) -> Iterator[Proxy]:
    """Open a proxy to a server."""
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
