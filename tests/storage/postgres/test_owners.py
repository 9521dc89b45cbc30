"""Which processes are alive, by what each has seen of the others: no clock is compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from modelyard.storage.postgres import leases
from modelyard.storage.postgres.documents import PostgresDocuments
from modelyard.storage.postgres.leases import PostgresOwners
from tests.postgres_server import PostgresServer
from tests.waiting import wait_until


class Clock:
    """The time as a test tells it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(leases, "clock", clock)
    return clock


@pytest.fixture
def owners(postgres: PostgresServer) -> Iterator[tuple[PostgresOwners, PostgresOwners]]:
    with ExitStack() as stack:
        url = postgres.new_yard()
        documents = [PostgresDocuments(url) for _ in range(2)]
        for each in documents:
            stack.callback(each.close)
        made = [PostgresOwners(each.beside) for each in documents]
        for one in made:
            stack.callback(one.release)
        yield made[0], made[1]


def look_for(owners: PostgresOwners, owner: str, clock: Clock, seconds: int) -> bool:
    """Look about twice a second, as a server does; return what is said at the end."""
    alive = True
    for _ in range(2 * seconds):
        clock.now += 0.5
        alive = owners.is_alive(owner)
    return alive


def test_an_owner_is_alive_until_it_is_released(owners: tuple[PostgresOwners, PostgresOwners]) -> None:
    mine, theirs = owners
    owner = mine.claim()
    assert mine.claim() == owner == mine.mine
    assert theirs.is_alive(owner)
    assert not theirs.is_alive("f" * 32)
    assert not mine.has_others()
    assert theirs.has_others()
    mine.release()
    assert not theirs.is_alive(owner)
    assert not theirs.has_others()


def test_an_owner_whose_beat_stands_still_is_dead_after_ten_seconds(
    owners: tuple[PostgresOwners, PostgresOwners], clock: Clock
) -> None:
    mine, theirs = owners
    owner = mine.claim()
    mine._released.set()  # its process was killed: nothing beats any more
    assert look_for(theirs, owner, clock, 10)
    assert not look_for(theirs, owner, clock, 1)
    theirs.forget_dead()
    assert not PostgresOwners(theirs._session).is_alive(owner)


def test_a_time_in_which_nobody_could_look_makes_nobody_dead(
    owners: tuple[PostgresOwners, PostgresOwners], clock: Clock
) -> None:
    mine, theirs = owners
    owner = mine.claim()
    mine._released.set()
    assert look_for(theirs, owner, clock, 9)
    clock.now += 3600.0  # the database was away, or this machine slept
    assert look_for(theirs, owner, clock, 9)


def test_one_that_was_paused_until_it_was_forgotten_signs_itself_on_again(
    owners: tuple[PostgresOwners, PostgresOwners], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs = owners
    monkeypatch.setattr(leases, "_BEAT_S", 0.05)
    owner = mine.claim()
    with mine._session.mutex:  # as if it were paused: it cannot beat
        theirs._session.run("delete from owners where id = %s", owner)
        assert not theirs.is_alive(owner)
    wait_until(lambda: theirs.is_alive(owner))
    mine.release()
    assert not theirs.is_alive(owner)


def test_one_that_was_dead_to_others_is_alive_before_it_owns_more(
    owners: tuple[PostgresOwners, PostgresOwners], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "_BEAT_S", 3600.0)  # its host was cut off: it cannot beat
    mine, theirs = owners
    owner = mine.claim()
    monkeypatch.setattr(leases, "_BEAT_S", 2.0)
    assert not look_for(theirs, owner, clock, 11)
    assert mine.claim() == owner
    assert theirs.is_alive(owner)
