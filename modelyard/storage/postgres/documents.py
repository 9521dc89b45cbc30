"""A transactional database of JSON documents in PostgreSQL, shared by processes of several hosts.

A writer locks the only row of `head`, which gives it the next number: so transactions have one order without gaps, and
the block runs on the newest state. Readers look at what the follower keeps in memory.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, nullcontext
from types import TracebackType
from typing import Any, Self

from modelyard.errors import ModelyardError, Unavailable
from modelyard.storage.memory import Changes, Draft, Reading, parse
from modelyard.storage.postgres import rows, schema, views
from modelyard.storage.postgres.follower import LEASE_S, Follower, clock
from modelyard.storage.postgres.memo import Memo
from modelyard.storage.postgres.session import Session
from modelyard.storage.protocols import Collections, Observer

log = logging.getLogger("modelyard.storage")

_FORGET_EVERY = 1000
_MANY = 1000
"""So many documents are not sent before the answers: see `rows.portions`."""

_LEASE_MARGIN = 1.1
"""Clocks of two machines may run apart by less than this."""

_FIRST_PAUSE_S = 0.0003
_LONGEST_PAUSE_S = 0.002
"""Between two questions whether the replicas have followed: most have within a millisecond."""


class PostgresDocuments:
    """`protocols.Documents` in the database at `url`. With `make` its tables are made if they are missing.

    `beside` is a session for what is no transaction, closed with the others. `memo` knows what this host has seen.
    """

    def __init__(
        self,
        url: str,
        *,
        make: bool = True,
        lock_timeout_s: float = 10.0,
        observers: Sequence[Observer] = (),
        beside: Session | None = None,
        memo: Memo | None = None,
    ) -> None:
        self._lock_timeout_s = lock_timeout_s
        self.writer = Session(url, lock_timeout_s)
        """The session of transactions: what is run within one is part of it."""
        self.beside = beside or Session(url, lock_timeout_s)
        self.state = Follower(Session(url, lock_timeout_s), observers, memo)
        self.writing = threading.Lock()
        self._write_failed = False
        try:
            schema.prepare(self.writer, make=make)
            if make:
                views.prepare(self.writer)
            self.state.start()
        except BaseException:
            self.close()
            raise

    def get(self, collection: str, key: str) -> dict[str, Any] | None:
        with self.reading():
            raw = self.raw(collection, key)
        return None if raw is None else parse(raw)

    def reading(self) -> Reading:
        return Reading(self.state)

    def raw(self, collection: str, key: str) -> bytes | None:
        return self.state.raw(collection, key)

    def documents(self, collection: str) -> Iterable[tuple[str, bytes]]:
        return self.state.collections.get(collection, {}).items()

    def snapshot(self) -> tuple[Collections, int]:
        with self.reading():
            return {name: dict(found) for name, found in self.state.collections.items() if found}, self.state.seq

    def transaction(self) -> Transaction:
        return Transaction(self)

    def about(self) -> str:
        return f"PostgreSQL, as it was {self.state.age_s():.3f} s ago"

    def check(self, timeout_s: float) -> None:
        with self.reading():
            pass
        with self.held(timeout_s):
            self.writer.begin()
            try:
                self.writer.row("select set_config('lock_timeout', %s, true)", f"{int(timeout_s * 1000)}ms")
                self.writer.run("update head set seq = seq" if self._write_failed else "select from head for update")
                if not self.writer.commit():
                    raise Unavailable("the database takes no change")
            finally:
                self.writer.rollback()
        self._write_failed = False

    def compact(self) -> None:
        """Do nothing: a document is one row."""

    def go_on_from(self, seq: int) -> None:
        with self.held(self._lock_timeout_s):
            self.writer.take_time()  # all documents of the copy are one transaction
            self.writer.run("update head set seq = greatest(seq, %s)", seq)

    def close(self) -> None:
        self.state.close()
        self.writer.close()
        self.beside.close()

    def held(self, timeout_s: float) -> ExitStack:
        """Keep other threads of this process from writing. Raises Unavailable if that takes too long."""
        if not self.writing.acquire(timeout=timeout_s):
            raise Unavailable(f"the storage is busy: another thread was not done writing within {timeout_s:g} s")
        stack = ExitStack()
        stack.callback(self.writing.release)
        return stack

    # What a transaction does; it holds the lock of threads.

    def begin(self) -> int:
        """Wait for one's turn among all writers, and bring the state up; return the transaction's number."""
        try:
            number = self.state.take_turn(self.writer)
            self.state.check_not_moved()
        except BaseException:
            self.writer.rollback()
            raise
        return number

    def write(self, number: int, token: str, changes: Changes) -> None:
        """Write what the transaction changes; nothing of it counts yet."""
        with self.writer.together() if len(changes) < _MANY else nullcontext():
            rows.write(self.writer, number, changes)
            schema.note_commit(self.writer, number, token)
        if number % _FORGET_EVERY == 0:
            schema.forget(self.writer, number)

    def commit(self, number: int, token: str) -> bool | None:
        """Commit; return whether it did, and None if nobody can tell."""
        try:
            return self.writer.commit()
        except Unavailable as error:
            log.warning("the connection was lost in a commit: %s", error.detail)
            return self._was_committed(number, token)

    def wait_for_replicas(self, number: int) -> None:
        """Return once no replica can answer by what was true before a transaction.

        Those that have followed cannot, nor can those whose lease has run out since. Who has not followed by then is
        marked as leaving, and is no longer waited for once it was marked so for a whole lease.
        """
        until = clock() + LEASE_S * _LEASE_MARGIN
        pause, left = _FIRST_PAUSE_S, list[str]()
        try:
            with self.beside.mutex:
                behind = self._behind(number)
                left = [replica for replica, leaving in behind if leaving]
            while behind and clock() < until:
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                with self.beside.mutex:
                    behind = self._behind(number)
            if behind:
                ids = [replica for replica, _ in behind]
                with self.beside.mutex:
                    self.beside.run("delete from replicas where leaving and id = any(%s) and id = any(%s)", left, ids)
                    self.beside.run("update replicas set leaving = true where id = any(%s)", ids)
        except ModelyardError:  # it is committed, whatever the database says now
            time.sleep(max(0.0, until - clock()))

    def _behind(self, number: int) -> list[tuple[str, bool]]:
        return self.beside.rows("select id, leaving from replicas where seq < %s and id <> %s", number, self.state.me)

    def _was_committed(self, number: int, token: str) -> bool | None:
        """Ask on a new connection, after the lost one's transaction is over, whether it was committed."""
        until = clock() + self._lock_timeout_s
        while True:
            self.writer.close()
            try:
                self.writer.begin()
                self.writer.row("select from head for update")  # waits for the lost one
                found = self.writer.row("select token from commits where seq = %s", number)
                self.writer.rollback()
                return bool(found) and found[0] == token
            except ModelyardError as error:
                if clock() >= until:
                    log.error("it is not known whether a commit was kept: %s", error.detail)  # noqa: TRY400
                    return None
                time.sleep(0.1)


