"""Documents, whatever keeps them: transactions, readers beside writers, observers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from modelyard.storage.protocols import Documents
from tests.engines import Engine
from tests.observers import Copy
from tests.storage_drafts import ids


def put(database: Documents, key: str, **document: Any) -> None:
    with database.transaction() as transaction:
        transaction.put("models", key, document)


def test_a_transaction_is_seen_at_once_by_every_other_holder(engine: Engine) -> None:
    one, other = engine.documents(), engine.documents()
    put(one, "a", n=1)
    assert other.get("models", "a") == {"n": 1}
    put(other, "a", n=2)
    assert one.get("models", "a") == {"n": 2}


def test_a_transaction_sees_what_it_did_itself(engine: Engine) -> None:
    database = engine.documents()
    with database.transaction() as transaction:
        transaction.put("models", "a", {"n": 1})
        assert transaction.get("models", "a") == {"n": 1}
        assert database.get("models", "a") is None
        transaction.remove("models", "a")
        assert transaction.get("models", "a") is None
    assert database.get("models", "a") is None


def test_a_transaction_that_raises_changes_nothing(engine: Engine) -> None:
    database = engine.documents()
    before = database.snapshot()
    transaction = database.transaction()

    def change_mind() -> None:
        with transaction:
            transaction.put("models", "a", {})
            raise KeyError("a")

    with pytest.raises(KeyError):
        change_mind()
    assert database.snapshot() == before
    assert not transaction.may_be_stored
    put(database, "b")
    assert ids(database, "models") == ["b"]


def test_a_transaction_without_changes_writes_nothing(engine: Engine) -> None:
    database = engine.documents()
    before = database.snapshot()
    with database.transaction() as transaction:
        transaction.get("models", "a")
    assert database.snapshot() == before


def test_what_is_got_is_a_copy(engine: Engine) -> None:
    database = engine.documents()
    put(database, "a", tags=[])
    found = database.get("models", "a") or {}
    found["tags"].append("mine")
    assert database.get("models", "a") == {"tags": []}


def test_threads_that_count_together_lose_nothing(engine: Engine) -> None:
    databases = [engine.documents(), engine.documents()]

    def count(number: int) -> None:
        with databases[number % 2].transaction() as transaction:
            document = transaction.get("models", "sum") or {"n": 0}
            transaction.put("models", "sum", {"n": document["n"] + 1})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(80)))
    assert [database.get("models", "sum") for database in databases] == [{"n": 80}] * 2


def test_a_reader_sees_all_of_a_transaction_or_nothing_and_never_what_was_before_an_answer(engine: Engine) -> None:
    writer, reader = engine.documents(), engine.documents()
    answered = [-1]

    def write() -> None:
        for number in range(20):
            with writer.transaction() as transaction:
                transaction.put("models", "a", {"n": number})
                transaction.put("models", "b", {"n": number})
            answered[0] = number

    last = {reader: -1, writer: -1}
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(write)
        while not written.done():
            for database in (reader, writer):
                told = answered[0]
                with database.reading():
                    a, b = database.raw("models", "a"), database.raw("models", "b")
                assert a == b
                now = -1 if a is None else int(a.split(b":")[1][:-1])
                assert now >= max(told, last[database])
                last[database] = now
        written.result()


def test_observers_follow_other_writers_and_restarts(engine: Engine) -> None:
    copy = Copy()
    observed, other = engine.documents(copy), engine.documents()
    put(other, "a", n=1)
    put(other, "b", n=2)
    with other.transaction() as transaction:
        transaction.remove("models", "a")
    ids(observed, "models")
    assert copy.documents == {("models", "b"): {"n": 2}}
    assert copy.resets == 1
    again = Copy()
    assert ids(engine.documents(again), "models") == ["b"]
    assert again.documents == copy.documents


def test_documents_are_in_the_order_in_which_they_were_first_put(engine: Engine) -> None:
    one, sleeper = engine.documents(), engine.documents()
    for key in ("c", "a", "b"):
        put(one, key, n=1)
    put(one, "c", n=2)
    with one.transaction() as transaction:
        transaction.remove("models", "a")
    put(one, "a", n=3)
    for holder in (one, sleeper, engine.documents()):
        assert ids(holder, "models") == ["c", "b", "a"]
