"""The tables in the database: how they are made, and what a server must promise before it is trusted with a yard."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

from modelyard.errors import FailedPrecondition, NoYard, Unavailable
from modelyard.storage.postgres.session import Session

log = logging.getLogger("modelyard.storage")

FORMAT = 1

_TABLES = """
create table head (
    one boolean primary key default true check (one),
    format integer not null,
    generation text not null,
    seq bigint not null,
    forgotten bigint not null default -1
);
comment on table head is 'One row: the last transaction. Who writes locks it first.';
create table commits (seq bigint primary key, token text not null, at timestamptz not null default now());
comment on table commits is 'The transactions of the last day or more, each known by a random token.';
create table documents (
    collection text not null,
    id text not null,
    position bigint not null,
    seq bigint not null,
    body text,
    sum text not null,
    primary key (collection, id)
);
create index documents_by_seq on documents (seq);
comment on table documents is 'The newest of each document as JSON; without a body: removed.';
create table replicas (
    id text primary key, seq bigint not null, leaving boolean not null default false
) with (fillfactor = 50);
comment on table replicas is 'The processes that hold the documents in memory, and how far each has followed.';
create table series (
    stream text not null, at timestamptz not null, number bigserial, entries text not null, sum text not null,
    primary key (stream, at, number)
);
create table audit (
    number bigint primary key, at timestamptz not null, entries text not null, sum text not null
);
create table snapshots (name text primary key, content bytea not null);
create table owners (id text primary key, beat bigint not null default 0) with (fillfactor = 50);
create unlogged table progress (job_id text primary key, said text not null);
comment on table owners is 'The processes that own jobs; each counts its beat up while it is alive.';
"""
_NOTE_COMMIT = """
insert into commits (seq, token) values (%s, %s) returning pg_notify('modelyard_' || 'head'::regclass::oid, '')
"""
_KEPT_COMMITS = 1000
_FORGET_COMMITS = """
with old as (delete from commits where at < now() - interval '1 day' and seq <= %s returning seq)
update head set forgotten = greatest(forgotten, (select max(seq) from old))
"""
_CLOCK_OFF_S = 60.0
"""By how much a host's clock may differ from the database's: kept days, keys and orders of 24 h are counted by it."""
_NEEDED = {"fsync": ("off",), "full_page_writes": ("off",), "synchronous_commit": ("off",)}


def prepare(session: Session, *, make: bool) -> None:
    """See to it that the tables are there; with `make` they are made if they are missing.

    Raises NoYard if they are missing, FailedPrecondition if the server does not keep what it has answered, or if its
    clock is another one.
    """
    _check_server(session)
    _check_clock(session)
    if _exists(session):
        return
    if not make:
        raise NoYard("the database holds no yard; make one there with `modelyard train`, `modelyard up` or `migrate`")
    with changing(session):
        if not _exists(session):
            session.run(_TABLES)
            session.run("insert into head (format, generation, seq) values (%s, %s, 0)", FORMAT, secrets.token_hex(16))


@contextmanager
def changing(session: Session) -> Iterator[None]:
    """Change tables or views in a transaction: a `with` block that one process at a time is in."""
    session.begin()
    try:
        session.row("select pg_advisory_xact_lock(hashtextextended('modelyard ' || current_schema(), 0))")
        yield
        if not session.commit():
            raise Unavailable("the database did not take the change of its tables")
    finally:
        session.rollback()


def check_format(found: int) -> None:
    """Raise FailedPrecondition if a newer release has changed the tables."""
    if found > FORMAT:
        raise FailedPrecondition(
            f"the database has format {found}; this release reads format {FORMAT}: use a newer one"
        )


def listen(session: Session) -> None:
    """Have a session told of commits; what it writes itself need not be durable."""
    session.listen("modelyard_" + str(session.row("select 'head'::regclass::oid")[0]))
    session.run("set synchronous_commit = off")


def note_commit(session: Session, seq: int, token: str) -> None:
    """Note a transaction's token, and tell those who listen of it when it is committed."""
    session.run(_NOTE_COMMIT, seq, token)


def forget(session: Session, seq: int) -> None:
    """Forget what was removed a day ago: who has not followed since then reads everything anew."""
    session.run(_FORGET_COMMITS, seq - _KEPT_COMMITS)
    session.run("delete from documents where body is null and seq <= (select forgotten from head)")


def begin_anew(session: Session) -> None:
    """Let every replica read the database anew, whatever it has seen."""
    session.run("update head set generation = %s", secrets.token_hex(16))


def _exists(session: Session) -> bool:
    found: bool = session.row(
        "select exists (select from pg_class where relname = 'head' and relnamespace = current_schema()::regnamespace)"
    )[0]
    return found


def _check_server(session: Session) -> None:
    """Raise FailedPrecondition unless the server keeps what it has answered, and answers what it keeps."""
    if session.row("select pg_is_in_recovery()")[0]:
        raise FailedPrecondition("the database is a standby, which may lag behind: name the primary server")
    encoding, there = session.row("select current_setting('server_encoding'), current_schema() is not null")
    if encoding != "UTF8":
        raise FailedPrecondition(f"the database has the encoding {encoding}, which cannot keep every text: use UTF8")
    if not there:
        raise FailedPrecondition(
            "no schema of the connection's search_path is there and may be used: create one, grant usage on it, or "
            "name another by ?options=-csearch_path%3D… in the database's URL"
        )
    found = dict(
        session.rows("select name, setting from pg_settings where name = any(%s)", [*_NEEDED, "data_checksums"])
    )
    for name, wrong in _NEEDED.items():
        if found.get(name) in wrong:
            raise FailedPrecondition(
                f"the database has {name}={found[name]}, so a crash could lose what was answered: set it to on"
            )
    if found.get("data_checksums") == "off":
        log.warning("the database keeps no checksums of its pages (data_checksums=off)")


def _check_clock(session: Session) -> None:
    """Raise FailedPrecondition if this machine's clock differs from the database's by more than _CLOCK_OFF_S."""
    ahead = time.time() - float(session.row("select extract(epoch from clock_timestamp())")[0])
    if abs(ahead) > _CLOCK_OFF_S:
        raise FailedPrecondition(
            f"this machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the database's; "
            f"correct it: at most {_CLOCK_OFF_S:.0f} s are allowed"
        )
