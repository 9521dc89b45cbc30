"""Threads for work that takes longer than a moment, so that an event loop can go on reading calls."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """Runs functions in threads, at most `at_once` at a time. The threads never keep the process from ending.

    Work that has begun goes on to its end, even after its caller has hung up.
    """

    def __init__(self, at_once: int) -> None:
        self._free = asyncio.Semaphore(at_once)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function when a thread is free. It is never begun if its caller hangs up before that."""
        await self._free.acquire()
        future = _start(function, *args, **kwargs)
        future.add_done_callback(lambda _: self._free.release())  # when the thread is done, not when its caller left
        return await asyncio.shield(future)

    async def run_while_wanted(self, function: Callable[[Callable[[], bool]], T]) -> T:
        """Run a function that can ask whether its caller has hung up, and then should go no further."""
        left = threading.Event()
        try:
            return await self.run(function, left.is_set)
        finally:
            left.set()


async def begin(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in a thread of its own, at once: work that its caller wants done even if it hangs up."""
    return await asyncio.shield(_start(function, *args, **kwargs))


def _start(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(outcome: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
            future.exception()  # otherwise the loop complains if nobody waits any more
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

    threading.Thread(target=work, name="modelyard-worker", daemon=True).start()
    return future
