"""Threads for work that takes longer than a moment, so that an event loop can go on reading calls."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

from modelyard.errors import TooManyRequests

log = logging.getLogger(__name__)

KEPT = 4
"""How many idle threads are kept: after a rush of callers, the others would hold memory for nobody."""

P = ParamSpec("P")
T = TypeVar("T")


class Crowd:
    """What runs or waits for its turn, of some Workers together: at most `most`, or any number if that is 0."""

    def __init__(self, most: int = 0) -> None:
        self._most = most
        self._let_in = 0

    def enter(self, *, always: bool = False) -> None:
        """Count one more, which `leave` ends. Raises TooManyRequests, but not with `always`."""
        if self._most and self._let_in >= self._most and not always:
            raise TooManyRequests(
                f"{self._let_in} predictions are under way or wait for their turn, and no more may; try again later. "
                "MODELYARD_MAX_CONCURRENT_PREDICTIONS sets the limit"
            )
        self._let_in += 1

    def leave(self) -> None:
        """Count one less."""
        self._let_in -= 1

    @contextmanager
    def place(self) -> Iterator[None]:
        """Count one more while the context lasts. Raises TooManyRequests."""
        self.enter()
        try:
            yield
        finally:
            self.leave()


class Workers:
    """Runs functions in threads, at most `at_once` at a time. The threads never keep the process from ending.

    Work that has begun goes on to its end, even after its caller has hung up. KEPT threads wait for the next function:
    what the allocators of glibc and polars keep for a thread would else be made and thrown away each time (0.5 ms of
    CPU for a small table as columns). A function that does not find room in the `crowd` is refused. For callers on one
    event loop.
    """

    def __init__(self, at_once: int, crowd: Crowd | None = None) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._crowd = crowd or Crowd()
        self._idle: list[_Worker] = []
        self._closed = False

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function when a thread is free. It is never begun if its caller hangs up before that.

        Raises TooManyRequests.
        """
        self._crowd.enter()
        return await self._run(function, *args, **kwargs)

    async def run_while_wanted(self, function: Callable[[Callable[[], bool]], T], *, let_in: bool = False) -> T:
        """Run a function that can ask whether its caller has hung up, and then should go no further.

        With `let_in`, it waits for its turn however many do. Raises TooManyRequests.
        """
        left = threading.Event()
        self._crowd.enter(always=let_in)
        try:
            return await self._run(function, left.is_set)
        finally:
            left.set()

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            await self._free.acquire()
        except BaseException:
            self._crowd.leave()
            raise
        worker = self._idle.pop() if self._idle else _Worker()
        future = worker.start(function, *args, **kwargs)
        future.add_done_callback(lambda _: self._take_back(worker))  # when it is done, not when its caller left
        return await asyncio.shield(future)

    def close(self) -> None:
        """End the threads that are idle now, and each other one after its function."""
        self._closed = True
        while self._idle:
            self._idle.pop().end()

    def _take_back(self, worker: _Worker) -> None:
        self._crowd.leave()
        self._free.release()
        if self._closed or len(self._idle) >= KEPT:
            worker.end()
        else:
            self._idle.append(worker)


async def begin(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in a thread of its own, at once: work that its caller wants done even if it hangs up."""
    worker = _Worker()
    future = worker.start(function, *args, **kwargs)
    worker.end()
    return await asyncio.shield(future)


class _Worker:
    """A thread that runs one function after the other."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        threading.Thread(target=self._run, name="modelyard-worker", daemon=True).start()

    def start(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Run a function after those that were started before, in the caller's context."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()

        def work() -> None:
            outcome, error = None, None
            try:
                outcome = context.run(function, *args, **kwargs)
            except BaseException as raised:  # noqa: BLE001 - raised again where it is waited for
                error = raised
            try:
                loop.call_soon_threadsafe(_settle, future, outcome, error)
            except RuntimeError:
                log.warning("work ended after the server did")

        self._work.put(work)
        return future

    def end(self) -> None:
        """End the thread when all that was started has been run."""
        self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            del work  # while the thread waits, it keeps neither a table nor an answer


def _settle(future: asyncio.Future[T], outcome: T | None, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is not None:
        future.set_exception(error)
        future.exception()  # otherwise the loop complains if nobody waits any more
    else:
        future.set_result(outcome)  # type: ignore[arg-type]
