"""A server that takes up no renewed certificate by itself begins anew, as the same process."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelyard.access.tls import CertificateFiles

_LOOK_AGAIN_S = 1.0


@contextmanager
def renewing(files: CertificateFiles | None) -> Iterator[None]:
    """Serve within the block until SIGTERM; if that was sent because the files were renewed, run the command again."""
    if files is None:
        yield
        return
    first, over, renewed = files.current(), threading.Event(), threading.Event()

    def watch() -> None:
        while not over.wait(_LOOK_AGAIN_S):
            if files.current() is not first:
                renewed.set()
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=watch, name="certificate", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        if renewed.is_set():
            os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - the command that runs already
