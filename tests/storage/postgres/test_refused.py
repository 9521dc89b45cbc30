"""Set-ups in which a yard cannot be kept, each refused in words that say what is wrong, and never with the password."""

from __future__ import annotations

import pytest

from modelyard.errors import FailedPrecondition, InvalidRequest
from modelyard.storage.postgres import session
from modelyard.storage.postgres.documents import PostgresDocuments
from tests.postgres_server import PostgresServer
from tests.storage_drafts import ids

PASSWORD = "top-secret-5f3a"


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_keep_every_text_is_refused(postgres: PostgresServer, encoding: str) -> None:
    name = f"in_{encoding.lower()}"
    with postgres.connection() as connection:
        connection.execute(
            f"create database {name} encoding '{encoding}' template template0 lc_collate 'C' lc_ctype 'C'"
        )
    with pytest.raises(FailedPrecondition, match=f"the database has the encoding {encoding}.*use UTF8"):
        PostgresDocuments(postgres.url().replace("/postgres?", f"/{name}?"))


def test_a_search_path_without_a_schema_is_refused(postgres: PostgresServer) -> None:
    with pytest.raises(FailedPrecondition, match="no schema of the connection's search_path is there"):
        PostgresDocuments(postgres.url("nowhere"))


def test_a_server_that_is_too_old_is_refused(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_OLDEST", 99)
    with pytest.raises(FailedPrecondition, match=r"PostgreSQL \d+ is too old: use 99 or newer"):
        PostgresDocuments(postgres.new_yard())


def test_a_role_without_rights_is_told_which_one_it_lacks(postgres: PostgresServer) -> None:
    url = postgres.new_yard()
    schema = url.partition("search_path%3D")[2]
    poor = url.replace("modelyard@", "poor@")
    with postgres.connection(url) as connection:
        connection.execute("create role poor login")
        try:
            with pytest.raises(FailedPrecondition, match="no schema of the connection's search_path"):
                PostgresDocuments(poor)
            connection.execute(f"grant usage on schema {schema} to poor")
            with pytest.raises(FailedPrecondition, match=f"lacks a right: permission denied for schema {schema}"):
                PostgresDocuments(poor)
            PostgresDocuments(url).close()
            with pytest.raises(FailedPrecondition, match="lacks a right: permission denied for table head"):
                PostgresDocuments(poor)
            connection.execute(f"grant select on all tables in schema {schema} to poor")
            with pytest.raises(FailedPrecondition, match="lacks a right: permission denied for table replicas"):
                PostgresDocuments(poor)
        finally:
            connection.execute("drop owned by poor")
            connection.execute("drop role poor")


def test_what_a_role_has_by_default_changes_nothing(postgres: PostgresServer) -> None:
    url = postgres.new_yard()
    for setting in ("default_transaction_isolation=serializable", "default_transaction_read_only=on"):
        documents = PostgresDocuments(f"{url}%20-c{setting.replace('=', '%3D')}")
        with documents.transaction() as transaction:
            transaction.put("models", setting, {})
        assert documents.writer.row("show transaction_isolation") == ("read committed",)
        assert setting in ids(documents, "models")
        documents.close()


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:50%zz{PASSWORD}@127.0.0.1:1/db",
        f"postgresql://me:at@{PASSWORD}@127.0.0.1:1/db",
        f"postgresql://me:{PASSWORD}/slash@127.0.0.1:1/db",
        f"postgresql://me:{PASSWORD}@127.0.0.1:port/db",
        f"postgresql://me:{PASSWORD}@127.0.0.1:1/db?nonsense={PASSWORD}",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidRequest, match="the database's URL cannot be read") as raised:
        PostgresDocuments(url)
    assert PASSWORD not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_right_that_is_taken_away_from_a_running_replica_is_named_and_nothing_is_stored(
    postgres: PostgresServer,
) -> None:
    url = postgres.new_yard()
    schema = url.partition("search_path%3D")[2]
    with postgres.connection(url) as connection:
        connection.execute("create role robbed login")
        connection.execute(f"grant usage, create on schema {schema} to robbed")
        documents = PostgresDocuments(url.replace("modelyard@", "robbed@"))
        try:
            connection.execute("revoke insert on commits from robbed")
            refused = documents.transaction()
            with pytest.raises(FailedPrecondition, match="lacks a right: permission denied for table commits"), refused:
                refused.put("models", "a", {})
            assert not refused.may_be_stored
            assert ids(documents, "models") == []
            connection.execute("grant insert on commits to robbed")
            with documents.transaction() as transaction:
                transaction.put("models", "b", {})
            assert ids(documents, "models") == ["b"]
        finally:
            documents.close()
            connection.execute("drop owned by robbed")
            connection.execute("drop role robbed")
