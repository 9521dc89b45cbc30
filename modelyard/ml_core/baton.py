"""A baton among threads that work on large tables: who holds it runs Python, the others are within libraries.

Threads that run Python at once get no more done than one, because the interpreter has one lock; but each of them makes
the event loop wait longer for it. Libraries that score rows need no interpreter, so the baton is put down for them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_here = threading.local()


class Baton:
    """One baton."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def carry(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function with the baton, once no other thread has it."""
        with self._lock:
            _here.lock = self._lock
            try:
                return function(*args, **kwargs)
            finally:
                _here.lock = None


@contextmanager
def put_down() -> Iterator[None]:
    """Leave the baton to others within the block. Does nothing in a thread that has none."""
    lock: threading.Lock | None = getattr(_here, "lock", None)
    if lock is None:
        yield
        return
    lock.release()
    try:
        yield
    finally:
        lock.acquire()
