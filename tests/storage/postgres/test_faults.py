"""PostgreSQL that is killed, stopped, full or cut off: nothing that was answered is lost, nothing is done twice.

`MODELYARD_TEST_TORTURE_S` has the server killed for so many seconds instead of twice.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from modelyard.errors import DataLoss, FailedPrecondition, Unavailable
from modelyard.storage.postgres import session
from modelyard.storage.postgres.documents import PostgresDocuments
from tests.postgres_server import PostgresServer, postgres_server
from tests.proxies import Proxy, proxied
from tests.storage_drafts import ids
from tests.waiting import PATIENCE_S, wait_until

TORTURE_S = float(os.environ.get("MODELYARD_TEST_TORTURE_S", "0"))
KILLS = 2


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that tests may kill."""
    with postgres_server() as started:
        yield started


def put(database: PostgresDocuments, key: str, **document: Any) -> None:
    with database.transaction() as transaction:
        transaction.put("models", key, document)


def succeeds(use: Callable[[], object]) -> bool:
    try:
        use()
    except Unavailable:
        return False
    return True


class Writer:
    """Counts up in a thread of its own, and keeps which numbers were answered and which may have been stored."""

    def __init__(self, database: PostgresDocuments, name: str) -> None:
        self.answered: list[int] = []
        self.unknown: set[int] = set()
        self.refused: list[str] = []
        self._database = database
        self.name = name
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._write)
        self.thread.start()

    def _write(self) -> None:
        while not self.stop.is_set():
            transaction, number = self._database.transaction(), -1
            try:
                with transaction:
                    number = (transaction.get("models", "next") or {"n": 0})["n"]
                    transaction.put("models", "next", {"n": number + 1})
                    transaction.put("models", f"{number:06}", {"by": self.name})
            except Unavailable as error:
                self.refused.append(error.detail)
                if transaction.may_be_stored:
                    self.unknown.add(number)
                continue
            self.answered.append(number)


def check_kept(database: PostgresDocuments, writers: Sequence[Writer]) -> None:
    """Check that what was answered is stored once, and nothing else that was not in doubt."""
    answered = [number for writer in writers for number in writer.answered]
    assert len(answered) == len(set(answered))
    stored = {int(key) for key in ids(database, "models") if key != "next"}
    unknown = set().union(*(writer.unknown for writer in writers))
    assert set(answered) <= stored <= set(answered) | unknown
    for writer in writers:
        for number in writer.answered:
            assert database.get("models", f"{number:06}") == {"by": writer.name}


def test_a_server_that_is_killed_under_writers_loses_nothing_and_gives_no_number_out_twice(
    server: PostgresServer,
) -> None:
    url = server.new_yard()
    with ExitStack() as stack:
        databases = [PostgresDocuments(url) for _ in range(3)]
        for database in databases:
            stack.callback(database.close)
        writers = [Writer(database, f"w{n}") for n, database in enumerate(databases)]
        until = time.monotonic() + TORTURE_S
        kills = 0
        while kills < KILLS or time.monotonic() < until:
            before = sum(len(writer.answered) for writer in writers)
            wait_until(lambda: sum(len(writer.answered) for writer in writers) >= before + 20)  # noqa: B023
            server.kill()
            server.start()
            kills += 1
        for database in databases:  # they are there again by themselves
            wait_until(lambda: succeeds(lambda: ids(database, "models")))  # noqa: B023
        for writer in writers:
            writer.stop.set()
            writer.thread.join()
        fresh = PostgresDocuments(url)
        stack.callback(fresh.close)
        assert all(ids(database, "models") == ids(fresh, "models") for database in databases)
        check_kept(fresh, writers)


def test_a_server_that_is_stopped_for_a_while_is_refused_at_once_and_loses_nothing(server: PostgresServer) -> None:
    url = server.new_yard()
    one, other = PostgresDocuments(url), PostgresDocuments(url)
    put(one, "a")
    server.signal(signal.SIGSTOP)
    try:
        wait_until(lambda: not succeeds(lambda: ids(one, "models")))  # the lease has run out
        written = threading.Thread(target=put, args=(one, "b"))
        written.start()
        for database in (one, other):
            with pytest.raises(Unavailable, match="does not answer"):
                ids(database, "models")
    finally:
        server.signal(signal.SIGCONT)
    written.join()
    for database in (one, other):
        wait_until(lambda: succeeds(lambda: ids(database, "models")))  # noqa: B023
        assert ids(database, "models") == ["a", "b"]
        database.close()


