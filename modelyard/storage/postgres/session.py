"""One connection to PostgreSQL, made anew after it was lost; what the server refuses, in the core's words.

No other module knows the library. A session is used by one thread at a time: who shares one takes its `mutex`.
"""

from __future__ import annotations

import re
import select
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import errors, sql
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import PipelineStatus, TransactionStatus

from modelyard.errors import DataLoss, FailedPrecondition, InvalidRequest, Unavailable

_CONNECT = {
    "application_name": "modelyard",
    "connect_timeout": 5,
    # A host that is cut off is given up after some seconds, on this side by these …
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}
_SETTINGS = {
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    # What a role or a database may have otherwise, and nothing here is written for.
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "standard_conforming_strings": "on",
    "idle_in_transaction_session_timeout": "3s",  # else a host that is cut off keeps the writers' lock
    # … and on the server's by these.
    "tcp_keepalives_idle": "2",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "5000",
}
_STATEMENT_S = 5.0
_ANSWER_S = 5.0
"""For so much longer than a statement may take its answer is waited for: a server that is stopped never says so."""

_OLDEST = 13
"""The oldest release of the server's that has all that is set here, and that is still mended."""

_PORTS = re.compile(r"[\d,]*")

RowT = TypeVar("RowT")


class _Connection(psycopg.Connection[Any]):
    """A connection that gives its server up if nothing comes from it for `answer_s` (None: never)."""

    answer_s: float | None = None

    def wait(self, gen: PQGen[RowT], *options: Any, **named: Any) -> RowT:
        return super().wait(gen if self.answer_s is None else self._bounded(gen, self.answer_s), *options, **named)

    def _bounded(self, gen: PQGen[RowT], answer_s: float) -> PQGen[RowT]:
        until = time.monotonic() + answer_s
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    until = time.monotonic() + answer_s
                elif time.monotonic() > until:
                    self.close()
                    raise psycopg.OperationalError(f"no answer came within {answer_s:g} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            found: RowT = end.value
            return found


class Session:
    """A connection, which is made when it is first used. Every use raises Unavailable if the server refuses.

    A lock is waited for `lock_timeout_s` seconds at most. `settings` are further ones of the server's.
    """

    def __init__(self, url: str, lock_timeout_s: float, settings: Mapping[str, str] | None = None) -> None:
        self.mutex = threading.RLock()
        self._given: dict[str, Any] = {**_CONNECT, **_parsed(url)}
        self._lock_timeout_s = lock_timeout_s
        self._settings = {
            **_SETTINGS,
            "lock_timeout": f"{int(lock_timeout_s * 1000)}ms",
            "statement_timeout": f"{int((lock_timeout_s + _STATEMENT_S) * 1000)}ms",
            **(settings or {}),
        }
        self._answer_s: float | None = lock_timeout_s + _STATEMENT_S + _ANSWER_S
        self._connection: psycopg.Connection[Any] | None = None
        self._in_transaction = False

    def rows(self, statement: LiteralString, *values: Any) -> list[Any]:
        """Return the rows of a statement, which is committed unless a transaction is open."""
        with self._refusals(), self._connected().cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

    def row(self, statement: LiteralString, *values: Any) -> Any:
        """Return the only row of a statement; None if there is none."""
        return next(iter(self.rows(statement, *values)), None)

    def run(self, statement: LiteralString, *values: Any) -> int:
        """Run a statement that returns no rows; return how many it changed."""
        with self._refusals(), self._connected().cursor() as cursor:
            return cursor.execute(statement, values).rowcount

    def stream(self, statement: LiteralString, *values: Any) -> Iterator[Any]:
        """Iterate the rows of a statement as they are at one moment, in portions, without holding all of them."""
        with self._refusals(), self._transaction() as connection, connection.cursor(name="portions") as cursor:
            cursor.itersize = 5000
            cursor.execute(statement, values)
            yield from cursor

    def copy(self, query: LiteralString, types: Sequence[str], take: Callable[[Any], RowT]) -> list[RowT]:
        """Return what `take` makes of each row of a query, all as of one moment, however long that takes.

        `types` are those of its columns; a text as `bytea` comes as UTF-8.
        """
        with self._refusals(), self._transaction() as connection, connection.cursor() as cursor:
            cursor.execute("set local statement_timeout = 0")
            with cursor.copy("copy (" + query + ") to stdout (format binary)") as copy:
                copy.set_types(types)
                return [take(row) for row in copy.rows()]

    @contextmanager
    def together(self) -> Iterator[None]:
        """Send what is run within a `with` block without waiting for each answer; the last is there at its end."""
        with self._refusals(), self._connected().pipeline():
            yield

    def begin(self) -> None:
        """Open a transaction, which ends with `commit` or `rollback`, or with its connection."""
        self._in_transaction = False
        self.run("begin")
        self._in_transaction = True

    def commit(self) -> bool:
        """Commit; return whether that was answered with yes. Raises Unavailable if the connection was lost in it."""
        try:
            self.run("commit")
        except Unavailable:
            if self.is_lost:
                raise
            return False
        finally:
            self._in_transaction = False
        return True

    def rollback(self) -> None:
        """Leave a transaction; nothing of it counts."""
        self._in_transaction = False
        if not self.is_lost:
            try:
                self.run("rollback")
            except Unavailable:
                self.close()

    def listen(self, channel: str) -> None:
        """Have this session told of what is sent to a channel."""
        with self._refusals():
            self._connected().execute(sql.SQL("listen {}").format(sql.Identifier(channel)))

    def wait_for_notice(self, timeout_s: float) -> None:
        """Return when a channel that is listened to has something, or after a while."""
        with self._refusals():
            for _ in self._connected().notifies(timeout=timeout_s, stop_after=1):
                pass

    def take_time(self) -> None:
        """Let transactions from now on take as long as they do, whoever waits for them."""
        self._settings |= {"idle_in_transaction_session_timeout": "0", "statement_timeout": "0"}
        self._answer_s = None
        self.close()  # the next use makes a connection with these

    @property
    def is_lost(self) -> bool:
        """Whether there is no connection that could go on."""
        return self._connection is None or self._connection.closed

    def close(self) -> None:
        """Let go of the connection; an open transaction is rolled back."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None
        self._in_transaction = False

    def _connected(self) -> psycopg.Connection[Any]:
        if self.is_lost and self._in_transaction:
            raise Unavailable("the connection to the database was lost in a transaction")
        if self._is_cut() or self._connection is None or self._connection.closed:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> psycopg.Connection[Any]:
        connection = _Connection.connect(**self._given, autocommit=True)
        connection.answer_s = self._answer_s
        try:
            _check_release(connection.info.server_version // 10_000)
            connection.execute(
                "select set_config(name, value, false) from unnest(%s::text[], %s::text[]) as given(name, value)",
                (list(self._settings), list(self._settings.values())),
            )
        except BaseException:
            connection.close()
            raise
        return connection

    def _is_cut(self) -> bool:
        """Whether the server has ended the connection while nothing was under way; then the next use makes a new one.

        The library would notice by the failure of that use.
        """
        connection = self._connection
        if (
            connection is None
            or connection.closed
            or connection.info.transaction_status != TransactionStatus.IDLE
            or connection.pgconn.pipeline_status != PipelineStatus.OFF
        ):
            return False
        waiting = select.poll()
        waiting.register(connection.fileno(), select.POLLIN)
        try:
            while waiting.poll(0):
                connection.pgconn.consume_input()
        except psycopg.Error:
            self.close()
            return True
        return False

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection[Any]]:
        connection = self._connected()
        with connection.transaction():
            yield connection

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except errors.LockNotAvailable:
            raise Unavailable(
                f"the storage is busy: the database's lock was not free within {self._lock_timeout_s:g} s"
            ) from None
        except (errors.DataCorrupted, errors.IndexCorrupted) as error:
            raise DataLoss(f"the database is damaged: {_said(error)}") from error
        except (errors.UntranslatableCharacter, errors.CharacterNotInRepertoire, psycopg.DataError) as error:
            raise InvalidRequest(f"the database cannot keep this: {_said(error)}") from error
        except errors.InsufficientPrivilege as error:
            raise FailedPrecondition(f"the database's role lacks a right: {_said(error)}") from error
        except psycopg.Error as error:
            raise Unavailable(f"the database cannot be used: {_said(error)}") from error


def _parsed(url: str) -> dict[str, Any]:
    """Read a database's URL. Raises InvalidRequest, which does not quote it: a password may be anywhere in it."""
    try:
        given: dict[str, Any] = conninfo_to_dict(url)
    except psycopg.Error:
        given = {"host": "@"}
    if "@" in given.get("host", "") or _PORTS.fullmatch(given.get("port", "")) is None:
        raise InvalidRequest(
            "the database's URL cannot be read: write postgresql://user:password@host:port/name, with %40 for @, %3A "
            "for :, %2F for /, %3F for ? and %25 for % in the password"
        )
    return given


def _check_release(release: int) -> None:
    if release < _OLDEST:
        raise FailedPrecondition(f"PostgreSQL {release} is too old: use {_OLDEST} or newer")


def _said(error: psycopg.Error) -> str:
    return (error.diag.message_primary or str(error) or type(error).__name__).strip().split("\n")[0]
