"""What is answered in threads: read, found and written one step after the other, and how much of it goes on at once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from time import perf_counter
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from modelyard import calls
from modelyard.errors import Cancelled
from modelyard.ml_core.baton import Baton
from modelyard.ml_core.workers import Crowd, Workers
from modelyard.schemas import Job
from modelyard.settings import usable_cores

LARGE_BYTES = 256 * 1024
"""A request beyond this size is large: it takes a core for more than a few milliseconds."""

_LARGE_AT_ONCE = usable_cores()
"""One of them at a time runs Python, the others are within libraries; more would wait without getting more done."""

_OTHERS_AT_ONCE = 4

_LEFT = "the caller has hung up"

T = TypeVar("T")
F = TypeVar("F")
R = TypeVar("R")
Opened: TypeAlias = Callable[[], AbstractContextManager[R]]
"""Reads a request in a thread; what the request needs, such as a file, is there while the context lasts."""


class Answer(NamedTuple, Generic[T]):
    """Predictions or explanations as `write` returned them, and the seconds that each step took."""

    content: T
    read_s: float
    predict_s: float
    write_s: float


class Answering:
    """Answers in threads: large requests wait for each other, and others not for them.

    At most `most` (0: any number) are under way or wait; one more is refused. `place` is for what waits elsewhere.
    """

    def __init__(self, most: int) -> None:
        crowd = Crowd(most)
        self._others = Workers(_OTHERS_AT_ONCE, crowd)
        self._large = Workers(_LARGE_AT_ONCE, crowd, Baton())
        self.place = crowd.place

    async def answer(
        self, read: Opened[R], find: Callable[[R], F], write: Callable[[F], T], *, let_in: bool = False
    ) -> Answer[T]:
        """Answer the call under way; if its caller hangs up, the steps that have not begun are left out.

        With `let_in` it waits for its turn however many do. Raises TooManyRequests.
        """

        def work(left: Callable[[], bool]) -> Answer[T]:
            began = perf_counter()
            with read() as request:
                read_at = perf_counter()
                if left():
                    raise Cancelled(_LEFT)
                found = find(request)
                if left():
                    raise Cancelled(_LEFT)
                return written(found, write, began, read_at)

        return await self._workers().run_while_wanted(work, let_in=let_in)

    async def find(self, read: Opened[R], find: Callable[[R], F]) -> F:
        """Return what is found, even if nobody waits for it any more. Raises TooManyRequests."""

        def work() -> F:
            with read() as request:
                return find(request)

        return await self._workers().run(work)

    def close(self) -> None:
        """End the threads."""
        self._others.close()
        self._large.close()

    def _workers(self) -> Workers:
        call = calls.under_way()
        return self._large if call is not None and call.bytes_in > LARGE_BYTES else self._others


def written(found: F, write: Callable[[F], T], began: float, read_at: float) -> Answer[T]:
    """Write what was found. `began` and `read_at` are when the first step began and ended."""
    predicted_at = perf_counter()
    content = write(found)
    return Answer(content, read_at - began, predicted_at - read_at, perf_counter() - predicted_at)


def submit(order: Callable[..., Job], read: Opened[R], idempotency_key: str | None) -> Job:
    """Read a request and order what it asks for."""
    with read() as request:
        return order(request, idempotency_key=idempotency_key)