def test_a_server_that_is_stopped_for_good_keeps_nobody_from_an_answer_or_from_the_end(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_STATEMENT_S", 0.1)
    monkeypatch.setattr(session, "_ANSWER_S", 0.1)
    monkeypatch.setitem(session._CONNECT, "connect_timeout", 2)  # the least there is
    one = PostgresDocuments(server.new_yard(), lock_timeout_s=0.3)
    put(one, "a")
    server.signal(signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable):
            put(one, "b")
        ended = threading.Thread(target=one.close, daemon=True)
        ended.start()
        ended.join(PATIENCE_S)
        assert not ended.is_alive()
    finally:
        server.signal(signal.SIGCONT)


@pytest.mark.parametrize("which", ["follower", "writer", "beside", "all"])
def test_connections_that_are_cut_come_back_by_themselves(server: PostgresServer, which: str) -> None:
    url = server.new_yard()
    one, other = PostgresDocuments(url), PostgresDocuments(url)
    put(one, "a")
    put(other, "b")
    sessions = {"follower": one.state._session, "writer": one.writer, "beside": one.beside}
    chosen = list(sessions.values()) if which == "all" else [sessions[which]]
    pids = [session._connection.info.backend_pid for session in chosen if session._connection is not None]
    with server.connection() as connection:
        for pid in pids:
            connection.execute("select pg_terminate_backend(%s, 10000)", [pid])
    wait_until(lambda: succeeds(lambda: put(one, "c")))
    wait_until(lambda: succeeds(lambda: ids(one, "models")))
    assert ids(one, "models") == ids(other, "models") == ["a", "b", "c"]
    one.close()
    other.close()


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_no_call_fails_once_a_server_that_was_restarted_is_back(server: PostgresServer, how: str) -> None:
    one = PostgresDocuments(server.new_yard())
    put(one, "a")
    if how == "killed":
        server.kill()
    else:
        server.stop()
    server.start()
    wait_until(lambda: succeeds(lambda: ids(one, "models")))
    put(one, "b")
    assert one.beside.row("select count(*) from replicas") == (1,)
    assert ids(one, "models") == ["a", "b"]
    one.close()


class LostAnswer:
    """Cuts the writer's connection around its COMMIT: before it reaches the server, or after, so the answer is lost."""

    def __init__(self, proxy: Proxy, *, arrives: bool) -> None:
        self._arrives = arrives
        self._sent = False
        self.cuts = 0
        proxy.watch = self

    def __call__(self, sent: bytes, by_client: bool) -> bool:
        if by_client and b"commit\0" in sent and not self.cuts:
            self._sent = True
            if not self._arrives:
                self.cuts += 1
                self._sent = False
                return False
        elif not by_client and self._sent and b"COMMIT\0" in sent:
            self.cuts += 1
            self._sent = False
            return False
        return True


@pytest.mark.parametrize("arrives", [True, False], ids=["answer lost", "commit lost"])
def test_a_connection_that_is_lost_in_a_commit_leaves_no_doubt(server: PostgresServer, *, arrives: bool) -> None:
    url = server.new_yard()
    with proxied(str(server.folder / f".s.PGSQL.{server.port}")) as proxy:
        through = url.replace(
            f"host={server.folder}&port={server.port}", f"host=127.0.0.1&port={proxy.port}&sslmode=disable"
        )
        one, other = PostgresDocuments(through), PostgresDocuments(url)
        put(one, "a")
        lost = LostAnswer(proxy, arrives=arrives)
        transaction = one.transaction()
        stored = False
        with suppress(Unavailable), transaction:
            transaction.put("models", "b", {})
        stored = transaction.may_be_stored
        assert lost.cuts == 1
        assert stored is arrives
        assert ids(other, "models") == (["a", "b"] if arrives else ["a"])
        put(one, "c")
        assert ids(one, "models") == ids(other, "models") == (["a", "b", "c"] if arrives else ["a", "c"])
        one.close()
        other.close()


def test_a_commit_of_which_nobody_can_tell_may_be_stored(server: PostgresServer) -> None:
    url = server.new_yard()
    with proxied(str(server.folder / f".s.PGSQL.{server.port}")) as proxy:
        through = url.replace(
            f"host={server.folder}&port={server.port}", f"host=127.0.0.1&port={proxy.port}&sslmode=disable"
        )
        one = PostgresDocuments(through, lock_timeout_s=0.5)
        lost = LostAnswer(proxy, arrives=True)

        def go_down(sent: bytes, by_client: bool) -> bool:
            went = lost(sent, by_client)
            proxy.is_down = proxy.is_down or not went
            return went

        proxy.watch = go_down
        transaction = one.transaction()
        with pytest.raises(Unavailable, match="it is not known whether it was kept"), transaction:
            transaction.put("models", "a", {})
        assert transaction.may_be_stored
        proxy.is_down = False
        wait_until(lambda: succeeds(lambda: ids(one, "models")))
        assert ids(one, "models") == ["a"]
        one.close()


def test_a_server_without_space_refuses_writers_and_goes_on_for_readers(server: PostgresServer) -> None:
    url = server.new_yard()
    one = PostgresDocuments(url)
    put(one, "a")
    with server.connection(url) as connection:  # what a full disk is to a statement, without filling one
        connection.execute(
            "create function full_disk() returns trigger language plpgsql as "
            "$$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$"
        )
        connection.execute("create trigger full_disk before insert on commits execute function full_disk()")
        transaction = one.transaction()
        with pytest.raises(Unavailable, match="No space left on device"), transaction:
            transaction.put("models", "b", {})
        assert not transaction.may_be_stored
        assert ids(one, "models") == ["a"]
        connection.execute("drop trigger full_disk on commits")
    one.check(10.0)
    put(one, "c")
    assert ids(one, "models") == ["a", "c"]
    one.close()


def test_a_standby_is_refused(server: PostgresServer) -> None:
    url = server.new_yard()
    PostgresDocuments(url).close()
    server.stop()
    (server.data / "standby.signal").touch()
    server.start()
    try:
        with pytest.raises(FailedPrecondition, match="the database is a standby"):
            PostgresDocuments(url)
    finally:
        server.stop()
        (server.data / "standby.signal").unlink()
        server.start()


def test_a_state_that_was_restored_is_seen_by_replicas_that_had_lost_their_connections(server: PostgresServer) -> None:
    url = server.new_yard()
    one = PostgresDocuments(url)
    put(one, "a")
    with server.connection(url) as connection:
        rows = connection.execute("select collection, id, position, seq, body, sum from documents").fetchall()
    put(one, "b")
    server.kill()
    server.start()
    with server.connection(url) as connection, connection.transaction():
        connection.execute("delete from documents")
        for row in rows:
            connection.execute("insert into documents values (%s, %s, %s, %s, %s, %s)", row)
        connection.execute("delete from commits where seq > 1")
        connection.execute("update head set seq = 1")

    def said() -> str:
        try:
            return str(ids(one, "models"))
        except Unavailable:
            return ""
        except DataLoss as error:
            return error.detail

    wait_until(lambda: "lost what it had" in said())
    one.close()


def test_a_host_that_is_cut_off_answers_nothing_keeps_nobody_from_writing_and_comes_back(
    server: PostgresServer,
) -> None:
    url = server.new_yard()
    with proxied(str(server.folder / f".s.PGSQL.{server.port}")) as proxy:
        through = url.replace(f"host={server.folder}&port={server.port}", f"host=127.0.0.1&port={proxy.port}")
        cut, other = PostgresDocuments(through), PostgresDocuments(url)
        put(cut, "a", n=1)
        mended = threading.Event()
        proxy.watch = lambda _, __: mended.wait()  # packets vanish, connections stay open
        with suppress(Unavailable), cut.reading():
            assert cut.raw("models", "a") is not None  # its lease may not be over yet
        put(other, "a", n=2)  # answered once the lease of the one that is cut off is over
        with pytest.raises(Unavailable, match="does not answer"):
            cut.get("models", "a")
        put(other, "a", n=3)
        mended.set()
        wait_until(lambda: succeeds(lambda: ids(cut, "models")))
        assert cut.get("models", "a") == {"n": 3}
        put(cut, "a", n=4)
        assert other.get("models", "a") == {"n": 4}
        cut.close()
        other.close()
