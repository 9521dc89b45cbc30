"""The threads beside an event loop."""

import asyncio
import threading
import weakref

import pytest

from modelyard.errors import TooManyRequests
from modelyard.ml_core.workers import Crowd, Workers
from tests.waiting import PATIENCE_S, wait_until


class Table:
    """Something that a weak reference can follow."""


def test_a_thread_is_kept_for_the_next_function() -> None:
    async def ask() -> set[threading.Thread]:
        workers = Workers(2)
        found = {await workers.run(threading.current_thread) for _ in range(5)}
        workers.close()
        return found

    (thread,) = asyncio.run(ask())
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_a_thread_ends_after_its_function_if_the_workers_were_closed_before() -> None:
    may_end = threading.Event()

    def work() -> threading.Thread:
        may_end.wait(PATIENCE_S)
        return threading.current_thread()

    async def ask() -> threading.Thread:
        workers = Workers(1)
        asked = asyncio.ensure_future(workers.run(work))
        await asyncio.sleep(0)
        workers.close()
        may_end.set()
        return await asked

    thread = asyncio.run(ask())
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_no_more_threads_work_than_are_allowed() -> None:
    at_work, may_end = threading.Semaphore(0), threading.Event()

    def work() -> threading.Thread:
        at_work.release()
        may_end.wait(PATIENCE_S)
        return threading.current_thread()

    async def ask() -> list[threading.Thread]:
        workers = Workers(2)
        asked = [asyncio.ensure_future(workers.run(work)) for _ in range(6)]
        for _ in range(2):
            assert await asyncio.to_thread(at_work.acquire, timeout=PATIENCE_S)
        assert not at_work.acquire(blocking=False)
        may_end.set()
        found = await asyncio.gather(*asked)
        workers.close()
        return found

    assert len(set(asyncio.run(ask()))) == 2


def test_an_idle_thread_keeps_nothing_of_its_last_function() -> None:
    async def ask() -> None:
        workers = Workers(1)
        table = Table()
        kept = weakref.ref(table)
        await workers.run(id, table)
        del table
        assert await asyncio.to_thread(wait_until, lambda: kept() is None)
        workers.close()

    asyncio.run(ask())


def test_a_thread_goes_on_after_a_function_that_failed() -> None:
    def fail() -> None:
        raise ValueError("as it was raised")

    async def ask() -> int:
        workers = Workers(1)
        with pytest.raises(ValueError, match="as it was raised"):
            await workers.run(fail)
        found = await workers.run(len, "abc")
        workers.close()
        return found

    assert asyncio.run(ask()) == 3


def test_one_more_than_may_run_or_wait_is_refused_at_once() -> None:
    may_end = threading.Event()

    async def ask() -> None:
        crowd = Crowd(3)
        workers = Workers(1, crowd)
        asked = [asyncio.ensure_future(workers.run(may_end.wait, PATIENCE_S)) for _ in range(2)]
        await asyncio.sleep(0)
        with crowd.place(), pytest.raises(TooManyRequests, match="3 predictions are under way"):
            await workers.run(len, "abc")
        left = asyncio.ensure_future(workers.run(len, "abc"))
        await asyncio.sleep(0)
        left.cancel()  # who waits and leaves gives its place back
        with pytest.raises(asyncio.CancelledError):
            await left
        last = asyncio.ensure_future(workers.run(len, "abc"))
        await asyncio.sleep(0)
        asked[0].cancel()  # who leaves while a thread works for it does not, until that has ended
        await asyncio.sleep(0)
        with pytest.raises(TooManyRequests):
            await workers.run(len, "abc")
        may_end.set()
        assert await asked[1]
        assert await last == 3
        workers.close()

    asyncio.run(ask())
