"""Of the threads that carry one baton, one at a time runs, unless it has put the baton down."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from modelyard.ml_core.baton import Baton, put_down
from tests.waiting import PATIENCE_S


def test_one_at_a_time_has_the_baton() -> None:
    baton, running, most = Baton(), [0], [0]

    def between() -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        threading.Event().wait(0.0001)
        running[0] -= 1

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(baton.carry, between) for _ in range(100)]:
            done.result(PATIENCE_S)
    assert most == [1]


def test_who_puts_it_down_lets_another_run_and_gets_it_back() -> None:
    baton, other_ran = Baton(), threading.Event()
    may_begin = threading.Event()

    def first() -> bool:
        may_begin.set()
        with put_down():
            return other_ran.wait(PATIENCE_S)

    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(baton.carry, first)
        assert may_begin.wait(PATIENCE_S)
        pool.submit(baton.carry, other_ran.set).result(PATIENCE_S)
        assert waiting.result(PATIENCE_S)
    baton.carry(other_ran.clear)  # it is free again
    assert not other_ran.is_set()


def test_an_error_gives_it_back_wherever_it_is_raised() -> None:
    baton = Baton()

    def fail() -> None:
        with put_down():
            raise ValueError("as it was raised")

    for _ in range(2):
        with pytest.raises(ValueError, match="as it was raised"):
            baton.carry(fail)
    assert baton.carry(len, "abc") == 3


def test_a_thread_without_one_has_nothing_to_put_down() -> None:
    with put_down():
        pass
