"""Which processes are alive, and what one of them alone may do, known by PostgreSQL."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from modelyard.errors import ModelyardError, Unavailable
from modelyard.storage.postgres.follower import clock
from modelyard.storage.postgres.session import Session

log = logging.getLogger("modelyard.storage")

_BEAT_S = 2.0
_DEAD_AFTER_S = 10.0

_BEAT = """
insert into owners (id, beat) values (%s, 1) on conflict (id) do update set beat = owners.beat + 1
"""
"""Another process removes who is dead to it: one that was only stopped for a while signs itself on again."""

_TRY = "select pg_try_advisory_lock(hashtextextended(%s || ' ' || 'head'::regclass::oid, 0))"


class PostgresOwners:
    """`runner.Owners`: each process counts up a number, and is dead if nobody has seen it move for ten seconds.

    Each process goes by its own clock, and by what it has seen without a gap: neither a clock that jumps nor a time in
    which the database was away makes a process dead.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.mine: str | None = None
        self._told = 0.0
        self._claiming = threading.Lock()
        self._released = threading.Event()
        self._seen: dict[str, _Seen] = {}

    def claim(self) -> str:
        with self._claiming:
            if self.mine is None:
                owner_id = secrets.token_hex(16)
                with self._session.mutex:
                    self._session.run("insert into owners (id) values (%s)", owner_id)
                self.mine, self._told = owner_id, clock()
                self._released.clear()
                threading.Thread(target=self._keep_beating, args=(owner_id,), name="owner", daemon=True).start()
            elif clock() - self._told > 2 * _BEAT_S:  # it was cut off or stopped, and may be dead to the others
                self._beat(self.mine)
            return self.mine

    def release(self) -> None:
        if self.mine is None:
            return
        self._released.set()
        try:
            with self._session.mutex:  # a beat that is under way would sign it on again
                self._session.run("delete from owners where id = %s", self.mine)
        except ModelyardError as error:
            log.info("not signed off from the database: %s", error.detail)
        self.mine = None

    def is_alive(self, owner_id: str) -> bool:
        if owner_id == self.mine:
            return True
        with self._session.mutex:
            found = self._session.row("select beat from owners where id = %s", owner_id)
            if found is None:
                return False
            seen = self._seen.setdefault(owner_id, _Seen())
            return seen.is_alive(found[0], clock())

    def has_others(self) -> bool:
        return any(owner_id != self.mine and self.is_alive(owner_id) for owner_id in self._ids())

    def forget_dead(self) -> None:
        with self._session.mutex:
            for owner_id in self._ids():
                if not self.is_alive(owner_id):
                    self._session.run("delete from owners where id = %s", owner_id)

    def _ids(self) -> list[str]:
        with self._session.mutex:
            return [owner_id for (owner_id,) in self._session.rows("select id from owners")]

    def _keep_beating(self, owner_id: str) -> None:
        while not self._released.wait(_BEAT_S):
            try:
                self._beat(owner_id)
            except ModelyardError as error:
                log.warning("not told to others that this process is alive: %s", error.detail)

    def _beat(self, owner_id: str) -> None:
        with self._session.mutex:
            if not self._released.is_set():
                self._session.run(_BEAT, owner_id)
                self._told = clock()


class _Seen:
    """What this process has seen of another one's beat."""

    def __init__(self) -> None:
        self._beat = -1
        self._since = 0.0
        self._looked = 0.0

    def is_alive(self, beat: int, now: float) -> bool:
        """Take a look at the beat, and tell whether it has stood still for too long."""
        if beat != self._beat or now - self._looked > _BEAT_S:
            self._beat, self._since = beat, now
        self._looked = now
        return now - self._since < _DEAD_AFTER_S


@contextmanager
def held(session: Session, name: str) -> Iterator[None]:
    """Hold a lock by name within a `with` block, on a session of its own. Raises Unavailable if another has it."""
    try:
        if not session.row(_TRY, name)[0]:
            raise Unavailable(f"the lock {name!r} is held by another process")
        yield
    finally:
        session.close()
