"""The documents in memory, and the thread that keeps them as fresh as promised.

The thread asks the database again and again how far it is. What is in memory counts for LEASE_S from the sending of the
last question that was answered, by this process's own clock: so a look at it is a comparison of two numbers, and no
reader waits for the network. A writer waits until every replica has followed or its lease has run out.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, LiteralString, NamedTuple

from modelyard.errors import DataLoss, ModelyardError, NoYard, Unavailable
from modelyard.storage.memory import Changes, Memory, parse
from modelyard.storage.postgres import rows, schema
from modelyard.storage.postgres.memo import TAKEN_BACK, Memo
from modelyard.storage.postgres.session import Session
from modelyard.storage.protocols import Observer

log = logging.getLogger("modelyard.storage")

LEASE_S = 0.1
_POLL_S = 0.033
_RETRY_S = 0.2
_DAMAGED_RETRY_S = 1.0
_PATIENCE_S = 0.5
"""For so long a reader waits for an answer if the lease has run out. Who comes later is refused at once."""

_HEAD = """
format, generation, seq, forgotten,
    (select token from commits where seq = %s), (select not leaving from replicas where id = %s)
"""
_QUESTION = "select" + _HEAD + "from head"
_TURN = "update head set seq = seq + 1 returning" + _HEAD  # noqa: S608 - of literals

_REGISTER = """
insert into replicas (seq, id) values (%s, %s) on conflict (id) do update set seq = excluded.seq, leaving = false
"""
_FOLLOWED = "update replicas set seq = %s where id = %s"

clock = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
"""Seconds that go on while the machine sleeps: a lease runs out then, too."""


class _Head(NamedTuple):
    """The answer to a question: the last transaction, and the token of the one that was asked about."""

    format: int
    generation: str
    seq: int
    forgotten: int
    token: str | None
    registered: bool | None

    @classmethod
    def of(cls, row: Any) -> _Head:
        if row is None:
            raise NoYard("the database holds no yard any more")
        return cls(*row)


class Follower(Memory):
    """The newest committed state. `seq` is its last transaction, known by `token`, noted in the `memo`."""

    def __init__(self, session: Session, observers: Sequence[Observer], memo: Memo | None = None) -> None:
        super().__init__(observers)
        self.me = secrets.token_hex(8)
        self.seq = 0
        self._token: str | None = None
        self._generation: str | None = None
        self._session = session
        self._memo = memo
        self._noted = -1
        self._told = -1
        self._following = threading.Lock()
        """Held by who moves the state on, and taken before the mutex."""

        self._fresh_until = 0.0
        self._asking_since: float | None = None
        self._problem: ModelyardError | None = None
        self._news = threading.Condition(self.mutex)
        self._stop = threading.Event()
        self._listens = False
        self._thread = threading.Thread(target=self._work, name="documents", daemon=True)

    def start(self) -> None:
        """Read everything, then go on following. Raises what every reader would meet."""
        if self._memo is not None:
            self._memo.check(self._session)
        self._ask()
        self._thread.start()

    def close(self) -> None:
        """Follow no longer, and tell writers that nobody need wait for this replica."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._note()
        with self.mutex:
            self._fresh_until = 0.0
            self._problem = Unavailable("this yard's storage is closed")
        try:
            self._session.run("delete from replicas where id = %s", self.me)
        except ModelyardError as error:
            log.info("not signed off from the database: %s", error.detail)
        self._session.close()

    def look(self) -> None:
        """Return if the state is fresh, or as soon as it is. Call it with the mutex.

        Raises Unavailable if the database does not answer, DataLoss if it is damaged or was taken back,
        FailedPrecondition if a newer release has changed it.
        """
        if clock() < self._fresh_until:
            return
        entered = clock()
        while clock() >= self._fresh_until:
            if self._problem is not None:
                raise type(self._problem)(self._problem.detail)
            since = entered if self._asking_since is None else min(entered, self._asking_since)
            left = since + _PATIENCE_S - clock()
            if left <= 0:
                raise Unavailable("the database does not answer, so it is not known what is true now; try again")
            self._news.wait(left)

    def age_s(self) -> float:
        """Return for how long nothing newer than the state is known, in seconds."""
        return clock() - (self._fresh_until - LEASE_S)

    def catch_up(self, session: Session) -> bool:
        """Bring the state up to what a session sees; return whether writers wait for this replica.

        Raises DataLoss, FailedPrecondition.
        """
        with self._following:
            head = _Head.of(session.row(_QUESTION, self.seq, self.me))
            self._go_to(session, head, head.seq, known=head.token == self._token)
            return bool(head.registered)

    def take_turn(self, session: Session) -> int:
        """Open a transaction, wait for one's turn among all writers, and bring the state up to it.

        Returns the transaction's number. Raises like `catch_up`, and Unavailable.
        """
        with self._following:
            before, token = self.seq, self._token
        with session.together():  # not held while the turn is waited for
            session.begin()
            head = _Head.of(session.row(_TURN, before, self.me))
        with self._following:
            moved_on = self.seq != before  # which looked at the token that it met
            self._go_to(session, head, head.seq - 1, known=moved_on or head.token == token)
        return head.seq

    def _go_to(self, session: Session, head: _Head, seq: int, *, known: bool) -> None:
        schema.check_format(head.format)
        if head.generation != self._generation or self.seq <= head.forgotten:
            self._read_anew(session, head.generation, seq)
        elif seq < self.seq or not known:
            self._fresh_until = 0.0
            raise DataLoss(TAKEN_BACK.format(seq=self.seq))
        elif seq > self.seq:
            self._read_on(session, seq)

    def note_own(self, seq: int, token: str, changes: Changes) -> None:
        """Take what this process has just committed; if it does not follow on the state, the next look waits."""
        with self._following, self.mutex:
            if self.seq != seq - 1 or self._generation is None:
                self._fresh_until = self._fresh_until if self.seq >= seq else 0.0
                return
            for (collection, key), raw in changes.items():
                if raw is not None:
                    self.put(collection, key, raw, parse(raw))
            for (collection, key), raw in changes.items():
                if raw is None:
                    self.remove(collection, key)
            self.seq, self._token = seq, token

    def _read_on(self, session: Session, seq: int) -> None:
        found, last, token = rows.since(session, self.seq, seq)  # readers go on meanwhile
        with self.mutex:
            self._apply(found)
            self.seq, self._token = last, token

    def _read_anew(self, session: Session, generation: str, seq: int) -> None:
        with self.mutex:
            self._generation = None
            self._fresh_until = 0.0
        found = rows.everything(session)  # readers are refused meanwhile, and do not wait for the mutex
        with self.mutex:
            self.clear()
            self.seq = 0
            self._apply(found)
            self.seq = max(seq, max((row.seq for row in found), default=0))
            token = session.row("select token from commits where seq = %s", self.seq)
            self._token = None if token is None else token[0]
            self._generation = generation

    def _apply(self, found: list[rows.Row]) -> None:
        before = self.seq
        try:
            for row in found:
                if row.body is None:
                    self.remove(row.collection, row.key)
                    continue
                if row.first_seq > before:  # perhaps it was removed in between
                    self.collections.get(row.collection, {}).pop(row.key, None)
                self.put(row.collection, row.key, row.body, parse(row.body))
        except BaseException:
            self._generation = None  # what was half applied must not be served
            self._fresh_until = 0.0
            raise

    # The thread.

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                if self._listens:
                    self._session.wait_for_notice(_POLL_S)
                self._ask()
            except ModelyardError as error:
                self._fail(error)
            except Exception:  # without this thread nobody could read any more
                log.exception("the database cannot be followed now")
                self._fail(Unavailable("the database cannot be followed now; see the log"))

    def _fail(self, error: ModelyardError) -> None:
        if self._problem is None or self._problem.detail != error.detail:
            log.warning("%s", error.detail)
        with self.mutex:
            self._asking_since = None
            self._problem = error
            if not isinstance(error, Unavailable):
                self._fresh_until = 0.0
            self._news.notify_all()
        self._session.close()
        self._listens = False
        self._stop.wait(_RETRY_S if isinstance(error, Unavailable) else _DAMAGED_RETRY_S)

    def _ask(self) -> None:
        """Ask the database how far it is, and follow."""
        sent = self._asking_since = clock()
        if not self._listens:
            schema.prepare(self._session, make=False)
            schema.listen(self._session)
            self._listens = True
        while not self.catch_up(self._session):  # writers wait for this replica from the row on, so an answer counts
            self._tell(_REGISTER)
            sent = clock()
        if self.seq != self._told:  # perhaps a writer of this process has moved the state on
            self._tell(_FOLLOWED)
        self._asking_since = None  # the database has answered, however long a writer of this process has the mutex
        self._note()
        with self.mutex:
            if self._problem is not None:
                log.info("the database answers again")
            self._problem = None
            self._fresh_until = sent + LEASE_S
            self._news.notify_all()

    def _tell(self, statement: LiteralString) -> None:
        """Tell writers how far the state is."""
        seq = self.seq
        self._session.run(statement, seq, self.me)
        self._told = seq

    def _note(self) -> None:
        """Let a process that starts later know what was seen."""
        with self.mutex:
            generation, seq, token = self._generation, self.seq, self._token
        if self._memo is not None and generation is not None and seq != self._noted:
            self._memo.note(generation, seq, token)
            self._noted = seq
