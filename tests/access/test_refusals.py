"""Refusals and sign-ins: counted apart by who, where and what, bounded, and never lost by a disk that is full."""

from __future__ import annotations

import threading

import pytest

from modelyard.access.audit import Deed
from modelyard.access.refusals import MOST_GROUPS, OTHERS, Refusals
from modelyard.calls import OK, Call, Calls
from modelyard.errors import Unavailable
from modelyard.identities import Identity
from tests.waiting import PATIENCE_S

DENIED = "PERMISSION_DENIED"


def ended(code: str, verb: str = "delete", key: str = "anna", address: str = "10.0.0.1", door: str = "rest") -> Call:
    call = Call(Calls(), door, "title", request_id="r", identity=Identity(key), address=address)
    call.verb, call.code = verb, code
    return call


class Kept(list[Deed]):
    """What was handed over, and when."""

    def __init__(self) -> None:
        self.came = threading.Event()
        self.full = False

    def keep(self, deeds: list[Deed]) -> None:
        if self.full:
            raise Unavailable("the disk is full")
        self.extend(deeds)
        self.came.set()


def test_what_is_alike_is_one_entry_with_a_count() -> None:
    kept = Kept()
    counting = Refusals(kept.keep)
    for code in (DENIED, DENIED, "UNAUTHENTICATED", "RESOURCE_EXHAUSTED"):
        counting.listen(ended(code))
    counting.listen(ended(DENIED, address="10.0.0.2"))
    counting.listen(ended(OK, verb="whoami"))
    counting.listen(ended("RESOURCE_EXHAUSTED", verb="whoami", key="anonymous"))
    counting.close()
    assert [(done.key, done.address, done.verb, done.code, done.count) for done in kept] == [
        ("anna", "10.0.0.1", "delete", DENIED, 2),
        ("anna", "10.0.0.1", "delete", "UNAUTHENTICATED", 1),
        ("anna", "10.0.0.1", "delete", "RESOURCE_EXHAUSTED", 1),
        ("anna", "10.0.0.2", "delete", DENIED, 1),
        ("anna", "10.0.0.1", "whoami", OK, 1),
        ("anonymous", "10.0.0.1", "whoami", "RESOURCE_EXHAUSTED", 1),
    ]


@pytest.mark.parametrize(
    "call",
    [
        ended(OK),
        ended("FAILED_PRECONDITION"),
        ended("NOT_FOUND"),
        ended(OK, verb="whoami", key="anonymous"),
        ended("UNAUTHENTICATED", verb="whoami", key="anonymous"),
        ended(OK, verb="whoami", door="local"),
        ended(DENIED, door="local"),
    ],
)
def test_what_is_no_refusal_and_no_sign_in_is_not_counted(call: Call) -> None:
    kept = Kept()
    counting = Refusals(kept.keep)
    counting.listen(call)
    counting.close()
    assert kept == []


def test_what_was_counted_is_handed_over_by_itself() -> None:
    kept = Kept()
    counting = Refusals(kept.keep, within_s=0.001)
    counting.listen(ended(DENIED))
    assert kept.came.wait(PATIENCE_S)
    counting.close()
    assert [done.count for done in kept] == [1]


def test_an_attacker_from_many_addresses_takes_a_bounded_memory() -> None:
    kept = Kept()
    counting = Refusals(kept.keep)
    for n in range(MOST_GROUPS + 500):
        counting.listen(ended("UNAUTHENTICATED", address=f"10.0.{n // 250}.{n % 250}"))
    counting.close()
    assert len(kept) == MOST_GROUPS + 1
    assert sum(done.count for done in kept) == MOST_GROUPS + 500
    assert [(done.address, done.count) for done in kept if done.count > 1] == [(OTHERS, 500)]


def test_the_addresses_of_one_ipv6_customer_are_one_entry_with_the_first_of_them() -> None:
    kept = Kept()
    counting = Refusals(kept.keep)
    for n in range(MOST_GROUPS + 500):
        counting.listen(ended("UNAUTHENTICATED", address=f"2001:db8::{n:x}"))
    counting.listen(ended("UNAUTHENTICATED", address="2001:db8:0:1::"))
    counting.close()
    assert [(done.address, done.count) for done in kept] == [("2001:db8::0", MOST_GROUPS + 500), ("2001:db8:0:1::", 1)]


def test_what_cannot_be_kept_now_is_counted_on(caplog: pytest.LogCaptureFixture) -> None:
    kept = Kept()
    counting = Refusals(kept.keep)
    kept.full = True
    counting.listen(ended(DENIED))
    counting.flush()
    assert caplog.messages == ["refusals are not in the audit yet: the disk is full"]
    counting.listen(ended(DENIED))
    kept.full = False
    counting.close()
    assert [done.count for done in kept] == [2]


def test_a_refusal_does_not_wait_for_the_disk() -> None:
    begun, goes_on, kept = threading.Event(), threading.Event(), Kept()

    def keep(deeds: list[Deed]) -> None:
        begun.set()
        assert goes_on.wait(PATIENCE_S)
        kept.keep(deeds)

    counting = Refusals(keep, within_s=0.001)
    counting.listen(ended(DENIED))
    assert begun.wait(PATIENCE_S)
    counting.listen(ended(DENIED))  # while the first is being kept
    goes_on.set()
    counting.close()
    assert [done.count for done in kept] == [1, 1]