class Transaction(Draft):
    """`protocols.Transaction` in the database, under the lock of the row `head`."""

    def __init__(self, database: PostgresDocuments) -> None:
        super().__init__(database.state)
        self._database = database

    def __enter__(self) -> Self:
        database = self._database
        with database.held(database._lock_timeout_s) as stack:
            self.number = database.begin()
            self._held = stack.pop_all()
        database.state.mutex.acquire()
        database.state.readings += 1  # what is read in the block is the state that it has
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        database = self._database
        database.state.readings -= 1
        database.state.mutex.release()  # readers go on while the database is waited for
        with self._held:
            committed = False
            try:
                if kind is None and self._changes:
                    committed = self._commit()
            finally:
                if not committed:
                    database.writer.rollback()
        if committed:
            database.wait_for_replicas(self.number)

    def _commit(self) -> bool:
        database, token = self._database, secrets.token_hex(8)
        for step in self._steps:
            step()
        try:
            database.write(self.number, token, self._changes)
            self.may_be_stored = True
            committed = database.commit(self.number, token)
            self.may_be_stored = committed is not False
        except ModelyardError:
            database._write_failed = True
            raise
        if not committed:
            database._write_failed = True
            raise Unavailable(
                "the database did not take the change"
                if committed is False
                else "the connection to the database was lost in a commit, and it is not known whether it was kept"
            )
        database._write_failed = False
        database.state.note_own(self.number, token, self._changes)
        return True
