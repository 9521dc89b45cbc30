"""Rates and guesses, by a clock of the test's own."""

from __future__ import annotations

import pytest

from modelyard.access import limits
from modelyard.access.limits import Guesses, Rate
from modelyard.calls import Call, Calls
from modelyard.errors import TooManyRequests
from modelyard.identities import Identity
from modelyard.schemas import ANONYMOUS


class Holder(Identity):
    has_key = True


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def by(caller: str = ANONYMOUS, address: str = "198.51.100.1") -> Call:
    identity = Identity(caller) if caller == ANONYMOUS else Holder(caller)
    return Call(Calls(), "rest", "GET /", request_id="x", identity=identity, address=address)


def taken(rate: Rate, call: Call, most: int = 5000) -> int:
    """Take until it is refused, and return how often that went."""
    for count in range(most):
        try:
            rate.take(call)
        except TooManyRequests:
            return count
    return most


@pytest.mark.parametrize(("per_second", "burst"), [(5, 10), (0.5, 1), (0.1, 1), (2.5, 5), (1000, 2000)])
def test_a_burst_is_two_seconds_of_calls_and_then_the_rate_holds(clock: Clock, per_second: float, burst: int) -> None:
    rate, call = Rate(per_second, clock), by()
    assert taken(rate, call) == burst
    for _ in range(5):
        clock.now += 1.0001 / per_second
        assert taken(rate, call) == 1
    clock.now += 3600
    assert taken(rate, call) == burst


def test_the_refusal_says_when_to_ask_again_and_what_is_allowed(clock: Clock) -> None:
    rate, call = Rate(0.1, clock), by()
    rate.take(call)
    clock.now += 0.5
    with pytest.raises(TooManyRequests, match=r"0\.1 calls a second, 1 at once; MODELYARD_RATE_LIMIT") as refused:
        rate.take(call)
    assert refused.value.retry_after_s == 10
    clock.now += refused.value.retry_after_s
    rate.take(call)


def test_keys_count_for_themselves_and_without_keys_addresses_do(clock: Clock) -> None:
    rate = Rate(1, clock)
    assert taken(rate, by()) == 2
    assert taken(rate, by(address="198.51.100.2")) == 2
    assert taken(rate, by("198.51.100.1")) == 2  # a key may be called so
    assert taken(rate, by("198.51.100.1", address="198.51.100.9")) == 0
    assert taken(rate, by(address="2001:db8::1")) == 2
    assert taken(rate, by(address="2001:db8::2")) == 0


def test_what_is_given_back_is_counted_once(clock: Clock) -> None:
    rate, call = Rate(2, clock), by()
    rate.give_back(call)
    for _ in range(4):
        rate.take(call)
        rate.give_back(call)
        rate.take(call)
    assert taken(rate, call) == 0


def test_ten_wrong_keys_within_a_minute_and_further_ones_are_refused_for_a_minute(clock: Clock) -> None:
    guesses = Guesses(clock)
    for _ in range(9):
        guesses.check("198.51.100.1")
        guesses.note("198.51.100.1")
        clock.now += 6
    guesses.check("198.51.100.1")
    guesses.note("198.51.100.1")
    clock.now += 20
    with pytest.raises(TooManyRequests, match=r"10 keys from 198\.51\.100\.1") as refused:
        guesses.check("198.51.100.1")
    assert refused.value.retry_after_s == 40
    guesses.check("198.51.100.2")
    clock.now += 40
    guesses.check("198.51.100.1")
    guesses.note("198.51.100.1")
    guesses.check("198.51.100.1")


def test_wrong_keys_now_and_then_are_never_too_many(clock: Clock) -> None:
    guesses = Guesses(clock)
    for _ in range(100):
        guesses.check("198.51.100.1")
        guesses.note("198.51.100.1")
        clock.now += 7


def test_memory_is_bounded_and_who_came_last_is_remembered(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_KEPT", 100)
    rate, guesses = Rate(0.5, clock), Guesses(clock)
    for number in range(1000):
        rate.take(by(f"key-{number}"))
        for _ in range(10 if number % 2 else 1):
            guesses.note(f"198.51.{number // 250}.{number % 250}")
    assert taken(rate, by("key-999")) == 0
    assert taken(rate, by("key-0")) == 1
    with pytest.raises(TooManyRequests):
        guesses.check("198.51.3.249")
    guesses.check("198.51.0.1")
    assert max(len(rate._full_at), len(guesses._seen), len(guesses._refused_until)) <= 100
