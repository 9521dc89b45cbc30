"""Threads for what takes longer than a moment, so that the loop goes on reading calls."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

log = logging.getLogger("modelyard.grpc")

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE = (os.cpu_count() or 1) + 4


class Workers:
    """Runs functions in threads that never keep the process from ending. What a caller leaves goes on to its end."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._free = asyncio.Semaphore(at_once)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run work: so much at once, the rest waits, and what its caller leaves while it waits is not begun."""
        await self._free.acquire()
        future = _start(function, *args, **kwargs)
        future.add_done_callback(lambda _: self._free.release())  # when the thread is done, not when its caller left
        return await asyncio.shield(future)

    async def run_steps(self, *steps: Callable[[Any], Any]) -> Any:
        """Run steps in one thread, each on what the one before returned; those after its caller left are not begun."""
        left = threading.Event()
        try:
            return await self.run(_walk, steps, left)
        finally:
            left.set()

    async def begin(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what goes on though its caller leaves, and so begins at once: in a thread beside those that work."""
        return await asyncio.shield(_start(function, *args, **kwargs))


def _walk(steps: Sequence[Callable[[Any], Any]], left: threading.Event) -> Any:
    value = None
    for step in steps:
        if left.is_set():
            return None
        value = step(value)
    return value


def _start(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(outcome: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
            future.exception()  # looked at, lest the loop complains where nobody waits any more
        else:
            future.set_result(outcome)  # type: ignore[arg-type]

    def work() -> None:
        outcome, error = None, None
        try:
            outcome = context.run(function, *args, **kwargs)
        except BaseException as raised:  # noqa: BLE001 - raised again where it is waited for
            error = raised
        try:
            loop.call_soon_threadsafe(settle, outcome, error)
        except RuntimeError:
            log.warning("work ended after the server did")

    threading.Thread(target=work, name="modelyard-grpc-worker", daemon=True).start()
    return future
