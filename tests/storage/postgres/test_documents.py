"""What the database is trusted with and what it is not: damage, lost states, and who is told when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import DataLoss, FailedPrecondition, NoYard, Unavailable
from modelyard.storage.postgres import documents, follower, rows, schema, session
from modelyard.storage.postgres.documents import PostgresDocuments
from modelyard.storage.postgres.session import Session
from modelyard.storage.servers import Servers
from modelyard.storage.upkeep.doctor import examine
from tests.observers import Copy
from tests.postgres_server import PostgresServer
from tests.storage_drafts import ids
from tests.waiting import wait_until

Open = Callable[..., PostgresDocuments]


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_yard()


@pytest.fixture
def opened(url: str) -> Iterator[Open]:
    """Open the documents as another replica does; all are closed at the end."""
    with ExitStack() as stack:

        def open_one(**options: Any) -> PostgresDocuments:
            one = PostgresDocuments(url, **options)
            stack.callback(one.close)
            return one

        yield open_one


def put(database: PostgresDocuments, key: str, **document: Any) -> None:
    with database.transaction() as transaction:
        transaction.put("models", key, document)


def test_a_database_without_a_yard_is_none_until_one_is_made(opened: Open) -> None:
    with pytest.raises(NoYard, match="the database holds no yard"):
        opened(make=False)
    opened()
    opened(make=False)


def test_those_who_make_a_yard_at_once_make_one(opened: Open) -> None:
    found: list[PostgresDocuments] = []
    threads = [threading.Thread(target=lambda: found.append(opened())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    put(found[0], "a")
    assert all(ids(each, "models") == ["a"] for each in found)


@pytest.mark.parametrize("change", ["body = '{\"n\": 2}'", "id = 'b'", "collection = 'others'", "body = null"])
def test_a_row_that_was_changed_by_hand_is_data_loss_for_whoever_reads_it(
    opened: Open, postgres: PostgresServer, url: str, change: str
) -> None:
    one = opened()
    put(one, "a", n=1)
    put(one, "other", n=1)
    with postgres.connection(url) as connection:
        connection.execute(f"update documents set {change} where id = 'a'")
        if change.startswith("body = null"):
            connection.execute("update documents set seq = 3 where id = 'a'")
            connection.execute("update head set seq = 3")
    if change.startswith("body = null"):
        with pytest.raises(DataLoss):
            wait_until(lambda: one.get("models", "other") is None)
        return
    assert one.get("models", "a") == {"n": 1}  # what is in memory was whole
    with pytest.raises(DataLoss, match="is damaged in the database"):
        opened()


def test_an_earlier_state_is_data_loss_until_a_person_says_so(opened: Open, postgres: PostgresServer, url: str) -> None:
    copy = Copy()
    one = opened(observers=[copy])
    put(one, "a")
    with postgres.connection(url) as connection:
        kept = connection.execute("select * from documents").fetchall()
    put(one, "b")
    with postgres.connection(url) as connection:
        connection.execute("delete from documents where id = 'b'")
        connection.execute("delete from commits where seq = 2")
        connection.execute("update head set seq = 1")
        assert connection.execute("select * from documents").fetchall() == kept
    for _ in range(2):
        with pytest.raises(DataLoss, match=r"lost what it had.*--accept-restored"):
            wait_until(lambda: ids(one, "models") != ["a", "b"])
        with pytest.raises(DataLoss, match="lost what it had"):
            put(one, "c")
    other = opened()
    put(other, "d")  # another transaction of the number that was lost is seen for what it is
    with pytest.raises(DataLoss, match="lost what it had"):
        ids(one, "models")
    schema.begin_anew(other.beside)
    wait_until(lambda: _ids_or_none(one) == ["a", "d"])
    assert set(copy.documents) == {("models", "a"), ("models", "d")}
    put(one, "e")
    assert ids(other, "models") == ["a", "d", "e"]


def _ids_or_none(documents: PostgresDocuments) -> list[str] | None:
    try:
        return ids(documents, "models")
    except (DataLoss, Unavailable):
        return None


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("synchronous_commit", "synchronous_commit=off"),
        ("fsync", "fsync=off"),
        ("full_page_writes", "full_page_writes=off"),
    ],
)
def test_a_server_that_may_lose_what_it_answers_is_refused(
    postgres: PostgresServer, url: str, setting: str, problem: str
) -> None:
    change = "alter system set {} = off" if setting != "synchronous_commit" else "alter role modelyard set {} = off"
    undo = "alter system reset {}" if setting != "synchronous_commit" else "alter role modelyard reset {}"
    with postgres.connection() as connection:
        connection.execute(change.format(setting))
        connection.execute("select pg_reload_conf()")
        try:
            with pytest.raises(FailedPrecondition, match=problem):
                wait_until(lambda: PostgresDocuments(url).close())
        finally:
            connection.execute(undo.format(setting))
            connection.execute("select pg_reload_conf()")


@pytest.mark.parametrize(("off", "said"), [(90.0, "9[01] s ahead of"), (-90.0, "(89|90) s behind")])
def test_a_host_with_another_clock_is_refused(
    postgres: PostgresServer, url: str, monkeypatch: pytest.MonkeyPatch, off: float, said: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("time.time", lambda: time.time_ns() / 1e9 + off)
        with pytest.raises(FailedPrecondition, match=f"clock is {said} the database's"):
            PostgresDocuments(url)
    PostgresDocuments(url).close()


def test_a_newer_format_is_refused(opened: Open, postgres: PostgresServer, url: str) -> None:
    one = opened()
    with postgres.connection(url) as connection:
        connection.execute("update head set format = 99")
    with pytest.raises(FailedPrecondition, match="the database has format 99"):
        wait_until(lambda: ids(one, "models"))
    with pytest.raises(FailedPrecondition, match="use a newer one"):
        put(one, "a")


def test_who_slept_longer_than_removals_are_remembered_reads_everything_anew(
    opened: Open, postgres: PostgresServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "_KEPT_COMMITS", 0)
    copy = Copy()
    sleeper, one = opened(observers=[copy]), opened()
    for key in ("a", "b"):
        put(one, key)
    assert ids(sleeper, "models") == ["a", "b"]
    with sleeper.state._following:  # it sleeps
        with one.transaction() as transaction:
            transaction.remove("models", "a")
        put(one, "c")
        with postgres.connection(url) as connection:
            connection.execute("update commits set at = now() - interval '2 days'")
            one.writer.begin()
            schema.forget(one.writer, 3)
            one.writer.commit()
            assert connection.execute("select count(*) from documents").fetchone() == (2,)
    wait_until(lambda: _ids_or_none(sleeper) == ["b", "c"])
    assert copy.resets == 2
    put(one, "d")
    assert ids(sleeper, "models") == ids(opened(), "models") == ["b", "c", "d"]


def test_a_replica_that_does_not_follow_is_waited_for_until_its_lease_has_run_out_and_then_forgotten(
    opened: Open,
) -> None:
    one, paused = opened(), opened()
    put(one, "a", n=0)
    with paused.state._following:  # as if its process was stopped
        for n in range(1, 4):
            put(one, "a", n=n)
            assert follower.clock() >= paused.state._fresh_until  # it could not have answered any more
        assert one.beside.rows("select id from replicas") == [(one.state.me,)]
    put(one, "a", n=4)
    assert paused.get("models", "a") == {"n": 4}
    assert len(one.beside.rows("select id from replicas")) == 2  # it is back


def test_others_are_told_of_what_a_replica_knows_by_its_own_writer(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = opened()
    asleep, awake = threading.Event(), threading.Event()

    def wait_for_notice(_: float) -> None:
        asleep.set()
        awake.wait()

    monkeypatch.setattr(one.state._session, "wait_for_notice", wait_for_notice)
    asleep.wait()
    put(one, "a")
    awake.set()
    wait_until(lambda: one.beside.rows("select seq from replicas") == [(1,)])  # else they wait for its whole lease


def test_a_lock_that_another_host_holds_is_unavailable_and_readers_go_on(
    opened: Open, postgres: PostgresServer, url: str
) -> None:
    one = opened(lock_timeout_s=0.1)
    put(one, "a")
    with postgres.connection(url) as connection, connection.transaction():
        connection.execute("select * from head for update")
        with pytest.raises(Unavailable, match=r"was not free within 0\.1 s"):
            put(one, "b")
        with pytest.raises(Unavailable, match="was not free"):
            one.check(0.05)
        assert ids(one, "models") == ["a"]
    put(one, "b")


def test_a_host_that_is_cut_off_in_a_transaction_does_not_keep_others_from_writing(opened: Open, url: str) -> None:
    stuck = Session(url, 10.0)
    one = opened()
    stuck.begin()
    stuck.run("update head set seq = seq")
    put(one, "a")  # after the three seconds that a transaction may stand still
    with pytest.raises(Unavailable):
        stuck.run("update head set seq = seq")
    stuck.close()


def test_who_copies_a_yard_may_take_longer_than_a_host_that_is_cut_off(
    opened: Open, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened()
    monkeypatch.setitem(session._SETTINGS, "idle_in_transaction_session_timeout", "100ms")
    copy = opened(make=False)
    copy.go_on_from(7)
    with postgres.connection() as connection, copy.transaction() as transaction:
        transaction.put("models", "a", {})
        pid = copy.writer._connection.info.backend_pid  # type: ignore[union-attr]
        stood = "select now() - state_change > '300ms' from pg_stat_activity where pid = %s"
        wait_until(lambda: connection.execute(stood, [pid]).fetchone() in ((True,), None))
    assert ids(copy, "models") == ["a"]


def test_many_long_documents_are_written_in_portions_and_keep_their_order(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "_PORTION_BYTES", 1000)
    monkeypatch.setattr(documents, "_MANY", 40)
    one, other = opened(), opened()
    sent: list[int] = []
    run = one.writer.run
    monkeypatch.setattr(
        one.writer,
        "run",
        lambda *said: (
            (sent.append(sum(map(len, said[5]))), run(*said))[1]  # type: ignore[func-returns-value]
            if said[0] == rows._UPSERT
            else run(*said)
        ),
    )
    names = [f"{n * 7 % 50:02}" for n in range(50)]
    with one.transaction() as transaction:
        for name in names:
            transaction.put("models", name, {"said": "x" * 100})
    assert max(sent) <= 1000 < sum(sent)
    assert ids(one, "models") == ids(other, "models") == ids(opened(), "models") == names


def test_a_step_that_loses_the_connection_commits_nothing(opened: Open, postgres: PostgresServer) -> None:
    one = opened()
    transaction = one.transaction()

    def cut() -> None:
        pid = one.writer.row("select pg_backend_pid()")[0]
        with postgres.connection() as connection:
            connection.execute("select pg_terminate_backend(%s)", [pid])

    with pytest.raises(Unavailable), transaction:  # noqa: PT012
        transaction.put("models", "a", {})
        transaction.before_commit(cut)
    assert not transaction.may_be_stored
    assert ids(one, "models") == []
    put(one, "b")
    assert ids(opened(), "models") == ["b"]


def test_a_process_that_starts_knows_that_an_earlier_state_was_restored(
    postgres: PostgresServer, url: str, tmp_path: Path
) -> None:
    def put_on(host: str, name: str) -> None:
        with closing(Servers(url, tmp_path / host).documents(make=True)) as documents:
            put(documents, name)

    put_on("host", "a")
    put_on("host", "b")
    with postgres.connection(url) as connection:
        connection.execute("delete from documents where id = 'b'")
        connection.execute("delete from commits where seq = 2")
        connection.execute("update head set seq = 1")
    for _ in range(2):
        with pytest.raises(DataLoss, match=r"transaction 2 is not there.*--accept-restored"):
            Servers(url, tmp_path / "host").documents()
        put_on("another, which was not there", "c")  # another transaction of that number is seen for what it is
    with pytest.raises(DataLoss, match="lost what it had"):
        examine(Servers(url, tmp_path / "host"))
    Servers(url, tmp_path / "host").accept_restored()
    put_on("host", "d")
    with closing(Servers(url, tmp_path / "host").documents()) as documents:
        assert ids(documents, "models") == ["a", "c", "d"]
