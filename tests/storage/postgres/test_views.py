"""The views for people with SQL: they say what the verbs say, take any text, and never stand in a yard's way."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from modelyard.schemas import (
    AliasRequest,
    AuditQuery,
    EvaluateRequest,
    EvaluationQuery,
    ModelMetadata,
    TrainRequest,
)
from modelyard.storage.postgres import views
from modelyard.storage.postgres.documents import PostgresDocuments
from modelyard.verbs import Verbs
from tests import doors
from tests.postgres_server import PostgresServer

PAGE = (Path(__file__).parents[3] / "docs" / "scale.md").read_text()
QUERIES = re.findall(r"^```sql\n(select.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
GRANTS = re.findall(r"^```sql\n(create role.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
X = [{"age": age, "job": "cook" if age % 3 else "smith"} for age in range(60)]
Y = ["yes" if age > 30 else "no" for age in range(60)]
HARD = 'a\0b \0\0 \\u0000 \\\0 "\\\\\0" \u2028 ü 😀'


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> str:
    return postgres.new_yard()


@pytest.fixture(scope="module")
def yard(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verbs]:
    with doors.core(tmp_path_factory.mktemp("yard") / "folder", database_url=url) as opened:
        yield opened


@pytest.fixture(scope="module")
def models(yard: Verbs) -> list[ModelMetadata]:
    """Two versions of a name with texts that are hard on JSON, the first of them deleted, and an alias."""

    def train(**options: Any) -> ModelMetadata:
        request = TrainRequest(model_class_key="logistic_regression", name="churn", X=X, y=Y, **options)
        return yard.train(request)

    made = [train(description=HARD, tags=["first", "née"]), train(target="churned")]
    yard.set_alias("churn", "live", AliasRequest(version=1))
    yard.set_alias("churn", "live", AliasRequest(version=2))
    yard.evaluate(EvaluateRequest(model_ids=["churn@live", made[0].model_id], X=X, y=Y, label=HARD))
    yard.delete(made[0].model_id)
    return [yard.get_model(model.model_id) for model in made]


@pytest.fixture
def asked(postgres: PostgresServer, url: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


def test_a_row_of_a_model_is_what_the_verbs_say_of_it(
    models: list[ModelMetadata], asked: psycopg.Connection[dict[str, Any]]
) -> None:
    found = asked.execute("select * from models order by version").fetchall()
    assert len(found) == 2
    for row, model in zip(found, models, strict=True):
        said = dict(model) | {"model_class": model.model_class_key, "artifact_bytes": model.artifact.bytes}
        said["description"] = model.description.replace("\0", "\ufffd")
        assert row == {name: said[name] for name in row}
    assert [row["status"] for row in found] == ["deleted", "active"]
    assert found[0]["tags"] == ["first", "née"]


@pytest.mark.usefixtures("models")
def test_jobs_and_aliases_are_what_the_verbs_say_of_them(
    yard: Verbs, asked: psycopg.Connection[dict[str, Any]]
) -> None:
    jobs = {job.job_id: job for job in yard.list_jobs().jobs}
    found = asked.execute("select * from jobs").fetchall()
    assert {row["job_id"] for row in found} == set(jobs)
    for row in found:
        job = dict(jobs[row["job_id"]])
        shown = {"model_class", "created_by", "error", "error_code"}
        assert {name: row[name] for name in set(row) - shown} == {name: job[name] for name in set(row) - shown}
        assert (row["model_class"], row["error"], row["error_code"]) == ("logistic_regression", None, None)
        assert row["created_by"]
    (alias,) = asked.execute("select * from aliases").fetchall()
    (told,) = yard.list_aliases("churn").aliases
    assert (alias["name"], alias["alias"], alias["version"], alias["moves"]) == ("churn", "live", 2, 2)
    assert (alias["moved_at"], alias["moved_by"]) == (told.since, told.by)


def test_an_evaluation_has_a_row_for_each_model_and_the_audit_one_for_each_entry(
    yard: Verbs, models: list[ModelMetadata], asked: psycopg.Connection[dict[str, Any]]
) -> None:
    (kept,) = yard.list_evaluations(models[1].model_id, EvaluationQuery()).evaluations
    found = asked.execute("select * from evaluations order by version desc").fetchall()
    assert [(row["version"], row["alias"], row["metrics"]) for row in found] == [
        (model.version, model.alias, model.metrics) for model in kept.models
    ]
    assert {row["label"] for row in found} == {HARD.replace("\0", "\ufffd")}
    entries = [dict(entry) for entry in reversed(yard.list_audit(AuditQuery(limit=200)).entries)]
    rows = asked.execute("select * from audit_entries order by number").fetchall()
    assert rows == [{name: entry[name] for name in row} for row, entry in zip(rows, entries, strict=True)]


@pytest.mark.usefixtures("models")
def test_the_queries_of_the_page_answer_what_they_are_said_to(
    yard: Verbs, asked: psycopg.Connection[dict[str, Any]]
) -> None:
    best, trainings, moves = (asked.execute(query).fetchall() for query in QUERIES)
    live = yard.get_model("churn@live")
    assert [(row["name"], row["version"], row["created_by"]) for row in best] == [("churn", 2, live.created_by)]
    assert float(best[0]["roc_auc"]) == pytest.approx(live.metrics["validation_roc_auc"], abs=5e-4)
    (row,) = trainings
    assert (row["model_class"], row["trainings"], row["failed"]) == ("logistic_regression", 2, 0)
    assert row["run"].total_seconds() > 0
    assert [(row["alias"], row["model"]) for row in moves] == [("churn@live", "churn:2"), ("churn@live", "churn:1")]
    assert {row["key"] for row in moves} == {live.created_by}


@pytest.mark.usefixtures("models")
def test_a_role_as_the_page_makes_one_reads_the_views_and_no_table(
    postgres: PostgresServer, asked: psycopg.Connection[dict[str, Any]], url: str
) -> None:
    (grants,) = GRANTS
    schema = asked.execute("select current_schema() as name").fetchall()[0]["name"]
    asked.execute(grants)
    asked.execute(f"grant usage on schema {schema} to analyst")
    try:
        with psycopg.connect(url.replace("modelyard@", "analyst@"), autocommit=True) as analyst:
            for view in views._VIEWS:
                assert analyst.execute(f"select * from {view}").fetchall()
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                analyst.execute("select * from documents")
    finally:
        asked.execute("drop owned by analyst")
        asked.execute("drop role analyst")


def test_a_yard_without_views_takes_them_up_and_one_of_a_newer_release_keeps_its_own(postgres: PostgresServer) -> None:
    url = postgres.new_yard()
    PostgresDocuments(url).close()
    with postgres.connection(url) as connection:
        connection.execute("drop view models")
        connection.execute("create view models as select 1 as mine")  # older, and of another shape: left, with a word
        connection.execute("comment on view models is 'Modelyard, views 0: once'")
        connection.execute("drop view jobs, aliases")
        connection.execute("comment on view evaluations is 'Modelyard, views 99: later'")
        PostgresDocuments(url).close()
        assert connection.execute("select * from models").fetchall() == [(1,)]
        connection.execute("drop view models")
        PostgresDocuments(url, make=False).close()  # who only looks makes nothing
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("select * from models")
        PostgresDocuments(url).close()
        for view in views._VIEWS:
            assert connection.execute(f"select * from {view}").fetchall() == []
        said = connection.execute("select obj_description('evaluations'::regclass)").fetchone()
        assert said == ("Modelyard, views 99: later",)


def test_what_else_has_the_name_of_a_view_is_left_alone(
    postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgres.new_yard()
    with postgres.connection(url) as connection:
        connection.execute("create table jobs (mine text)")
        connection.execute("insert into jobs values ('kept')")
        PostgresDocuments(url).close()
        assert connection.execute("select * from jobs").fetchall() == [("kept",)]
        assert connection.execute("select * from models").fetchall() == []
    assert "no view jobs" in caplog.text


def test_somebody_who_reads_a_view_keeps_nobody_from_opening_or_writing(
    postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgres.new_yard()
    PostgresDocuments(url).close()
    with postgres.connection(url) as owner:
        owner.execute("comment on view models is 'Modelyard, views 0: older'")
    with postgres.connection(url) as reader, reader.transaction():
        reader.execute("select * from models, documents")
        documents = PostgresDocuments(url)
        with documents.transaction() as transaction:
            transaction.put("models", "a", {})
        documents.close()
    assert "the views for people with SQL are not made: the storage is busy" in caplog.text


def test_those_who_make_the_views_at_once_make_them(postgres: PostgresServer) -> None:
    url = postgres.new_yard()
    PostgresDocuments(url).close()
    with postgres.connection(url) as connection:
        connection.execute(f"drop view {', '.join(views._VIEWS)}")
        threads = [threading.Thread(target=lambda: PostgresDocuments(url).close()) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for view in views._VIEWS:
            connection.execute(f"select * from {view}")


def test_a_change_of_the_views_has_a_new_number() -> None:
    text = "".join(f"{name} {query} {about}" for name, (query, about) in views._VIEWS.items())
    digest = hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:12]
    assert (views.VERSION, digest) == (1, "90a31f0a24ad")
